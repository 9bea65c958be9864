"""Update rules: each changes flat vectors of parameters and state in place, for one step.

A rule is called as ``rule(p, g, state, t, η, c)``: parameters and their gradient, the vectors of
its state in the order of ``UPDATE_RULES``, the step (1 for the first), the learning rate and the
rule's constants by name. :func:`apply` first decays the parameters, ``p ← p (1 - η λ)`` with
``λ = weight_decay`` (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).

A parameter whose gradient and state are 0 stays as it is: engines may pad their vectors with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .._specs import UpdateRule
from .._typing import Array

Constants = Mapping[str, float]


def approach(mean: Array, new: Array, share: float) -> None:
    """``mean ← mean + share (new - mean)``; a mean that has overflowed stays infinite.

    Then steps that are divided by its root are 0, as in torch, and not NaN.
    """
    mean += share * np.where(np.isinf(mean) & ~np.isnan(new), 0, new - mean)


def sgd(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """``p ← p - η g``."""
    p -= rate * g


def momentum(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """``v ← μ v - η g``; ``p ← p + v``, or with Nesterov's look ahead ``p ← p + μ v - η g``.

    Sutskever, Martens, Dahl and Hinton, 2013, in the form of scikit-learn and Keras: equal to
    torch's where the learning rate is constant.
    """
    (velocity,) = state
    velocity *= c["momentum"]
    velocity -= rate * g
    p += c["momentum"] * velocity - rate * g if c["nesterov"] else velocity


def adagrad(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """``s ← s + g²``; ``p ← p - η / (1 + (t - 1) d) g / (√s + ε)``, d the ``lr_decay``.

    Duchi, Hazan and Singer, 2011, with torch's decay of the learning rate.
    """
    (s,) = state
    s += g * g
    p -= rate / (1 + (t - 1) * c["lr_decay"]) * g / (np.sqrt(s) + c["epsilon"])


def adadelta(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """``s ← ρ s + (1 - ρ) g²``; ``Δ = √(d + ε) / √(s + ε) g``; ``d ← ρ d + (1 - ρ) Δ²``;
    ``p ← p - η Δ`` (Zeiler, 2012; there η is 1)."""
    s, d = state
    rho, epsilon = c["rho"], c["epsilon"]
    approach(s, g * g, 1 - rho)
    change = np.sqrt(d + epsilon) / np.sqrt(s + epsilon) * g
    d += (1 - rho) * (change * change - d)
    p -= rate * change


def rmsprop(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """``s ← α s + (1 - α) g²``; ``p ← p - η g / (√s + ε)`` (Hinton, lecture 6e, 2012).

    Centred, ``s - m²`` stands for ``s``, with ``m ← α m + (1 - α) g`` (Graves, 2013), and 0 where
    rounding makes it negative. With momentum ``b ← μ b + g / (√s + ε)``; ``p ← p - η b``.
    The vectors m and b stay untouched where they are not used.
    """
    s, m, b = state
    approach(s, g * g, 1 - c["alpha"])
    square = s
    if c["centered"]:
        m += (1 - c["alpha"]) * (g - m)
        square = np.where(np.isinf(s), s, np.maximum(s - m * m, 0))
    change = g / (np.sqrt(square) + c["epsilon"])
    if c["momentum"]:
        b *= c["momentum"]
        b += change
        change = b
    p -= rate * change


def adam(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """``m ← β₁ m + (1 - β₁) g``; ``v ← β₂ v + (1 - β₂) g²``; ``p ← p - η m̂ / (√v̂ + ε)``.

    Kingma and Ba, 2015, algorithm 1; for ``epsilon_hat`` see :func:`adam_step_size`.
    """
    m, v = state
    rate, epsilon = adam_step_size(
        t, rate, c["beta_1"], c["beta_2"], c["epsilon"], bool(c["epsilon_hat"])
    )
    m += (1 - c["beta_1"]) * (g - m)
    approach(v, g * g, 1 - c["beta_2"])
    p -= rate * m / (np.sqrt(v) + epsilon)


def adam_step_size(
    step: int,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    epsilon_hat: bool,
) -> tuple[float, float]:
    """Fold the bias corrections of step ``t = step ≥ 1`` into the rate and epsilon.

    ``η m̂ / (√v̂ + ε)`` with ``m̂ = m / (1 - β₁ᵗ)`` and ``v̂ = v / (1 - β₂ᵗ)`` equals
    ``η' m / (√v + ε')`` with ``η' = η √(1 - β₂ᵗ) / (1 - β₁ᵗ)`` and ``ε' = ε √(1 - β₂ᵗ)``.
    With ``epsilon_hat`` the given epsilon is ε' itself.
    """
    root = math.sqrt(1 - beta_2**step)
    rate = learning_rate * root / (1 - beta_1**step)
    return rate, (epsilon if epsilon_hat else epsilon * root)


def amsgrad(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """Adam with ``h ← max(h, v)`` in place of v in the step (Reddi, Kale and Kumar, 2018)."""
    m, v, h = state
    rate, epsilon = adam_step_size(
        t, rate, c["beta_1"], c["beta_2"], c["epsilon"], bool(c["epsilon_hat"])
    )
    m += (1 - c["beta_1"]) * (g - m)
    approach(v, g * g, 1 - c["beta_2"])
    np.maximum(h, v, out=h)
    p -= rate * m / (np.sqrt(h) + epsilon)


def yogi(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """Adam with ``v ← v - (1 - β₂) sign(v - g²) g²``: it changes by the size of ``g²`` alone.

    Zaheer, Reddi, Sachan, Kale and Kumar, 2018, with Adam's bias corrections as in optax. From
    where a square overflows on, v is infinite.
    """
    m, v = state
    rate, epsilon = adam_step_size(
        t, rate, c["beta_1"], c["beta_2"], c["epsilon"], bool(c["epsilon_hat"])
    )
    square = g * g
    m += (1 - c["beta_1"]) * (g - m)
    change = (1 - c["beta_2"]) * np.sign(v - square) * square
    np.subtract(v, change, out=v, where=v < np.inf)
    p -= rate * m / (np.sqrt(v) + epsilon)


def adamax(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """``m`` as Adam's; ``u ← max(β₂ u, |g| + ε)``; ``p ← p - η / (1 - β₁ᵗ) m / u``.

    Kingma and Ba, 2015, algorithm 2, with torch's ε.
    """
    m, u = state
    m += (1 - c["beta_1"]) * (g - m)
    np.maximum(c["beta_2"] * u, np.abs(g) + c["epsilon"], out=u)
    p -= rate / (1 - c["beta_1"] ** t) * m / u


def nadam(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """Adam with Nesterov's momentum, ``μ_t = β₁ (1 - ½ 0.96^(t ψ))``, ψ the momentum decay.

    ``p ← p - η ((1 - μ_t) / (1 - Π_t) g + μ_{t+1} / (1 - Π_{t+1}) m) / (√v̂ + ε)`` with
    ``Π_t = μ_1 ⋯ μ_t``; m, v and v̂ as Adam's (Dozat, 2016, in torch's form).
    """
    m, v = state
    m += (1 - c["beta_1"]) * (g - m)
    approach(v, g * g, 1 - c["beta_2"])
    of_gradient, of_moment = nadam_factors(t, c["beta_1"], c["momentum_decay"])
    root = math.sqrt(1 - c["beta_2"] ** t)
    p -= rate * root * (of_gradient * g + of_moment * m) / (np.sqrt(v) + c["epsilon"] * root)


def nadam_factors(t: int, beta_1: float, decay: float) -> tuple[float, float]:
    """``(1 - μ_t) / (1 - Π_t)`` and ``μ_{t+1} / (1 - Π_{t+1})``, of any step, in any order."""

    def mu(i: int) -> float:
        return float(beta_1 * (1 - 0.5 * 0.96 ** (i * decay)))

    known, product = _products.get((beta_1, decay), (0, 1.0))
    if known > t:
        known, product = 0, 1.0
    for i in range(known + 1, t + 1):
        product *= mu(i)
    _products[beta_1, decay] = t, product
    return (1 - mu(t)) / (1 - product), mu(t + 1) / (1 - product * mu(t + 1))


#: The step and Π that were asked for last, by (β₁, ψ): the next step multiplies one factor on.
_products: dict[tuple[float, float], tuple[int, float]] = {}


def radam(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """Adam that divides by √v̂ only where enough steps have made that reliable.

    ``p ← p - η m̂ r_t / (√v̂ + ε̂)`` from ``ρ_t > 5`` on, before that ``p ← p - η m̂``; see
    :func:`radam_rectification` (Liu and others, 2020; ε is added to √v, as in torch).
    """
    m, v = state
    m += (1 - c["beta_1"]) * (g - m)
    approach(v, g * g, 1 - c["beta_2"])
    rate /= 1 - c["beta_1"] ** t
    if rectification := radam_rectification(t, c["beta_2"]):
        root = math.sqrt(1 - c["beta_2"] ** t)
        p -= rate * rectification * root * m / (np.sqrt(v) + c["epsilon"])
    else:
        p -= rate * m


def radam_rectification(t: int, beta_2: float) -> float:
    """``r_t = √((ρ_t - 4)(ρ_t - 2) ρ_∞ / ((ρ_∞ - 4)(ρ_∞ - 2) ρ_t))``, or 0 while ``ρ_t ≤ 5``.

    ``ρ_∞ = 2 / (1 - β₂) - 1`` and ``ρ_t = ρ_∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)``.
    """
    last = 2 / (1 - beta_2) - 1
    here = last - 2 * t * beta_2**t / (1 - beta_2**t)
    if here <= 5:
        return 0.0
    return math.sqrt((here - 4) * (here - 2) * last / ((last - 4) * (last - 2) * here))


def ftrl(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """Follow the regularised leader (McMahan and others, 2013, algorithm 1, in Keras's form).

    ``n' = n + g²``; ``z ← z + g + 2 λ_s p - (n'^-k - n^-k) / η p``;
    ``p ← (clip(z, ±l1) - z) / (n'^-k / η + 2 l2 + β / η)``; ``n ← n'``; with ``k`` the
    ``learning_rate_power`` and λ_s ``l2_shrinkage``.
    Where both parts of the fraction are 0 the parameter becomes 0.
    """
    n, z = state
    power = -c["learning_rate_power"]
    before = n**power
    n += g * g
    after = n**power
    change = g + 2 * c["l2_shrinkage"] * p - (after - before) / rate * p
    over = np.isinf(after)  # squares that overflow: in the limit p and z stay
    z += np.where(over, 0, change)
    numerator = np.clip(z, -c["l1"], c["l1"]) - z
    denominator = after / rate + (2 * c["l2"] + c["beta"] / rate)
    p[...] = np.where(over, p, numerator / np.where(numerator == 0, 1, denominator))


def lion(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """``p ← p - η sign(β₁ m + (1 - β₁) g)``; ``m ← β₂ m + (1 - β₂) g`` (Chen and others, 2023)."""
    (m,) = state
    p -= rate * np.sign(c["beta_1"] * m + (1 - c["beta_1"]) * g)
    m += (1 - c["beta_2"]) * (g - m)


def rprop(p: Array, g: Array, state: Sequence[Array], t: int, rate: float, c: Constants) -> None:
    """Each parameter has a step size, which grows while its gradient keeps its sign.

    ``s ← clip(s η⁺)`` where ``g g' > 0``; where ``g g' < 0``, ``s ← clip(s η⁻)`` and ``g ← 0``;
    ``p ← p - s sign g``; ``g' ← g``. Riedmiller and Braun, 1993 (without weight backtracking, as
    torch). A step size of 0, as before the first step, stands for the learning rate.
    """
    before, size = state
    agreement = np.sign(g) * np.sign(before)
    factor = np.where(agreement > 0, c["eta_plus"], np.where(agreement < 0, c["eta_minus"], 1))
    size[...] = np.clip(np.where(size == 0, rate, size) * factor, c["step_min"], c["step_max"])
    before[...] = np.where(agreement < 0, 0, g)
    p -= size * np.sign(before)


# A new update rule goes here (and into `RULE_SPECS` of _names.py).
TABLE: dict[str, Callable[[Array, Array, Sequence[Array], int, float, Constants], None]] = {
    "sgd": sgd,
    "momentum": momentum,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
    "adam": adam,
    "amsgrad": amsgrad,
    "yogi": yogi,
    "adamax": adamax,
    "nadam": nadam,
    "radam": radam,
    "ftrl": ftrl,
    "lion": lion,
    "rprop": rprop,
}


def apply(
    rule: UpdateRule,
    parameters: Array,
    gradient: Array,
    state: Sequence[Array],
    step: int,
    learning_rate: float,
) -> None:
    """One step of a rule; ``state`` has a vector for each of its slots."""
    decay = rule.constants["weight_decay"]
    if decay:
        parameters *= 1 - learning_rate * decay
    TABLE[rule.name](parameters, gradient, state, step, learning_rate, rule.constants)
