"""Elementwise kernels over contiguous runs: activations, their derivatives, and update rules.

All have one signature, so that one task can run any of them: four addresses, the number of
elements, and five constants. A new activation or update rule is one function here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._host import LINE
from ._vector import Code, Int, Real
from ._vmath import sigmoid, tanh

ADDRESSES, CONSTANTS = 4, 5


def _hardtanh(code: Code, x: Real) -> Real:
    return code.clip(x, -1.0, 1.0)


def _relu(code: Code, x: Real) -> Real:
    return code.select(x < 0.0, code.real(0.0), x)


#: Activation → ``a = σ(z)``; identity does nothing.
FUNCTIONS: dict[str, Callable[[Code, Real], Real]] = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "hardtanh": _hardtanh,
    "relu": _relu,
}
#: Activation → ``δ ⊙ σ'`` from the error and the activation's output ``a``.
DERIVATIVES: dict[str, Callable[[Code, Real, Real], Real]] = {
    "sigmoid": lambda code, d, a: d * (a * (1.0 - a)),
    "tanh": lambda code, d, a: d * (1.0 - a * a),
    "hardtanh": lambda code, d, a: code.select(code.abs(a) < 1.0, d, 0.0),
    "relu": lambda code, d, a: code.select(a > 0.0, d, 0.0),
}


def activation(code: Code, name: str) -> Any:
    """``x ← σ(x)``. Arguments: ``x``, three unused."""
    x, _, _, _, n = code.ints

    def body(at: Int, mask: Any) -> None:
        code.store(FUNCTIONS[name](code, code.load(x + at, mask)), x + at, mask)

    code.vectors(n, body)
    return code.finish()


def derivative(code: Code, name: str) -> Any:
    """``d ← d ⊙ σ'``. Arguments: ``d``, ``a``, two unused."""
    d, a, _, _, n = code.ints

    def body(at: Int, mask: Any) -> None:
        product = DERIVATIVES[name](code, code.load(d + at, mask), code.load(a + at, mask))
        code.store(product, d + at, mask)

    code.vectors(n, body)
    return code.finish()


def update(code: Code, rule: str) -> Any:
    """One step of an update rule, with ``g + l2 p`` for the gradient.

    Arguments: parameters ``p``, gradient ``g``, two vectors of state; constants ``l2``, ``rate``
    and three of the rule. ``"store"`` is no step: it writes ``rate g + l2 p`` to the first vector
    of state.
    """
    p, g, s, t, n = code.ints
    l2, rate, c0, c1, c2 = (code.splat(constant) for constant in code.doubles)
    # Without a penalty the gradient must not see infinite parameters: 0 · inf is NaN.
    penalised = code.builder.fcmp_unordered("!=", code.doubles[0], code.double(0.0))

    def penalty(x: Real) -> Real:
        return Real(code, code.builder.select(penalised, (x * l2).value, code.real(0.0).value))

    def body(at: Int, mask: Any) -> None:
        x = code.load(p + at, mask)
        if rule == "store":
            code.store(code.fma(code.load(g + at, mask), rate, penalty(x)), s + at, mask)
            return
        gradient = code.load(g + at, mask) + penalty(x)
        if rule == "sgd":
            x = code.fma(-rate, gradient, x)
        elif rule in ("momentum", "nesterov"):
            step = rate * gradient
            v = code.fma(c0, code.load(s + at, mask), -step)
            code.store(v, s + at, mask)
            x = x + (v if rule == "momentum" else code.fma(c0, v, -step))
        else:  # adam: c0 = 1 - β₁, c1 = 1 - β₂, c2 = ε'
            m, v = code.load(s + at, mask), code.load(t + at, mask)
            m = code.fma(c0, gradient - m, m)
            v = code.fma(c1, code.fma(gradient, gradient, -v), v)
            code.store(m, s + at, mask)
            code.store(v, t + at, mask)
            x = x - rate * m / (code.sqrt(v) + c2)
        code.store(x, p + at, mask)

    code.vectors(n, body)
    return code.finish()


def sum_of_squares(code: Code) -> Any:
    """``total += Σ x²`` in float64, over the first ``width`` columns of a panel.

    Arguments: ``x``, number of ``lines``, ``width``, address of the double ``total``.
    """
    x, lines, width, total = code.ints
    masks = [code.first(width - v * code.lanes) for v in range(code.per_line)]
    sums = [code.variable(code.to_doubles(code.real(0.0))) for _ in masks]
    with code.loop(lines) as i:
        for v, (mask, accumulator) in enumerate(zip(masks, sums, strict=True)):
            line = code.load(x + (i * LINE + v * code.host.vector_bytes))
            value = code.to_doubles(code.select(mask, line, 0.0))
            accumulator.set(code.fma(value, value, accumulator.get()))
    result = sums[0].get()
    for accumulator in sums[1:]:
        result = result + accumulator.get()
    before = code.load_double(total)
    code.store_scalar(code.builder.fadd(before, code.lane(code.sum(result))), total)
    return code.finish()
