"""What metrics are given: pairs of equal shape, values in columns, weights of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .._typing import Array


def pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Both as arrays of one shape, ``(n,)`` or ``(n, k)``, with at least one row."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.shape != pred.shape or true.ndim not in (1, 2) or len(true) == 0:
        raise ValueError(
            f"y_true and y_pred must have the same rows, at least one, got {true.shape} "
            f"and {pred.shape}"
        )
    return true, pred


def columns(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Values of both as ``(n, n_out)`` columns; ``(n,)`` and ``(n, 1)`` mean the same."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim == 1 and pred.ndim == 2:
        true = true[:, None]
    elif true.ndim == 2 and pred.ndim == 1:
        pred = pred[:, None]
    pair(true, pred)
    shape = (len(true), -1)
    return true.reshape(shape).astype(np.float64), pred.reshape(shape).astype(np.float64)


def weights(sample_weight: ArrayLike | None, n: int) -> Array:
    """Weights of ``n`` rows, all 1 where there are none."""
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weight.shape}")
    if not (np.isfinite(weight).all() and weight.min() >= 0 and weight.any()):
        raise ValueError("sample_weight must be finite, not negative, and not zero for every row")
    return weight


def over_outputs(
    function: Callable[..., float], y_true: Array, y_pred: Array, weight: Array, weighs: bool = True
) -> float:
    """The mean over outputs of a metric with a weight for each target, ``(n, n_out)``.

    Each output is measured where it has a weight (``weighs`` says whether the metric takes them);
    NaN where none has one.
    """
    found = []
    for own, true, pred in zip(weight.T, y_true.T, y_pred.T, strict=True):
        if (seen := own > 0).any():
            given = {"sample_weight": own[seen]} if weighs else {}
            found.append(function(true[seen], pred[seen], **given))
    return float(np.mean(found)) if found else float("nan")


def mean(values: Array, sample_weight: ArrayLike | None) -> float:
    """The weighted mean over rows."""
    weight = weights(sample_weight, len(values))
    return float(np.dot(values, weight) / weight.sum())
