"""Losses of the estimators: their names, the engine's, and which output goes with each."""

from __future__ import annotations

from typing import Any

from fastmlp.kernels import CustomLoss

from .. import losses
from ._labels import MULTILABEL

#: Losses of margins: scores are compared with 0 and -1 stands for "no".
MARGINS = ("hinge", "squared_hinge", "multiclass_hinge")

#: Losses of :class:`MLPClassifier`; ``log_loss`` is the cross-entropy of the output.
CLASSIFIER = ("log_loss", "squared_error", "absolute_error", "huber", *MARGINS)
#: Losses of :class:`MLPRegressor`.
REGRESSOR = ("squared_error", "poisson", "absolute_error", "huber", "quantile")

_LOG_LOSS = {"logistic": "binary_cross_entropy", "softmax": "cross_entropy"}


def name_of(loss: Any) -> str:
    """The engine's name of a loss, or of an object of ``fastmlp.losses``."""
    return loss if isinstance(loss, str) else str(loss.name)


def is_margin(loss: Any) -> bool:
    """Whether a classifier's outputs are margins, with the threshold 0."""
    return name_of(loss) in MARGINS


def has_probabilities(estimator: Any) -> None:
    """Raise ``AttributeError`` where a classifier's outputs are margins."""
    if is_margin(estimator.loss):
        raise AttributeError(
            f"loss={name_of(estimator.loss)!r} has no probabilities; use loss='log_loss'"
        )


def has_margins(estimator: Any) -> None:
    """Raise ``AttributeError`` where a classifier's outputs are probabilities."""
    if not is_margin(estimator.loss):
        raise AttributeError("decision_function exists for hinge losses; use predict_proba")


def outputs_for(loss: Any, labels: Any) -> tuple[int, str]:
    """Number of outputs of a classifier and their activation, for ``LabelCodes``."""
    name, multilabel = name_of(loss), labels.y_type_ == MULTILABEL
    one = labels.y_type_ == "binary"
    if name == "multiclass_hinge":
        if multilabel or len(labels.classes_) < 2:
            raise ValueError("loss='multiclass_hinge' needs one label a row and two classes")
        one = False
    outputs = 1 if one else len(labels.classes_)
    if name in MARGINS:
        return outputs, "identity"
    return outputs, "logistic" if one or multilabel else "softmax"


def for_engine(loss: Any, out_activation: str) -> Any:
    """The engine's loss for an estimator's ``loss`` and output activation."""
    if isinstance(loss, str) and loss == "log_loss":
        return _LOG_LOSS[out_activation]
    found = losses.get(loss)
    return found if isinstance(found, CustomLoss) else found.spec()
