"""What pictures need of a model: a network, or an estimator as the network that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._inputs import arrays
from .._network.network import Network
from .._typing import Array
from ..history import History

if TYPE_CHECKING:
    from ..mlp import MLP


@dataclass(frozen=True)
class Subject:
    """A network, and how the user's targets are meant.

    Attributes
    ----------
    network : MLP
        Of an estimator, one with copies of its parameters.
    classes : (n_classes,) array or None
        Labels of a classifier.
    loss : object or None
        What it was trained for; ``None`` for the loss that goes with the output.
    estimator : object or None
    """

    network: MLP
    classes: Array | None = None
    loss: Any = None
    estimator: Any = None

    def target(self, y: Any) -> Any:
        """Targets as the network takes them."""
        if self.estimator is None:
            return y
        shaped = self.estimator._shape_targets(np.asarray(y))
        self.estimator._check_validation_targets(shaped)
        return self.estimator._encode(shaped, self.network.dtype)

    def class_numbers(self, y: Any) -> Any:
        """The place of each label among the classes."""
        if self.classes is None:
            return y
        labels = np.asarray(y)
        unknown = np.setdiff1d(labels, self.classes)
        if labels.ndim != 1 or unknown.size:
            raise ValueError(f"y must hold labels among {self.classes}, got {unknown[:8]}")
        return np.searchsorted(self.classes, labels)


def subject(model: Any) -> Subject:
    """A network as it is, or the one in a fitted estimator of this package or of scikit-learn.

    Raises
    ------
    TypeError
        For anything else.
    ValueError
        Where an estimator is not fitted.
    """
    if isinstance(model, Network):
        network: Any = model
        return Subject(network)
    from ..estimators import from_sklearn
    from ..estimators._base import BaseMLP

    estimator = model
    if not isinstance(model, BaseMLP):
        try:
            estimator = from_sklearn(model)
        except TypeError:
            raise TypeError(
                "pictures are of a fastmlp.MLP, or of an MLPClassifier or MLPRegressor, got "
                f"{type(model).__name__}"
            ) from None
    if not hasattr(estimator, "coefs_"):
        raise ValueError(f"the {type(model).__name__} is not fitted yet: call fit first")
    classes = getattr(estimator, "classes_", None)
    labelled = classes is not None and estimator._labels().y_type_ != "multilabel-indicator"
    return Subject(
        _network(estimator), classes if labelled else None, estimator._engine_loss(), estimator
    )


def history(run: Any) -> History:
    """A history as it is, or the curves that an estimator has kept.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(run, History):
        return run
    if not hasattr(run, "loss_curve_"):
        what = "an estimator without loss_curve_" if hasattr(run, "solver") else type(run).__name__
        raise TypeError(
            f"history must be a History or a dict of label → History (or a fitted estimator), "
            f"got {what}"
        )
    found = History(loss=[float(loss) for loss in run.loss_curve_])
    scores = getattr(run, "validation_scores_", None)
    losses = getattr(run, "validation_loss_curve_", None)
    if losses:
        found.validation_loss.extend(float(loss) for loss in losses)
    if scores:
        found.metrics["validation_score"] = [float(score) for score in scores]
    return found


def rows(value: Any, name: str = "X") -> Array:
    """Rows as float64."""
    return arrays.numeric(value, name).astype(np.float64)


def _network(estimator: Any) -> MLP:
    from ..mlp import MLP

    net, flat = estimator._architecture(), estimator._packed()
    hidden = list(net.activations) or "relu"
    network = MLP(net.sizes, hidden, net.output, dtype=flat.dtype, n_threads=estimator.n_threads)
    network.parameters[...] = flat
    return network
