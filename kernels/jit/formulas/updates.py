"""What a step does to a run of parameters, or to those of a tile, by one of the update rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..vector.code import Code, Int, Real
from ..vector.kernel import kernel
from ..vector.vmath import sign, sqrt_by_products
from .update_rules import L1, L2, N_CONSTANTS, RATE, RULES, Root


@kernel
def update(
    code: Code, what: str, *, p: Int, g: Int, s: Int, t: Int, u: Int, n: Int, constants: Int
) -> None:
    """One step of a rule for parameters ``p``, with the gradient ``g``, penalised with ``l2 p``.

    ``s``, ``t`` and ``u`` are vectors of state. ``"… regularised"`` also decays the parameters,
    penalises with ``l1 sign p``, and clips: these cost a few operations of an element. ``"store"``
    is no rule: it writes the penalised gradient, times ``FACTOR`` before, to ``s``.
    """
    p_at, g_at, states = p, g, (s, t, u)  # the letters are the values' below
    name, _, regularised = what.partition(" ")
    _, _, decay, bound, factor, rate, *own = (
        code.splat(code.load_double(constants + 8 * i)) for i in range(N_CONSTANTS)
    )
    penalties = (L2, L1) if name == "store" or regularised else (L2,)
    penalised = _penalised(code, constants, penalties)

    def body(at: Int, mask: Any, root: Root = code.sqrt) -> None:
        x, g = code.load(p_at + at, mask), code.load(g_at + at, mask)
        if name == "store":
            code.store(penalised(g * factor, x), states[0] + at, mask)
            return
        g = penalised(g, x)
        if regularised:
            g = code.clip(g, -bound, bound) * factor
            x = x * decay
        state = [code.load(begin + at, mask) for begin in states]
        x, state = RULES[name].step(code, root, [*own, rate], x, g, state)
        code.store(x, p_at + at, mask)
        for begin, value in zip(states, state, strict=False):
            code.store(value, begin + at, mask)

    # The divider, which also takes roots, and the multipliers work at the same time. Without roots
    # the loop's own instructions count.
    other = partial(body, root=partial(sqrt_by_products, code))
    code.vectors(n, *([body] * 4 if name in {"sgd", "store"} else [body, other]))


def descend(code: Code, constants: Int) -> Callable[[Real, Real], Real]:
    """``after(p, g)``: what the kernel ``"sgd"`` makes of a parameter and its gradient."""
    rate = code.splat(code.load_double(constants + 8 * RATE))
    penalised = _penalised(code, constants, (L2,))

    def after(x: Real, g: Real) -> Real:
        return RULES["sgd"].step(code, code.sqrt, [rate], x, penalised(g, x), [])[0]

    return after


def _penalised(
    code: Code, constants: Int, penalties: tuple[int, ...]
) -> Callable[[Real, Real], Real]:
    """``penalised(g, p)``: a gradient with penalties, ``l2 p`` and ``l1 sign p``."""
    scalars = [code.load_double(constants + 8 * i) for i in penalties]
    # Without a penalty the gradient must not see infinite parameters: 0 · inf is NaN.
    there = [code.builder.fcmp_unordered("!=", scalar, code.double(0.0)) for scalar in scalars]
    factors, zero = [code.splat(scalar) for scalar in scalars], code.real(0.0)

    def penalised(g: Real, x: Real) -> Real:
        for i, condition, factor in zip(penalties, there, factors, strict=True):
            slope = x if i == L2 else sign(code, x)
            g = g + code.choose_real(condition, slope * factor, zero)
        return g

    return penalised
