"""Metrics: how good predictions are, apart from the loss that is minimised.

Definitions, reductions and edge cases are scikit-learn's, whose functions of the same purpose give
equal results; scikit-learn is not needed.

=====================  =====================================  ===============  ======
name                   scikit-learn's function                takes            better
=====================  =====================================  ===============  ======
``accuracy``           ``accuracy_score``                     classes          higher
``balanced_accuracy``  ``balanced_accuracy_score``            classes          higher
``f1``                 ``f1_score``                           classes          higher
``mcc``                ``matthews_corrcoef``                  classes          higher
``log_loss``           ``log_loss``                           probabilities    lower
``brier``              ``brier_score_loss``                   probabilities    lower
``roc_auc``            ``roc_auc_score`` (one versus rest)    scores           higher
``average_precision``  ``average_precision_score``            scores           higher
``top_k``              ``top_k_accuracy_score``               scores           higher
``r2``                 ``r2_score``                           values           higher
``d2``                 ``d2_pinball_score``                   values           higher
``mae``                ``mean_absolute_error``                values           lower
``mse``                ``mean_squared_error``                 values           lower
``rmse``               ``root_mean_squared_error``            values           lower
``mape``               ``mean_absolute_percentage_error``     values           lower
``pinball``            ``mean_pinball_loss``                  values           lower
=====================  =====================================  ===============  ======

``confusion`` (``confusion_matrix``) gives a matrix and so is no metric of a fit.

``fit(metrics=["accuracy"])`` takes these names and usual others for them (``"auc"``, ``"acc"``,
``"nll"``); where scikit-learn is installed the name of any function or scorer of
``sklearn.metrics`` (``"matthews_corrcoef"``, ``"f1_macro"``) and the scorers themselves; and any
function ``f(y_true, y_pred)``. What a metric takes is known from its name or its scorer; of a
function of one's own :class:`Metric` says it: ``Metric("lift", lift, takes="scores", mode="max")``.
Row weights reach every function that has an argument ``sample_weight``.
"""

from ._classes import accuracy, balanced_accuracy, confusion, f1, mcc
from ._names import METRICS, Metric, direction, get, greater_is_better
from ._probabilities import average_precision, brier, log_loss, roc_auc, top_k
from ._values import d2, mae, mape, mse, pinball, r2, rmse

__all__ = [
    "METRICS",
    "Metric",
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "brier",
    "confusion",
    "d2",
    "direction",
    "f1",
    "get",
    "greater_is_better",
    "log_loss",
    "mae",
    "mape",
    "mcc",
    "mse",
    "pinball",
    "r2",
    "rmse",
    "roc_auc",
    "top_k",
]
