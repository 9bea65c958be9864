"""Update rules: what a step does to a parameter and its state, and what all of a step's share.

A new rule is one entry of :data:`RULES`. Its ``scalars`` run once a step, as compiled Python in the
engine and as plain Python before a single update: they fold the step and the learning rate into
constants. Its ``step`` is vector code. The formulas are those of ``reference/update_rules.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..._names import RULE_CONSTANTS
from ..._specs import UpdateRule
from ..vector.code import Code, Real
from ..vector.vmath import exp, log_of_any, maximum, sign

#: Constants of an update: penalties; factor of the parameters (decay); bounds of the gradient's
#: elements and its factor (clipping); the learning rate; the rule's own.
L2, L1, DECAY, BOUND, FACTOR, RATE, OWN = range(7)
N_CONSTANTS = 12

Root = Callable[[Real], Real]
Step = Callable[[Code, Root, "list[Real]", Real, Real, "list[Real]"], "tuple[Real, list[Real]]"]


class Rule(NamedTuple):
    """One rule.

    Attributes
    ----------
    scalars : function
        ``scalars(k, c, t, rate)`` sets ``k[RATE]`` and ``k[OWN:]`` for step ``t`` from the rule's
        constants ``c``, in the order of ``RULE_CONSTANTS``.
    step : function
        ``step(code, root, k, p, g, state)`` returns the parameter and the state after the step;
        ``root`` takes square roots, ``k`` are the rule's own constants, the learning rate last.
    varies : bool
        Whether the scalars differ from step to step.
    """

    scalars: Callable[[Any, Any, int, float], None]
    step: Step
    varies: bool = False


def _toward(code: Code, share: Real, value: Real, average: Real) -> Real:
    """``average + share (value - average)``."""
    return code.fma(share, value - average, average)


def _square_toward(code: Code, share: Real, g: Real, average: Real) -> Real:
    """The same with ``g²``. A mean that has overflowed stays infinite, which stops its parameter,
    instead of becoming ``∞ - ∞``."""
    value = code.fma(share, code.fma(g, g, -average), average)
    return code.select(average < math.inf, value, average)


def _no_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE] = rate


def _sgd(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    return code.fma(-k[-1], g, p), []


def _momentum_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE], k[OWN] = rate, c[0]


def _momentum(nesterov: bool) -> Step:
    def step(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
        change = k[-1] * g
        v = code.fma(k[0], s[0], -change)
        return p + (code.fma(k[0], v, -change) if nesterov else v), [v]

    return step


def _adagrad_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE], k[OWN] = rate / (1 + (t - 1) * c[2]), c[0]


def _adagrad(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    total = code.fma(g, g, s[0])
    return p - k[-1] * g / (root(total) + k[0]), [total]


def _adadelta_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE], k[OWN], k[OWN + 1] = rate, 1 - c[0], c[1]


def _adadelta(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    square = _square_toward(code, k[0], g, s[0])
    change = root((s[1] + k[1]) / (square + k[1])) * g
    return code.fma(-k[-1], change, p), [square, _square_toward(code, k[0], change, s[1])]


def _rmsprop_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE], k[OWN], k[OWN + 1], k[OWN + 2] = rate, 1 - c[0], c[1], c[2]


def _rmsprop(centered: bool, with_momentum: bool) -> Step:
    def step(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
        average = square = _square_toward(code, k[0], g, s[0])
        mean, buffer = s[1], s[2]
        if centered:
            mean = _toward(code, k[0], g, mean)
            spread = code.fma(-mean, mean, square)
            spread = code.select(spread < 0.0, code.real(0.0), spread)
            square = code.select(square < math.inf, spread, square)
        change = g / (root(square) + k[1])
        if with_momentum:
            change = buffer = code.fma(k[2], buffer, change)
        return code.fma(-k[-1], change, p), [average, mean, buffer]

    return step


def _adam_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    root = math.sqrt(1 - c[1] ** float(t))
    k[RATE] = rate * root / (1 - c[0] ** float(t))
    k[OWN], k[OWN + 1] = 1 - c[0], 1 - c[1]
    k[OWN + 2] = c[2] if c[3] != 0 else c[2] * root


def _moments(code: Code, k: Any, g: Real, s: Any) -> list[Real]:
    return [_toward(code, k[0], g, s[0]), _square_toward(code, k[1], g, s[1])]


def _adam(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    m, v = _moments(code, k, g, s)
    return p - k[-1] * m / (root(v) + k[2]), [m, v]


def _amsgrad(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    m, v = _moments(code, k, g, s)
    highest = maximum(code, s[2], v)
    return p - k[-1] * m / (root(highest) + k[2]), [m, v, highest]


def _yogi(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    square = g * g
    v = s[1] - k[1] * sign(code, s[1] - square) * square
    m, v = _toward(code, k[0], g, s[0]), code.select(s[1] < math.inf, v, s[1])
    return p - k[-1] * m / (root(v) + k[2]), [m, v]


def _adamax_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE] = rate / (1 - c[0] ** float(t))
    k[OWN], k[OWN + 1], k[OWN + 2] = 1 - c[0], c[1], c[2]


def _adamax(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    m = _toward(code, k[0], g, s[0])
    u = maximum(code, k[1] * s[1], code.abs(g) + k[2])
    return p - k[-1] * m / u, [m, u]


def _nadam_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    # The product of the μ up to some step is kept behind the constants: the next multiplies one on.
    known, product = int(c[-2]), c[-1]
    if known == 0 or known > t:
        known, product = 0, 1.0
    for i in range(known + 1, t + 1):
        product *= c[0] * (1 - 0.5 * 0.96 ** (i * c[3]))
    c[-2], c[-1] = t, product
    mu, following = (
        c[0] * (1 - 0.5 * 0.96 ** (t * c[3])),
        c[0] * (1 - 0.5 * 0.96 ** ((t + 1) * c[3])),
    )
    root = math.sqrt(1 - c[1] ** float(t))
    k[RATE] = rate * root
    k[OWN], k[OWN + 1], k[OWN + 2] = 1 - c[0], 1 - c[1], c[2] * root
    k[OWN + 3] = (1 - mu) / (1 - product)
    k[OWN + 4] = following / (1 - product * following)


def _nadam(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    m, v = _moments(code, k, g, s)
    return p - k[-1] * code.fma(k[3], g, k[4] * m) / (root(v) + k[2]), [m, v]


def _radam_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[OWN], k[OWN + 1], k[OWN + 2] = 1 - c[0], 1 - c[1], c[2]
    last = 2 / (1 - c[1]) - 1
    here = last - 2 * t * c[1] ** float(t) / (1 - c[1] ** float(t))
    rate = rate / (1 - c[0] ** float(t))
    k[OWN + 3], k[RATE] = 0.0, rate
    if here > 5:
        rectification = (here - 4) * (here - 2) * last / ((last - 4) * (last - 2) * here)
        k[OWN + 3], k[RATE] = 1.0, rate * math.sqrt(rectification * (1 - c[1] ** float(t)))


def _radam(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    m, v = _moments(code, k, g, s)
    divided = code.select(k[3] > 0.0, root(v) + k[2], 1.0)
    return p - k[-1] * m / divided, [m, v]


def _ftrl_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE] = 1 / rate if rate != 0 else math.inf
    k[OWN], k[OWN + 1] = c[2], 2 * c[3] + c[5] * k[RATE] if c[5] != 0 else 2 * c[3]
    k[OWN + 2], k[OWN + 3] = 2 * c[4], -c[0]


def _ftrl(half: bool) -> Step:
    def step(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
        def power(x: Real) -> Real:
            if half:
                return root(x)
            return code.select(x > 0.0, exp(code, k[3] * log_of_any(code, x)), x)

        total = code.fma(g, g, s[0])
        before, after = power(s[0]), power(total)
        grown = code.select(total < math.inf, after - before, 0.0)
        z = s[1] + code.fma(k[2], p, g) - grown * k[-1] * p
        rest = code.clip(z, -k[0], k[0]) - z
        # Where there is nothing to divide the denominator may be zero too.
        nothing = code.builder.fcmp_ordered("==", rest.value, code.real(0.0).value)
        divided = rest / code.fma(after, k[-1], k[1])
        return code.select(nothing, code.real(0.0), divided), [total, z]

    return step


def _lion_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE], k[OWN], k[OWN + 1], k[OWN + 2] = rate, c[0], 1 - c[0], 1 - c[1]


def _lion(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    direction = sign(code, code.fma(k[0], s[0], k[1] * g))
    return code.fma(-k[-1], direction, p), [_toward(code, k[2], g, s[0])]


def _rprop_scalars(k: Any, c: Any, t: int, rate: float) -> None:
    k[RATE], k[OWN], k[OWN + 1], k[OWN + 2], k[OWN + 3] = rate, c[0], c[1], c[2], c[3]


def _rprop(code: Code, root: Root, k: Any, p: Real, g: Real, s: Any) -> Any:
    agreement = sign(code, g) * sign(code, s[0])
    factor = code.select(agreement < 0.0, k[0], 1.0)
    factor = code.select(agreement > 0.0, k[1], factor)
    open_ = code.builder.fcmp_ordered("==", s[1].value, code.real(0.0).value)
    size = code.clip(code.select(open_, k[-1], s[1]) * factor, k[2], k[3])
    before = code.select(agreement < 0.0, code.real(0.0), g)
    return p - size * sign(code, before), [before, size]


#: Rules by the name of their kernel, see :func:`kernel_of`.
RULES: dict[str, Rule] = {
    "sgd": Rule(_no_scalars, _sgd),
    "momentum": Rule(_momentum_scalars, _momentum(False)),
    "nesterov": Rule(_momentum_scalars, _momentum(True)),
    "adagrad": Rule(_adagrad_scalars, _adagrad, varies=True),
    "adadelta": Rule(_adadelta_scalars, _adadelta),
    "rmsprop": Rule(_rmsprop_scalars, _rmsprop(False, False)),
    "rmsprop-centered": Rule(_rmsprop_scalars, _rmsprop(True, False)),
    "rmsprop-momentum": Rule(_rmsprop_scalars, _rmsprop(False, True)),
    "rmsprop-centered-momentum": Rule(_rmsprop_scalars, _rmsprop(True, True)),
    "adam": Rule(_adam_scalars, _adam, varies=True),
    "amsgrad": Rule(_adam_scalars, _amsgrad, varies=True),
    "yogi": Rule(_adam_scalars, _yogi, varies=True),
    "adamax": Rule(_adamax_scalars, _adamax, varies=True),
    "nadam": Rule(_nadam_scalars, _nadam, varies=True),
    "radam": Rule(_radam_scalars, _radam, varies=True),
    "ftrl": Rule(_ftrl_scalars, _ftrl(True)),
    "ftrl-power": Rule(_ftrl_scalars, _ftrl(False)),
    "lion": Rule(_lion_scalars, _lion),
    "rprop": Rule(_rprop_scalars, _rprop),
}


def kernel_of(rule: UpdateRule) -> str:
    """The entry of :data:`RULES` for a rule with its switches."""
    c, name = rule.constants, rule.name
    if name == "momentum" and c["nesterov"]:
        return "nesterov"
    if name == "rmsprop":
        centered = "-centered" if c["centered"] else ""
        return name + centered + ("-momentum" if c["momentum"] else "")
    if name == "ftrl" and c["learning_rate_power"] != -0.5:
        return "ftrl-power"
    return name


def constants_of(rule: UpdateRule) -> list[float]:
    """The rule's constants in order, and room for what its scalars remember."""
    return [*(rule.constants[name] for name in RULE_CONSTANTS[rule.name]), 0.0, 0.0]
