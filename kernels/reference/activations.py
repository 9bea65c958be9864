"""Activations: the function, and its derivative as a product with an error, side by side.

A derivative takes the activation's *output* ``a = σ(z)``, which the forward pass has kept, and
returns ``delta ⊙ σ'(z)``. Where σ' is zero the product is zero whatever ``delta`` holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import _checks

Array = np.ndarray[Any, Any]


class Activation(NamedTuple):
    """One activation: ``function(z) -> a`` and ``backward(delta, a) -> delta ⊙ σ'(z)``."""

    function: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


def sigmoid(z: Array) -> Array:
    """``1 / (1 + exp(-z))``, as ``exp(-log(1 + exp(-z)))``: small values keep their digits."""
    result: Array = np.exp(-np.logaddexp(z.dtype.type(0), -z))
    return result


def softmax(z: Array) -> Array:
    """``exp(z_j) / Σ_k exp(z_k)`` of each row, shifted by the row's maximum."""
    if z.shape[1] == 0:
        return z.copy()
    shifted = np.exp(z - z.max(axis=1, keepdims=True))
    result: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def _where(mask: Array, delta: Array) -> Array:
    return np.where(mask, delta, delta.dtype.type(0))


# A new activation goes here (and into `ACTIVATIONS` of _specs.py).
TABLE = {
    "identity": Activation(
        lambda z: z.copy(),
        lambda delta, a: delta.copy(),
    ),
    "sigmoid": Activation(
        sigmoid,
        lambda delta, a: delta * (a * (1 - a)),
    ),
    "tanh": Activation(
        np.tanh,
        lambda delta, a: delta * (1 - a * a),
    ),
    "hardtanh": Activation(
        lambda z: np.clip(z, -1, 1),
        lambda delta, a: _where(np.abs(a) < 1, delta),
    ),
    "relu": Activation(
        lambda z: np.maximum(z, 0),
        lambda delta, a: _where(a > 0, delta),
    ),
}


def apply(z: Array, activation: str) -> Array:
    """σ(z) for any activation of a hidden or output layer."""
    return softmax(z) if activation == "softmax" else TABLE[activation].function(z)


def activate(
    z: Array, activation: str, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    out = _checks.activate(z, activation, out, n_threads)
    out[...] = apply(z, activation)
    return out


def activation_backward(
    delta: Array,
    activations: Array,
    activation: str,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.activation_backward(delta, activations, activation, out, n_threads)
    out[...] = TABLE[activation].backward(delta, activations)
    return out
