"""The estimators' way to the kernels: names of activations and losses, and the backend."""

from __future__ import annotations

import functools
from typing import Any

from fastmlp import kernels
from fastmlp.kernels import LOSS_SPECS, Architecture, CustomLoss, Loss, TrainingOptions

from .. import activations as _activations
from .. import losses
from .._cluster.cluster import Cluster
from .._cluster.trainer import ClusterTrainer
from ._labels import MULTILABEL

#: The estimators' names of output activations, and the engine's.
OUTPUTS = {"identity": "identity", "logistic": "sigmoid", "softmax": "softmax", "exp": "exp"}

#: Losses of margins: scores are compared with 0 and -1 stands for "no".
MARGINS = tuple(name for name, spec in LOSS_SPECS.items() if spec.margin)

#: Losses of :class:`MLPClassifier`; ``log_loss`` is the cross-entropy of the output.
CLASSIFIER = ("log_loss", *(n for n, spec in LOSS_SPECS.items() if "classification" in spec.tasks))
#: Losses of :class:`MLPRegressor`.
REGRESSOR = (
    *(name for name, spec in LOSS_SPECS.items() if "regression" in spec.tasks),
    losses.GaussianNLL.name,
)

_LOG_LOSS = {"logistic": "binary_cross_entropy", "softmax": "cross_entropy"}


def activation_name(activation: Any) -> Any:
    """The engine's name of a hidden activation, or a custom one itself.

    scikit-learn says logistic for sigmoid.
    """
    if isinstance(activation, str):
        return "sigmoid" if activation == "logistic" else activation
    return activation.name if isinstance(activation, _activations.Activation) else activation


def activations(activation: Any, layers: int) -> tuple[Any, ...]:
    """One activation for each hidden layer, from one name for all or one for each."""
    if isinstance(activation, (list, tuple)):
        if len(activation) != layers:
            raise ValueError(
                f"activation must be one name or one for each of the {layers} hidden layers, "
                f"got {activation!r}"
            )
        return tuple(activation_name(name) for name in activation)
    return (activation_name(activation),) * layers


def loss_name(loss: Any) -> str:
    """The engine's name of a loss, or of an object of ``fastmlp.losses``."""
    return loss if isinstance(loss, str) else str(loss.name)


def described(loss: Any) -> losses.Loss:
    """The object of ``fastmlp.losses`` behind an estimator's ``loss``.

    For a user's own function it is the squared error: outputs are values of targets.
    """
    return loss if isinstance(loss, losses.Loss) else _described(loss)


@functools.lru_cache(maxsize=64)
def _described(loss: str | Loss) -> losses.Loss:
    found = losses.get(loss)
    return losses.SquaredError() if isinstance(found, CustomLoss) else found


def is_margin(loss: Any) -> bool:
    """Whether a classifier's outputs are margins, with the threshold 0."""
    return loss_name(loss) in MARGINS


def has_probabilities(estimator: Any) -> None:
    """Raise ``AttributeError`` where a classifier's outputs are margins."""
    if is_margin(estimator.loss):
        raise AttributeError(
            f"loss={loss_name(estimator.loss)!r} has no probabilities; use loss='log_loss'"
        )


def has_margins(estimator: Any) -> None:
    """Raise ``AttributeError`` where a classifier's outputs are probabilities."""
    if not is_margin(estimator.loss):
        raise AttributeError("decision_function exists for hinge losses; use predict_proba")


def outputs_for(loss: Any, labels: Any) -> tuple[int, str]:
    """Number of outputs of a classifier and their activation, for ``LabelCodes``."""
    name, multilabel = loss_name(loss), labels.y_type_ == MULTILABEL
    if getattr(loss, "outputs_a_target", 1) > 1:
        raise ValueError(f"loss={loss!r} is for a regressor: it has several outputs for a target")
    one = labels.y_type_ == "binary"
    if name in LOSS_SPECS and LOSS_SPECS[name].for_one_output:
        if multilabel or len(labels.classes_) < 2:
            raise ValueError(f"loss={name!r} needs one label a row and two classes")
        one = False
    outputs = 1 if one else len(labels.classes_)
    if name in MARGINS:
        return outputs, "identity"
    return outputs, "logistic" if one or multilabel else "softmax"


def engine_loss(loss: Any, out_activation: str, n_outputs: int) -> Any:
    """The engine's loss for an estimator's ``loss``, output activation and number of outputs."""
    if isinstance(loss, str) and loss == "log_loss":
        return _LOG_LOSS[out_activation]
    if isinstance(loss, str) and loss in LOSS_SPECS:
        return _named_loss(loss, losses.Loss.registry.get(loss))
    found = losses.get(loss)
    if isinstance(found, CustomLoss):
        return found
    return found.for_network(n_outputs, OUTPUTS[out_activation])


@functools.lru_cache(maxsize=64)
def _named_loss(name: str, registered: Any) -> Any:
    """The loss of a name with its default constants, made once for each class that has it."""
    found = losses.get(name)
    return found if isinstance(found, CustomLoss) else found.spec()


def backend(name: str | None) -> Any:
    """The module of the backend of this name, or of the live one for ``None``."""
    return kernels.active() if name is None else _module(name)


@functools.cache
def _module(name: str) -> Any:
    return kernels.backend(name)


def network(estimator: Any, architecture: Architecture, dtype: Any) -> Any:
    """A network object on the estimator's backend."""
    module = backend(estimator.backend)
    return module.Network(architecture, dtype, n_threads=estimator.n_threads)


def trainer(
    name: str | None,
    architecture: Architecture,
    dtype: Any,
    loss: Any,
    rule: Any,
    *,
    cluster: Cluster | None = None,
    **options: Any,
) -> Any:
    """A trainer on the backend of this name, or one of several ranks on the live one."""
    arguments = architecture, dtype, loss, rule, TrainingOptions(**options)
    if cluster is not None:
        return ClusterTrainer(*arguments, cluster)
    trainer: Any = backend(name).Trainer(*arguments)
    return trainer
