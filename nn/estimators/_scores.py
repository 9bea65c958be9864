"""Scores of predictions: accuracy and R²; logarithms of probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array


def accuracy(y: Array, predicted: Array, sample_weight: Any = None) -> float:
    """Share of rows (by weight) that are right in all their outputs."""
    if y.shape != predicted.shape:
        raise ValueError(f"y must have shape {predicted.shape}, got {y.shape}")
    right = y == predicted
    if right.ndim == 2:
        right = right.all(axis=1)
    return float(np.average(right, weights=sample_weight))


def are_plain_labels(y: Any, classes: Any) -> bool:
    """Whether ``y`` is an array of one label a row, comparable with these classes as it is."""
    return (
        y.__class__ is np.ndarray
        and y.ndim == 1
        and y.dtype.kind in "biuU"
        and y.dtype.kind == getattr(getattr(classes, "dtype", None), "kind", "")
    )


def r2(y: Array, predicted: Array, sample_weight: Any = None) -> float:
    """``1 - Σ w (y - p)² / Σ w (y - ȳ)²``, averaged over outputs.

    An output whose targets are all equal counts 1 where it is predicted exactly, else 0.
    """
    if y.size != predicted.size or len(y) != len(predicted):
        raise ValueError(f"y must have shape {predicted.shape}, got {y.shape}")
    y = y.reshape(len(y), -1).astype(np.float64)
    predicted = predicted.reshape(y.shape)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    residual = weight @ np.square(y - predicted)
    spread = weight @ np.square(y - np.average(y, axis=0, weights=weight))
    scores = np.where(residual == 0, 1.0, 0.0)
    varied = spread > 0
    scores[varied] = 1 - residual[varied] / spread[varied]
    return float(scores.mean())


def log_probabilities(z: Array, output: str) -> Array:
    """Logarithms of the probabilities of scores ``z``, finite where those are.

    Softmax: ``z - log Σ exp z``; logistic: ``-log(1 + exp(-z))``, for one output with that of its
    complement before it.
    """
    log_proba: Array
    if output == "softmax":
        shifted = z - z.max(axis=1, keepdims=True)
        log_proba = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return log_proba
    zero = z.dtype.type(0)
    log_proba = -np.logaddexp(zero, -z)
    return np.hstack([-np.logaddexp(zero, z), log_proba]) if z.shape[1] == 1 else log_proba
