"""Losses: the loss of each row and its derivative by the scores ``z`` of the output layer, δ.

``a`` is the output activation of ``z``, ``y`` the target; sums run over a row's outputs. Losses of
outputs are functions of ``a`` and ``y`` and go through the output's derivative; losses of scores
are computed from ``z`` alone, so that no finite score gives an infinite loss (but for ``exp``).

========================  ======================================  ==============================
loss of outputs           of one output, r = a - y                by a
========================  ======================================  ==============================
``squared_error``         ½ r²                                    r
``absolute_error``        abs r                                   sign r, 0 at 0
``huber``                 ½ r² up to d, then d (abs r - ½ d)      r within ±d
``quantile``              q max(-r, 0) + (1 - q) max(r, 0)        1 - q above, -q below, 0 at 0
``log_cosh``              log cosh r                              tanh r
========================  ======================================  ==============================

========================  ======================================  ==============================
loss of scores            of one row                              δ = ∂C/∂z
========================  ======================================  ==============================
``poisson``               Σ exp z - y z + (y log y - y)           a - y
``binary_cross_entropy``  Σ log(1 + exp z) - y z                  a - y
``cross_entropy``         log(Σ exp z) Σ y - Σ y z                a Σ y - y
``hinge``                 Σ max(0, m), m = 1 - y z                -y where m > 0
``squared_hinge``         Σ max(0, m)²                            -2 y m where m > 0
``multiclass_hinge``      max(0, m), m = 1 + max_j≠k z_j - z_k    1 at j, -1 at k where m > 0
========================  ======================================  ==============================

``poisson`` is half the deviance of ``y ≥ 0`` from ``exp z``, as in scikit-learn (0 log 0 = 0). The
hinges are Cortes and Vapnik's (1995) and Crammer and Singer's (2001), which takes the first of
several largest ``z_j``; at the kink, ``m = 0``, the derivative is 0. NaN in a score makes the loss
NaN, and δ of that score (for softmax and ``multiclass_hinge``: of the row).

Targets are ``(n, n_out)`` values, or ``(n,)`` integer labels, which stand for one-hot rows; for the
hinges, whose values are -1 and 1, for 1 at the label and -1 elsewhere. ``multiclass_hinge`` takes
as class ``k`` the label, or the place of the row's (first) largest value.

The loss of a batch is the mean over its rows, weighted where sample weights are given
(``Σ w C / Σ w``, zero where all weights are).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from .._custom import CustomLoss, TargetWeights
from .._specs import Loss, loss_spec
from .._typing import Array
from . import activations, outputs
from .numerics import quiet

Constants = Mapping[str, float]


class OfOutputs(NamedTuple):
    """A loss that is a sum over outputs: its value and derivatives by ``a``, of ``r = a - y``.

    ``curvature`` is the second one, ``None`` where it is 0 wherever there is one.
    """

    value: Callable[[Array, Constants], Array]
    slope: Callable[[Array, Constants], Array]
    curvature: Callable[[Array, Constants], Array] | None = None


class OfScores(NamedTuple):
    """A loss of scores ``z`` and targets ``y``: of rows ``(n,)``, and its derivative by ``z``.

    ``along(z, y, direction)`` is the derivative of that along a direction of the scores, and
    ``None`` where it is 0 wherever there is one.
    """

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    along: Callable[[Array, Array, Array], Array] | None = None


def _huber(r: Array, c: Constants) -> Array:
    size = np.abs(r)
    quadratic = np.minimum(size, c["delta"])
    result: Array = quadratic * (size - 0.5 * quadratic)
    return result


def _quantile(r: Array, c: Constants) -> Array:
    return c["quantile"] * np.maximum(-r, 0) + (1 - c["quantile"]) * np.maximum(r, 0)


def _quantile_slope(r: Array, c: Constants) -> Array:
    # At 0 the result is r itself, which keeps NaN.
    return np.where(r > 0, 1 - c["quantile"], np.where(r < 0, -c["quantile"], r))


def _log_cosh(r: Array) -> Array:
    # cosh m - 1 = (exp(-m) - 1)² / 2 exp(-m); beyond m = 20 the logarithm grows as r itself does.
    size = np.abs(r)
    m = np.minimum(size, 20)
    result: Array = np.log1p(0.5 * np.square(np.expm1(-m)) / np.exp(-m)) + (size - m)
    return result


def _poisson(z: Array, y: Array) -> Array:
    with np.errstate(divide="ignore"):
        scores = np.where(y == 0, 0, z - np.log(y))  # of the rate, relative to y
    result: Array = (np.exp(z) - y - y * scores).sum(axis=1)
    return result


def _cross_entropy(z: Array, y: Array) -> Array:
    highest = z.max(axis=1, keepdims=True)
    log_sum = highest[:, 0] + np.log(np.exp(z - highest).sum(axis=1))
    result: Array = log_sum * y.sum(axis=1) - (y * z).sum(axis=1)
    return result


def _where_positive(margin: Array, value: Array) -> Array:
    """``value`` where the margin is positive, NaN where it is NaN, else 0."""
    return np.where(margin > 0, value, np.where(margin <= 0, 0, margin))


def _rivals(z: Array, y: Array) -> tuple[Array, Array, Array]:
    """Class ``k`` of each row, the first largest other score's place, and the margin ``m``."""
    rows = np.arange(len(z))
    k = y.argmax(axis=1)
    others = z.copy()
    others[rows, k] = -np.inf
    j = others.argmax(axis=1)
    j = np.where(j == k, 1, j)  # so came out k = 0, of rivals that all are -inf
    return k, j, 1 + np.where(np.isnan(z).any(axis=1), np.nan, z[rows, j] - z[rows, k])


def _multiclass_hinge(z: Array, y: Array) -> Array:
    return np.maximum(_rivals(z, y)[2], 0).astype(z.dtype)


def _multiclass_hinge_slope(z: Array, y: Array) -> Array:
    k, j, margin = _rivals(z, y)
    delta, rows = np.zeros_like(z), np.arange(len(z))
    delta[rows, j], delta[rows, k] = 1, -1
    return _where_positive(margin[:, None], delta)


# A new loss goes into one of these (and into `LOSS_SPECS` of _names.py).
OF_OUTPUTS = {
    "squared_error": OfOutputs(
        lambda r, c: 0.5 * r * r, lambda r, c: r, lambda r, c: np.ones_like(r)
    ),
    "absolute_error": OfOutputs(lambda r, c: np.abs(r), lambda r, c: np.sign(r)),
    "huber": OfOutputs(
        _huber,
        lambda r, c: np.clip(r, -c["delta"], c["delta"]),
        lambda r, c: (np.abs(r) <= c["delta"]).astype(r.dtype),
    ),
    "quantile": OfOutputs(_quantile, _quantile_slope),
    "log_cosh": OfOutputs(
        lambda r, c: _log_cosh(r),
        lambda r, c: np.tanh(r),
        lambda r, c: 1 - np.square(np.tanh(r)),
    ),
}
OF_SCORES = {
    "poisson": OfScores(
        _poisson,
        lambda z, y: np.exp(z) - y,
        lambda z, y, d: np.exp(z) * d,
    ),
    "binary_cross_entropy": OfScores(
        lambda z, y: (activations.softplus(z) - y * z).sum(axis=1),
        lambda z, y: activations.sigmoid(z) - y,
        lambda z, y, d: outputs.times_jacobian("sigmoid", activations.sigmoid(z), d),
    ),
    "cross_entropy": OfScores(
        _cross_entropy,
        lambda z, y: activations.softmax(z) * y.sum(axis=1, keepdims=True) - y,
        lambda z, y, d: (
            y.sum(axis=1, keepdims=True)
            * outputs.times_jacobian("softmax", activations.softmax(z), d)
        ),
    ),
    "hinge": OfScores(
        lambda z, y: np.maximum(1 - y * z, 0).sum(axis=1),
        lambda z, y: _where_positive(1 - y * z, -y),
    ),
    "squared_hinge": OfScores(
        lambda z, y: np.square(np.maximum(1 - y * z, 0)).sum(axis=1),
        lambda z, y: -2 * y * np.maximum(1 - y * z, 0),
        lambda z, y, d: np.where(y * z < 1, 2 * y * y * d, z.dtype.type(0)),
    ),
    "multiclass_hinge": OfScores(_multiclass_hinge, _multiclass_hinge_slope),
}


def dense_target(target: Array, n_out: int, dtype: Any, loss: Loss) -> Array:
    """Targets as a matrix: labels as rows, and smoothed where the loss says so."""
    y = target
    if target.ndim == 1:
        y = np.zeros((len(target), n_out), dtype)
        y[np.arange(len(target)), target] = 1
        if loss_spec(loss).low:
            y = y + (1 - y) * loss_spec(loss).low
    if s := loss.constants.get("label_smoothing"):
        if loss_spec(loss).exclusive:
            y = (1 - s) * y + s / n_out * y.sum(axis=1, keepdims=True)
        else:
            y = (1 - s) * y + s / 2
    return y


def row_losses(z: Array, y: Array, loss: Loss, output: str, factors: Array | None = None) -> Array:
    """Loss of every row, shape ``(n,)``; ``y`` as made by :func:`dense_target`.

    With ``factors`` of its targets, ``(n, n_targets)``, the loss of each is multiplied by its own.
    """
    if factors is not None:
        if output == "softmax":
            z, output = activations.apply(z, output), "identity"
        values = row_losses(*_by_target(z, y, factors), loss, output).reshape(factors.shape)
        total: Array = np.where(factors == 0, 0, factors * values).sum(axis=1)
        return total
    if isinstance(loss, CustomLoss):
        return loss.evaluate(z, y)[0]
    if loss.name in OF_SCORES:
        return OF_SCORES[loss.name].value(z, y)
    r = activations.apply(z, output) - y
    result: Array = OF_OUTPUTS[loss.name].value(r, loss.constants).sum(axis=1)
    return result


def _by_target(z: Array, y: Array, factors: Array) -> tuple[Array, Array]:
    """Scores and targets with a row for each target, of as many outputs as it has."""
    shape = factors.size, z.shape[1] // factors.shape[1]
    return z.reshape(shape), y.reshape(shape)


def row_deltas(z: Array, y: Array, loss: Loss, output: str, factors: Array | None = None) -> Array:
    """Output error ``δ^L = ∂C/∂z`` of every row, shape ``(n, n_out)``."""
    if factors is not None:
        a = activations.apply(z, output) if output == "softmax" else z
        inner = "identity" if output == "softmax" else output
        slopes = row_deltas(*_by_target(a, y, factors), loss, inner).reshape(z.shape)
        each = np.repeat(factors, z.shape[1] // factors.shape[1], axis=1)
        delta = np.where(each == 0, z.dtype.type(0), each * slopes)
        return outputs.times_jacobian(output, a, delta) if output == "softmax" else delta
    if isinstance(loss, CustomLoss):
        return loss.evaluate(z, y)[1]
    if loss.name in OF_SCORES:
        return OF_SCORES[loss.name].slope(z, y)
    a = activations.apply(z, output)
    slope = OF_OUTPUTS[loss.name].slope(a - y, loss.constants)
    return outputs.times_jacobian(output, a, slope)


def row_deltas_along(
    z: Array, y: Array, loss: Loss, output: str, direction: Array, factors: Array | None = None
) -> Array:
    """The derivative of :func:`row_deltas` along a direction of the scores, ``(n, n_out)``.

    It is the Hessian of every row's loss by its scores, times the direction. ``factors``, where
    given, are those of its outputs.
    """

    def counting(value: Array) -> Array:
        if factors is None:
            return value
        return np.where(factors == 0, z.dtype.type(0), factors * value)

    if loss.name in OF_SCORES:
        along = OF_SCORES[loss.name].along
        return np.zeros_like(z) if along is None else counting(along(z, y, direction))
    form = OF_OUTPUTS[loss.name]
    a = activations.apply(z, output)
    a_dot = outputs.times_jacobian(output, a, direction)
    slope = counting(form.slope(a - y, loss.constants).astype(z.dtype))
    result = outputs.along(output, a, a_dot, slope)
    if form.curvature is not None:
        bent = counting(form.curvature(a - y, loss.constants) * a_dot)
        result += outputs.times_jacobian(output, a, bent)
    return result


def parts_of(sample_weight: Any) -> tuple[Array | None, Array | None]:
    """Weights of rows, and factors of targets, of what is given as ``sample_weight``."""
    if isinstance(sample_weight, TargetWeights):
        return sample_weight.rows, sample_weight.factors
    return sample_weight, None


@quiet
def output_delta(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    *,
    sample_weight: Array | None = None,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    out = _checks.output("out", out, scores.shape, scores.dtype, scores, target)
    if out.size:
        loss = Loss.of(loss)
        y = dense_target(target, scores.shape[1], scores.dtype, loss)
        weight, factors = parts_of(sample_weight)
        out[...] = row_deltas(scores, y, loss, output, factors)
        if weight is not None:
            out *= weight[:, None]
    return out


@quiet
def loss_value(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    *,
    sample_weight: Array | None = None,
    n_threads: int | None = None,
) -> float:
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    if scores.size == 0:
        return 0.0
    loss = Loss.of(loss)
    y = dense_target(target, scores.shape[1], scores.dtype, loss)
    weight, factors = parts_of(sample_weight)
    losses = row_losses(scores, y, loss, output, factors).astype(np.float64)
    return weighted_mean(losses, weight)


def weighted_mean(losses: Array, sample_weight: Array | None) -> float:
    """``Σ w C / Σ w`` in float64; zero for no rows or for weights that are all zero."""
    if sample_weight is None:
        return float(losses.mean()) if losses.size else 0.0
    total = float(sample_weight.sum(dtype=np.float64))
    return float(losses @ sample_weight.astype(np.float64)) / total if total > 0 else 0.0
