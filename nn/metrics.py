"""Metrics: how good predictions are, apart from the loss that is minimised.

Definitions, reductions and edge cases are scikit-learn's, whose functions of the same purpose give
equal results; scikit-learn is not needed.

=====================  =========================================  ========================
name                   scikit-learn's function                    takes predictions as
=====================  =========================================  ========================
``accuracy``           ``accuracy_score``                         classes
``balanced_accuracy``  ``balanced_accuracy_score``                classes
``f1``                 ``f1_score``                               classes
``log_loss``           ``log_loss``                               probabilities
``r2``                 ``r2_score``                               values
``mae``                ``mean_absolute_error``                    values
``rmse``               ``root_mean_squared_error``                values
=====================  =========================================  ========================

``fit(metrics=["accuracy"])`` takes these names, where scikit-learn is installed the name of any
function of ``sklearn.metrics`` (``"matthews_corrcoef"``), and any function ``f(y_true, y_pred)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ._typing import Array

__all__ = [
    "Metric",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "get",
    "greater_is_better",
    "log_loss",
    "mae",
    "r2",
    "rmse",
]


def accuracy(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Share of rows whose class is right; of multilabel rows, those where all labels are.

    Parameters
    ----------
    y_true, y_pred : (n,) arrays of classes, or (n, n_labels) arrays of 0 and 1
    sample_weight : (n,) array, optional
    """
    true, pred = _pair(y_true, y_pred)
    right = true == pred
    return _mean(right.all(axis=1) if right.ndim == 2 else right, sample_weight)


def balanced_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Mean over the classes of the share of their rows that is right.

    Parameters
    ----------
    y_true, y_pred : (n,) arrays of classes
    sample_weight : (n,) array, optional
    """
    true, pred = _pair(y_true, y_pred)
    if true.ndim != 1:
        raise ValueError(f"balanced accuracy needs one class a row, got shape {true.shape}")
    weight = _weights(sample_weight, len(true))
    _, classes = np.unique(true, return_inverse=True)
    total = np.bincount(classes, weight)
    right = np.bincount(classes, weight * (true == pred))
    return float(np.mean(right[total > 0] / total[total > 0]))


def f1(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    average: Literal["binary", "macro"] = "macro",
) -> float:
    """F1, the harmonic mean of precision and recall, ``2 TP / (2 TP + FP + FN)``.

    Zero for a class that is neither there nor predicted.

    Parameters
    ----------
    y_true, y_pred : (n,) arrays of classes, or (n, n_labels) arrays of 0 and 1
    sample_weight : (n,) array, optional
    average : {"macro", "binary"}
        The mean over all classes (or labels) that occur in either, or the F1 of class 1 alone.
    """
    if average not in ("binary", "macro"):
        raise ValueError(f"average must be 'binary' or 'macro', got {average!r}")
    true, pred = _pair(y_true, y_pred)
    weight = _weights(sample_weight, len(true))[:, None]
    if true.ndim == 1:
        classes = np.array([1]) if average == "binary" else np.union1d(true, pred)
        true, pred = true[:, None] == classes, pred[:, None] == classes
    true, pred = true.astype(bool), pred.astype(bool)
    hits = (weight * (true & pred)).sum(axis=0)
    both = (weight * true).sum(axis=0) + (weight * pred).sum(axis=0)
    return float(np.mean(np.divide(2 * hits, both, out=np.zeros(both.shape), where=both > 0)))


def log_loss(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of ``-log p`` of the right class.

    Probabilities are clipped to ``ε … 1 - ε`` with the ``ε`` of their dtype, so that no single row
    makes the mean infinite.

    Parameters
    ----------
    y_true : (n,) array of classes ``0 … n_classes - 1``, or (n, n_classes) array of one-hot rows
    y_pred : (n, n_classes) array of probabilities, or (n,) or (n, 1) array of those of class 1
    sample_weight : (n,) array, optional
    """
    true, p = np.asarray(y_true), np.asarray(y_pred)
    if p.dtype.kind != "f":
        p = p.astype(np.float64)
    epsilon = np.finfo(p.dtype).eps
    p = np.clip(p, epsilon, 1 - epsilon).astype(np.float64)
    if p.ndim == 1 or p.shape[1] == 1:
        p = np.column_stack([1 - p.ravel(), p.ravel()])
    if true.ndim == 2 and true.shape[1] == 1:
        true = true[:, 0]
    if true.ndim == 1:
        if not np.isin(true, np.arange(p.shape[1])).all():
            raise ValueError(f"y_true must hold classes of 0…{p.shape[1] - 1}, got {true!r}")
        one_hot = np.zeros(p.shape)
        one_hot[np.arange(len(true)), true.astype(np.intp)] = 1
        true = one_hot
    if true.shape != p.shape:
        raise ValueError(f"y_true and y_pred do not fit: {true.shape} and {p.shape}")
    return _mean(-(true * np.log(p)).sum(axis=1), sample_weight)


def r2(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Coefficient of determination, ``1 - Σ (y - a)² / Σ (y - ȳ)²``, mean over the outputs.

    An output whose targets are all equal counts 1 where it is met exactly and else 0, as with
    scikit-learn's ``force_finite=True``. NaN for a single row.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
    sample_weight : (n,) array, optional
    """
    true, pred = _columns(y_true, y_pred)
    if len(true) < 2:
        return float("nan")
    weight = None if sample_weight is None else _weights(sample_weight, len(true))
    factor = 1.0 if weight is None else weight[:, None]
    # The operations and their order are scikit-learn's, so that the bits are equal too.
    residual = (factor * (true - pred) ** 2).sum(axis=0)
    total = (factor * (true - np.average(true, axis=0, weights=weight)) ** 2).sum(axis=0)
    scores = 1 - np.divide(residual, total, out=np.ones(total.shape), where=total != 0)
    scores[residual == 0] = 1
    return float(np.average(scores))


def mae(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of ``|y - a|``, over rows and outputs.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
    sample_weight : (n,) array, optional
    """
    true, pred = _columns(y_true, y_pred)
    return _mean(np.abs(true - pred).mean(axis=1), sample_weight)


def rmse(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Root of the mean of ``(y - a)²`` over rows, mean over the outputs.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
    sample_weight : (n,) array, optional
    """
    true, pred = _columns(y_true, y_pred)
    weight = _weights(sample_weight, len(true))[:, None]
    squares = (weight * np.square(true - pred)).sum(axis=0) / weight.sum()
    return float(np.sqrt(squares).mean())


@dataclass(frozen=True)
class Metric:
    """A metric of ``fit``: its name in the history, what it computes, and from what.

    Attributes
    ----------
    takes : {"classes", "probabilities", "values", "either"}
        ``"either"``: classes where the targets are classes, else values.
    """

    name: str
    function: Callable[..., float]
    takes: Literal["classes", "probabilities", "values", "either"] = "either"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, "classes"),
        Metric("balanced_accuracy", balanced_accuracy, "classes"),
        Metric("f1", f1, "classes"),
        Metric("log_loss", log_loss, "probabilities"),
        Metric("r2", r2, "values"),
        Metric("mae", mae, "values"),
        Metric("rmse", rmse, "values"),
    )
}


def get(metrics: Any) -> list[Metric]:
    """Return the metrics that are named or given, one or several.

    Raises
    ------
    ValueError
        For an unknown name, or the same name twice.
    TypeError
        For anything else.
    """
    if isinstance(metrics, (str, Metric)) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be a list of names or functions, got {metrics!r}")
    found = [_one(metric) for metric in metrics]
    names = [metric.name for metric in found]
    if len(set(names)) < len(names):
        raise ValueError(f"metrics must have different names, got {names}")
    return found


def _one(metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        return METRICS[metric] if metric in METRICS else Metric(metric, _of_sklearn(metric))
    if callable(metric) and not isinstance(metric, type):
        # The functions of this module are what their names are: log_loss takes probabilities.
        for known in METRICS.values():
            if metric is known.function:
                return known
        return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
    raise TypeError(f"a metric must be a name or a function (y_true, y_pred), got {metric!r}")


def _of_sklearn(name: str) -> Callable[..., float]:
    known = f"one of {tuple(METRICS)}"
    try:
        module = importlib.import_module("sklearn.metrics")
    except ImportError:
        raise ValueError(
            f"metric must be {known}, or with scikit-learn installed (pip install "
            f"'fastmlp[sklearn]') a function of sklearn.metrics; got {name!r}"
        ) from None
    function = getattr(module, name, None) if name in module.__all__ else None
    if not callable(function) or isinstance(function, type):
        raise ValueError(f"metric must be {known} or a function of sklearn.metrics, got {name!r}")
    result: Callable[..., float] = function
    return result


def greater_is_better(name: str) -> bool:
    """Whether a metric of this name is better where it is higher."""
    lower = ("log_loss", "mae", "rmse")
    return name not in lower and not name.endswith(("_error", "_loss", "_deviance"))


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.shape != pred.shape or true.ndim not in (1, 2) or len(true) == 0:
        raise ValueError(
            f"y_true and y_pred must have the same rows, at least one, got {true.shape} "
            f"and {pred.shape}"
        )
    return true, pred


def _columns(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Values of both as ``(n, n_out)`` columns; ``(n,)`` and ``(n, 1)`` mean the same."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim == 1 and pred.ndim == 2:
        true = true[:, None]
    elif true.ndim == 2 and pred.ndim == 1:
        pred = pred[:, None]
    _pair(true, pred)
    shape = (len(true), -1)
    return true.reshape(shape).astype(np.float64), pred.reshape(shape).astype(np.float64)


def _weights(sample_weight: ArrayLike | None, n: int) -> Array:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weight.shape}")
    if not (np.isfinite(weight).all() and weight.min() >= 0 and weight.any()):
        raise ValueError("sample_weight must be finite, not negative, and not zero for every row")
    return weight


def _mean(values: Array, sample_weight: ArrayLike | None) -> float:
    weight = _weights(sample_weight, len(values))
    return float(np.dot(values, weight) / weight.sum())
