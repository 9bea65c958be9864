"""Activations: the function, its derivative as a product with an error, and its curvature.

A derivative is computed from what the forward pass has kept: the activation's *output*
``a = σ(z)``, or for those of ``NEED_SCORES``, not one-to-one, the *pre-activations* ``z``. It
returns ``delta ⊙ σ'(z)``; where σ' is zero by cases (``hardtanh``, ``relu``) the product is zero
whatever ``delta`` holds. NaN propagates, and infinite scores give the limits. The curvature
``σ''`` is computed from the same; at kinks it is 0.

==============  ==========================================  ====================================
name            σ(z)                                        σ'(z)
==============  ==========================================  ====================================
``identity``    z                                           1
``sigmoid``     1 / (1 + exp(-z))                           a (1 - a)
``tanh``        tanh z                                      1 - a²
``hardtanh``    min(max(z, -1), 1)                          1 inside, 0 at and beyond ±1
``relu``        max(z, 0)                                   1 above 0, else 0
``leaky_relu``  z above 0, else 0.01 z                      1 above 0, else 0.01
``elu``         z above 0, else exp(z) - 1                  1 above 0, else a + 1
``selu``        λ z above 0, else λ α (exp(z) - 1)          λ above 0, else a + λ α
``softplus``    log(1 + exp z)                              1 - exp(-a)
``softsign``    z / (1 + abs z)                             (1 - abs a)²
``silu``        z s with s = sigmoid(z)                     s + z s (1 - s)
``gelu``        z Φ(z), Φ the normal distribution function  Φ(z) + z φ(z)
``gelu_tanh``   z s with s = sigmoid(2 u),                  s + 2 z s (1 - s) u',
                u = √(2/π) (z + 0.044715 z³)                u' = √(2/π) (1 + 0.134145 z²)
``mish``        z t with t = tanh(log(1 + exp z))           t + z sigmoid(z) (1 - t²)
==============  ==========================================  ====================================

The output layer also has ``softmax`` and ``exp`` (with σ' = a). Constants are PyTorch's defaults.
``gelu_tanh`` is the usual ``½ z (1 + tanh u)``, written so that small values keep their digits.

Sources: Clevert, Unterthiner and Hochreiter, 2016 (ELU); Klambauer and others, 2017 (SELU);
Turian, Bergstra and Bengio, 2009 (softsign); Hendrycks and Gimpel, 2016 (GELU, both forms, and
SiLU); Misra, 2020 (Mish).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import _checks
from .._custom import CustomActivation
from .._typing import Array
from .numerics import quiet


class Activation(NamedTuple):
    """One activation: ``function(z) -> a`` and ``backward(delta, kept) -> delta ⊙ σ'(z)``.

    ``kept`` is ``a``, or ``z`` for the activations of ``NEED_SCORES``; ``curvature(kept)`` is
    ``σ''(z)``, and ``None`` for what is made of straight lines. Where ``σ'' = (b + c σ) σ'``,
    ``bend`` is ``(b, c)``.
    """

    function: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]
    curvature: Callable[[Array], Array] | None = None
    bend: tuple[float, float] | None = None


def sigmoid(z: Array) -> Array:
    """``1 / (1 + exp(-z))``, as ``exp(-log(1 + exp(-z)))``: small values keep their digits."""
    result: Array = np.exp(-np.logaddexp(z.dtype.type(0), -z))
    return result


def softplus(z: Array) -> Array:
    """``log(1 + exp z)``, without overflow."""
    result: Array = np.logaddexp(z.dtype.type(0), z)
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


# Where z stands beside a factor that goes to zero faster, ±1000 is as good as infinity in both
# precisions, and 0 · ∞ does not come up.
_FAR = 1000


def _bounded(z: Array) -> Array:
    result: Array = np.clip(z, -_FAR, _FAR)
    return result


def _bounded_below(z: Array) -> Array:
    result: Array = np.maximum(z, -_FAR)
    return result


# SELU's constants, from its paper's appendix 1; λ α as one number: at -∞ its σ' is exactly zero.
_LAMBDA = 1.0507009873554804934193349852946
_LAMBDA_ALPHA = _LAMBDA * 1.6732632423543772848170429916717


def _selu(z: Array) -> Array:
    result: Array = np.where(z > 0, _LAMBDA * z, _LAMBDA_ALPHA * np.expm1(np.minimum(z, 0)))
    return result


def _softsign(z: Array) -> Array:
    z = np.clip(z, -1e30, 1e30)  # whose quotient is 1, and that of infinities none
    result: Array = z / (1 + np.abs(z))
    return result


def _silu_curvature(z: Array) -> Array:
    z = _bounded(z)
    s = sigmoid(z)
    result: Array = s * (1 - s) * (2 + z * (1 - 2 * s))
    return result


def _silu_slope(z: Array) -> Array:
    z = _bounded(z)
    s = sigmoid(z)
    result: Array = s + z * s * (1 - s)
    return result


_erfc = np.frompyfunc(math.erfc, 1, 1)  # NumPy has none


def _normal_distribution(z: Array) -> Array:
    """``Φ(z) = ½ erfc(-z / √2)``."""
    twice = np.asarray(_erfc(z.astype(np.float64) * -math.sqrt(0.5)), np.float64)
    result: Array = (0.5 * twice).astype(z.dtype)
    return result


def _gelu_slope(z: Array) -> Array:
    z = _bounded(z)
    density = np.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))
    result: Array = _normal_distribution(z) + z * density
    return result


def _gelu_curvature(z: Array) -> Array:
    z = _bounded(z)
    result: Array = np.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi)) * (2 - z * z)
    return result


_ROOT = math.sqrt(2 / math.pi)


def _gelu_tanh_gate(z: Array) -> Array:
    z = _bounded(z)
    return sigmoid(2 * _ROOT * (z + 0.044715 * z * z * z))


def _gelu_tanh_slope(z: Array) -> Array:
    s, z = _gelu_tanh_gate(z), _bounded(z)
    result: Array = s + 2 * z * s * (1 - s) * (_ROOT * (1 + 3 * 0.044715 * z * z))
    return result


def _gelu_tanh_curvature(z: Array) -> Array:
    s, z = _gelu_tanh_gate(z), _bounded(z)
    first, second = 2 * _ROOT * (1 + 3 * 0.044715 * z * z), 2 * _ROOT * 6 * 0.044715 * z
    result: Array = s * (1 - s) * (2 * first + z * (second + first * first * (1 - 2 * s)))
    return result


def _mish_curvature(z: Array) -> Array:
    z = _bounded(z)
    t, s = np.tanh(softplus(z)), sigmoid(z)
    result: Array = (1 - t * t) * s * (2 + z * ((1 - s) - 2 * t * s))
    return result


def _mish_slope(z: Array) -> Array:
    z = _bounded(z)
    t = np.tanh(softplus(z))
    result: Array = t + z * sigmoid(z) * (1 - t * t)
    return result


# A new activation goes here (and into `ACTIVATION_SPECS` of _names.py).
TABLE = {
    "identity": Activation(
        lambda z: z.copy(),
        lambda delta, a: delta.copy(),
    ),
    "sigmoid": Activation(
        sigmoid,
        lambda delta, a: delta * (a * (1 - a)),
        lambda a: a * (1 - a) * (1 - 2 * a),
        bend=(1.0, -2.0),
    ),
    "tanh": Activation(
        np.tanh,
        lambda delta, a: delta * (1 - a * a),
        lambda a: -2 * a * (1 - a * a),
        bend=(0.0, -2.0),
    ),
    "hardtanh": Activation(
        lambda z: np.clip(z, -1, 1),
        lambda delta, a: _where(np.abs(a) < 1, delta),
    ),
    "relu": Activation(
        lambda z: np.maximum(z, 0),
        lambda delta, a: _where(a > 0, delta),
    ),
    "leaky_relu": Activation(
        lambda z: np.where(z > 0, z, 0.01 * z),
        lambda delta, a: np.where(a > 0, delta, 0.01 * delta),
    ),
    "elu": Activation(
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda delta, a: delta * np.where(a > 0, 1, a + 1),
        lambda a: np.where(a < 0, a + 1, a.dtype.type(0)),
    ),
    "selu": Activation(
        _selu,
        lambda delta, a: delta * np.where(a > 0, _LAMBDA, a + _LAMBDA_ALPHA),
        lambda a: np.where(a < 0, a + a.dtype.type(_LAMBDA_ALPHA), a.dtype.type(0)),
    ),
    "softplus": Activation(
        softplus,
        lambda delta, a: delta * -np.expm1(-a),
        lambda a: -np.expm1(-a) * np.exp(-a),
    ),
    "softsign": Activation(
        _softsign,
        lambda delta, a: delta * np.square(1 - np.abs(a)),
        lambda a: -2 * np.sign(a) * (1 - np.abs(a)) ** 3,
    ),
    "silu": Activation(
        lambda z: _bounded_below(z) * sigmoid(z),
        lambda delta, z: delta * _silu_slope(z),
        _silu_curvature,
    ),
    "gelu": Activation(
        lambda z: _bounded_below(z) * _normal_distribution(z),
        lambda delta, z: delta * _gelu_slope(z),
        _gelu_curvature,
    ),
    "gelu_tanh": Activation(
        lambda z: _bounded_below(z) * _gelu_tanh_gate(z),
        lambda delta, z: delta * _gelu_tanh_slope(z),
        _gelu_tanh_curvature,
    ),
    "mish": Activation(
        lambda z: _bounded_below(z) * np.tanh(softplus(z)),
        lambda delta, z: delta * _mish_slope(z),
        _mish_curvature,
    ),
    "exp": Activation(
        np.exp,
        lambda delta, a: delta * a,
    ),
}


def bend_of(activation: str) -> tuple[float, float] | None:
    """``(b, c)`` of ``σ'' = (b + c σ) σ'``, 0 for straight lines; or ``None``."""
    found = TABLE[activation]
    return (0.0, 0.0) if found.curvature is None else found.bend


def of(activation: str | CustomActivation) -> Activation:
    """The activation of a name, or one that a user has defined."""
    if isinstance(activation, str):
        return TABLE[activation]
    return Activation(
        lambda z: activation.evaluate(z)[0],
        lambda delta, z: delta * activation.evaluate(z)[1],
    )


def apply(z: Array, activation: str | CustomActivation) -> Array:
    """σ(z) for any activation of a hidden or output layer."""
    return softmax(z) if activation == "softmax" else of(activation).function(z)


@quiet
def activate(
    z: Array,
    activation: str | CustomActivation,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.activate(z, activation, out, n_threads)
    out[...] = apply(z, activation)
    return out


@quiet
def activation_backward(
    delta: Array,
    activations: Array,
    activation: str | CustomActivation,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.activation_backward(delta, activations, activation, out, n_threads)
    out[...] = of(activation).backward(delta, activations)
    return out
