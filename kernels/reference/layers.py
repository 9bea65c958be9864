"""The equations of backpropagation for one dense layer, one line each.

Rows are samples; ``W`` is ``(n_in, n_out)``. A gradient is a mean over rows; of no rows it is zero.
"""

from __future__ import annotations

from .. import _checks
from .._custom_activation import CustomActivation
from .._typing import Array
from . import activations as _activations
from .numerics import quiet, sum_of_products, sum_of_rows


@quiet
def dense_forward(
    x: Array,
    weights: Array,
    bias: Array,
    activation: str | CustomActivation = "identity",
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.dense_forward(x, weights, bias, activation, out, n_threads)
    out[...] = _activations.apply(x @ weights + bias, activation)
    return out


@quiet
def delta_backward(
    delta: Array,
    weights: Array,
    activations: Array,
    activation: str | CustomActivation,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.delta_backward(delta, weights, activations, activation, out, n_threads)
    out[...] = _activations.of(activation).backward(delta @ weights.T, activations)
    return out


@quiet
def weight_gradient(
    x: Array, delta: Array, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    out = _checks.weight_gradient(x, delta, out, n_threads)
    out[...] = sum_of_products(x, delta) / max(len(x), 1)
    return out


@quiet
def bias_gradient(delta: Array, *, out: Array | None = None, n_threads: int | None = None) -> Array:
    out = _checks.bias_gradient(delta, out, n_threads)
    out[...] = sum_of_rows(delta) / max(len(delta), 1)
    return out
