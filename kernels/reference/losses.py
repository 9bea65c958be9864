"""Losses: the loss of each row and its derivative by the scores ``z`` of the output layer.

Both are computed from the scores, never from clipped probabilities, so that no finite score gives
an infinite loss. ``a`` is the output activation of ``z``; sums run over a row's outputs.

====================  ==========================================  =======================
loss of one row       from the scores                             δ = ∂C/∂z
====================  ==========================================  =======================
squared error         ½ Σ (a - y)²                                (a - y) ⊙ σ'(z)
binary cross-entropy  Σ log(1 + exp z) - y z                      a - y
cross-entropy         log(Σ exp z) Σ y - Σ y z                    a Σ y - y
====================  ==========================================  =======================

The loss of a batch is the mean over its rows, weighted where sample weights are given
(``Σ w C / Σ w``, zero where all weights are).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from . import activations

Array = np.ndarray[Any, Any]


def dense_target(target: Array, n_out: int, dtype: Any) -> Array:
    """Targets as a matrix: integer class labels become one-hot rows."""
    if target.ndim == 2:
        return target
    one_hot = np.zeros((len(target), n_out), dtype)
    one_hot[np.arange(len(target)), target] = 1
    return one_hot


def row_losses(z: Array, y: Array, loss: str, output: str) -> Array:
    """Loss of every row, shape ``(n,)``."""
    zero = z.dtype.type(0)
    losses: Array
    if loss == "squared_error":
        losses = 0.5 * np.square(activations.apply(z, output) - y).sum(axis=1)
    elif loss == "binary_cross_entropy":
        losses = (np.logaddexp(zero, z) - y * z).sum(axis=1)
    else:
        highest = z.max(axis=1, keepdims=True)
        log_sum = highest[:, 0] + np.log(np.exp(z - highest).sum(axis=1))
        losses = log_sum * y.sum(axis=1) - (y * z).sum(axis=1)
    return losses


def row_deltas(z: Array, y: Array, loss: str, output: str) -> Array:
    """Output error ``δ^L = ∂C/∂z`` of every row, shape ``(n, n_out)``."""
    a = activations.apply(z, output)
    residual: Array = a - y
    if loss == "binary_cross_entropy":
        return residual
    if loss == "cross_entropy":
        residual = a * y.sum(axis=1, keepdims=True) - y
        return residual
    if output == "softmax":  # its Jacobian is diag(a) - a aᵀ
        residual = a * (residual - (residual * a).sum(axis=1, keepdims=True))
        return residual
    return activations.TABLE[output].backward(residual, a)


def output_delta(
    scores: Array,
    target: Array,
    loss: str,
    output: str,
    *,
    sample_weight: Array | None = None,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    out = _checks.output("out", out, scores.shape, scores.dtype, scores, target)
    if out.size:
        y = dense_target(target, scores.shape[1], scores.dtype)
        out[...] = row_deltas(scores, y, loss, output)
        if sample_weight is not None:
            out *= sample_weight[:, None]
    return out


def loss_value(
    scores: Array,
    target: Array,
    loss: str,
    output: str,
    *,
    sample_weight: Array | None = None,
    n_threads: int | None = None,
) -> float:
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    if scores.size == 0:
        return 0.0
    y = dense_target(target, scores.shape[1], scores.dtype)
    losses = row_losses(scores, y, loss, output).astype(np.float64)
    return weighted_mean(losses, sample_weight)


def weighted_mean(losses: Array, sample_weight: Array | None) -> float:
    """``Σ w C / Σ w`` in float64; zero for no rows or for weights that are all zero."""
    if sample_weight is None:
        return float(losses.mean()) if losses.size else 0.0
    total = float(sample_weight.sum(dtype=np.float64))
    return float(losses @ sample_weight.astype(np.float64)) / total if total > 0 else 0.0
