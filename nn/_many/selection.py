"""Means of networks, and which networks make a good one (Caruana et al. 2004)."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels

from .._typing import Array

#: Networks that are added at most, with those that are added again.
ROUNDS = 50


def greedy(
    outputs: Array,
    target: Array,
    loss: Any,
    output: str,
    weight: Array | None,
    rounds: int = ROUNDS,
) -> tuple[Array, list[float]]:
    """How often each network counts in the mean, chosen on rows that none was trained on.

    R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes, *Ensemble selection from libraries of
    models*, ICML 2004, with replacement: start with the best network, add in each round the one
    (again or for the first time) that makes the loss of the mean lowest, and take the round with
    the lowest of all.

    Parameters
    ----------
    outputs : (k, n, n_out) array
        Predictions of the networks.
    target : (n,) labels or (n, n_out) array
    loss, output : object, str
        What the networks are trained with, and their output activation.
    weight : (n,) array or None

    Returns
    -------
    counts : (k,) array of int
    losses : list of float
        Of the mean after each round.
    """
    outputs = outputs.astype(np.float64, copy=False)
    values = None if target.ndim == 1 else target.astype(np.float64, copy=False)
    truth = target if values is None else values
    weight = None if weight is None else weight.astype(np.float64, copy=False)
    total, chosen, losses = np.zeros(outputs.shape[1:]), [], []
    for n in range(1, rounds + 1):
        tried = [loss_of_outputs((total + one) / n, truth, loss, output, weight) for one in outputs]
        best = int(np.nanargmin(tried)) if np.isfinite(tried).any() else 0
        chosen.append(best)
        losses.append(tried[best])
        total += outputs[best]
    until = int(np.argmin(losses)) + 1
    return np.bincount(chosen[:until], minlength=len(outputs)), losses


def loss_of_outputs(
    outputs: Array, target: Array, loss: Any, output: str, weight: Array | None
) -> float:
    """Mean loss of values of the output layer, ``(n, n_out)``, by way of the scores behind them."""
    value: float = kernels.loss_value(
        scores_of(outputs, output), target, loss, output, sample_weight=weight
    )
    return float(value)


def scores_of(outputs: Array, output: str) -> Array:
    """Scores for which the output layer has these values, finite also for probabilities 0 and 1."""
    if output == "identity":
        return outputs
    tiny = np.finfo(outputs.dtype).tiny
    logs: Array = np.log(np.maximum(outputs, tiny))
    if output == "sigmoid":
        logs -= np.log(np.maximum(1 - outputs, np.finfo(outputs.dtype).eps / 2))
    return logs


def moments(outputs: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted mean and standard deviation over the first axis, computed in float64."""
    mean = np.tensordot(weights, outputs.astype(np.float64, copy=False), 1)
    square = np.zeros_like(mean)
    for weight, one in zip(weights, outputs, strict=True):
        square += weight * (one - mean) ** 2
    return mean.astype(outputs.dtype), np.sqrt(square).astype(outputs.dtype)
