"""Losses of the estimators: their names, the engine's, and which output goes with each."""

from __future__ import annotations

from typing import Any

from fastmlp.kernels import CustomLoss

from .. import losses

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


def for_engine(loss: Any, out_activation: str) -> Any:
    """The engine's loss for an estimator's ``loss`` and output activation."""
    if isinstance(loss, str) and loss == "log_loss":
        return _LOG_LOSS[out_activation]
    found = losses.get(loss)
    return found if isinstance(found, CustomLoss) else found.spec()
