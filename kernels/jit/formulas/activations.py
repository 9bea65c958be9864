"""Activations and their derivatives, elementwise over contiguous runs.

A new activation is one entry in each of two tables: its function, and its derivative from what the
forward pass keeps. All kernels have one signature, :data:`ELEMENTWISE`, so that one task can run
any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..vector.code import Code, Int, Real
from ..vector.kernel import Signature, kernel
from ..vector.vmath import (
    bounded,
    bounded_below,
    exp,
    expm1,
    normal,
    sigmoid,
    sigmoid_and_slope,
    softplus,
    tanh,
)

#: Of kernels over vectors: what is changed, what is read, three further vectors, the number of
#: elements, and the address of constants (doubles). Those that need less do not look at the rest.
ELEMENTWISE = Signature(("p", "g", "s", "t", "u", "n", "constants"))

Function = Callable[[Code, Real], Real]

# SELU's λ and λ α.
_LAMBDA = 1.0507009873554804934193349852946
_LAMBDA_ALPHA = _LAMBDA * 1.6732632423543772848170429916717
_ROOT = math.sqrt(2 / math.pi)


def _relu(code: Code, x: Real) -> Real:
    return code.select(x < 0.0, code.real(0.0), x)


def _elu(code: Code, x: Real) -> Real:
    return code.select(x > 0.0, x, expm1(code, x))


def _selu(code: Code, x: Real) -> Real:
    return code.select(x > 0.0, x * _LAMBDA, expm1(code, x) * _LAMBDA_ALPHA)


def _softsign(code: Code, x: Real) -> Real:
    x = code.clip(x, -1e30, 1e30)  # whose quotient is 1, and that of infinities none
    return x / (code.abs(x) + 1.0)


def _softsign_backward(code: Code, d: Real, a: Real) -> Real:
    rest = 1.0 - code.abs(a)
    return d * (rest * rest)


def _gelu(code: Code, x: Real) -> Real:
    return bounded_below(code, x) * normal(code, bounded(code, x))[0]


def _gelu_slope(code: Code, x: Real) -> Real:
    x = bounded(code, x)
    below, bell = normal(code, x)
    return code.fma(x * (1 / math.sqrt(2 * math.pi)), bell, below)


def _silu(code: Code, x: Real) -> Real:
    return bounded_below(code, x) * sigmoid(code, bounded(code, x))


def _silu_slope(code: Code, x: Real) -> Real:
    x = bounded(code, x)
    s, slope = sigmoid_and_slope(code, x)
    return code.fma(x, slope, s)


def _gelu_tanh_gate(code: Code, x: Real) -> Real:
    """``2 u``"""
    return x * code.fma(x * x, code.real(2 * _ROOT * 0.044715), 2 * _ROOT)


def _gelu_tanh(code: Code, x: Real) -> Real:
    return bounded_below(code, x) * sigmoid(code, _gelu_tanh_gate(code, bounded(code, x)))


def _gelu_tanh_slope(code: Code, x: Real) -> Real:
    x = bounded(code, x)
    s, slope = sigmoid_and_slope(code, _gelu_tanh_gate(code, x))
    inner = code.fma(x * x, code.real(2 * _ROOT * 3 * 0.044715), 2 * _ROOT)
    return code.fma(x * inner, slope, s)


def _mish_gate(code: Code, x: Real) -> tuple[Real, Real]:
    """``e = exp x``, bounded, and ``n = e (e + 2)``: ``tanh(log(1 + e)) = n / (n + 2)``."""
    e = exp(code, code.select(x > 40.0, code.real(40.0), x))
    return e, e * (e + 2.0)


def _mish(code: Code, x: Real) -> Real:
    _, n = _mish_gate(code, bounded(code, x))
    return bounded_below(code, x) * (n / (n + 2.0))


def _mish_slope(code: Code, x: Real) -> Real:
    x = bounded(code, x)
    e, n = _mish_gate(code, x)
    d = n + 2.0
    # 1 - t² = 4 (n + 1) / (n + 2)²
    return code.fma(x * (e / (e + 1.0)), (n + 1.0) / d * (code.real(4.0) / d), n / d)


#: Activation → ``a = σ(z)``; identity does nothing.
FUNCTIONS: dict[str, Function] = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "hardtanh": lambda code, x: code.clip(x, -1.0, 1.0),
    "relu": _relu,
    "leaky_relu": lambda code, x: code.select(x > 0.0, x, x * 0.01),
    "elu": _elu,
    "selu": _selu,
    "softplus": softplus,
    "softsign": _softsign,
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "mish": _mish,
    "exp": exp,
}
#: Activation → ``δ ⊙ σ'`` from the error and the activation's output ``a``.
DERIVATIVES: dict[str, Callable[[Code, Real, Real], Real]] = {
    "sigmoid": lambda code, d, a: d * (a * (1.0 - a)),
    "tanh": lambda code, d, a: d * (1.0 - a * a),
    "hardtanh": lambda code, d, a: code.select(code.abs(a) < 1.0, d, 0.0),
    "relu": lambda code, d, a: code.select(a > 0.0, d, 0.0),
    "leaky_relu": lambda code, d, a: code.select(a > 0.0, d, d * 0.01),
    "elu": lambda code, d, a: d * code.select(a > 0.0, code.real(1.0), a + 1.0),
    "selu": lambda code, d, a: d * code.select(a > 0.0, code.real(_LAMBDA), a + _LAMBDA_ALPHA),
    "softplus": lambda code, d, a: -d * expm1(code, -a),
    "softsign": _softsign_backward,
    "exp": lambda code, d, a: d * a,
}
#: Activation → ``σ'`` from the scores z, for those where the output does not say enough.
SLOPES: dict[str, Function] = {
    "silu": _silu_slope,
    "gelu": _gelu_slope,
    "gelu_tanh": _gelu_tanh_slope,
    "mish": _mish_slope,
}


@kernel
def activation(
    code: Code, name: str, *, p: Int, g: Int, s: Int, t: Int, u: Int, n: Int, constants: Int
) -> None:
    """``p ← σ(p)``."""

    def body(at: Int, mask: Any) -> None:
        code.store(FUNCTIONS[name](code, code.load(p + at, mask)), p + at, mask)

    code.vectors(n, *[body] * code.host.group)


@kernel
def activation_with_slope(
    code: Code, name: str, *, p: Int, g: Int, s: Int, t: Int, u: Int, n: Int, constants: Int
) -> None:
    """``g ← σ'(p)``, ``p ← σ(p)``."""

    def body(at: Int, mask: Any) -> None:
        z = code.load(p + at, mask)
        code.store(SLOPES[name](code, z), g + at, mask)
        code.store(FUNCTIONS[name](code, z), p + at, mask)

    code.vectors(n, *[body] * code.host.group)


@kernel
def derivative(
    code: Code, name: str, *, p: Int, g: Int, s: Int, t: Int, u: Int, n: Int, constants: Int
) -> None:
    """``p ← p ⊙ σ'``, where ``g`` holds the output; for those of ``SLOPES`` the pre-activations,
    for ``"slope"`` σ' itself."""

    def body(at: Int, mask: Any) -> None:
        error, kept = code.load(p + at, mask), code.load(g + at, mask)
        if name == "slope":
            product = error * kept
        elif name in SLOPES:
            product = error * SLOPES[name](code, kept)
        else:
            product = DERIVATIVES[name](code, error, kept)
        code.store(product, p + at, mask)

    code.vectors(n, *[body] * code.host.group)
