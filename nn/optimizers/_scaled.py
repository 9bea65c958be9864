"""Steps that past squares of each parameter's gradient scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastmlp.kernels import UpdateRule

from .._inputs.numbers import number
from ._base import Optimizer, fraction, not_negative, positive, switches


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squares so far.

    ``s ← s + g²``; ``p ← p - η / (1 + (t - 1) d) g / (√s + ε)`` in step ``t``.

    Parameters
    ----------
    learning_rate : float, default 0.01
        ``η > 0``.
    epsilon : float, default 1e-10
        ``ε > 0``.
    initial_accumulator_value : float, default 0
        ``s`` before the first step, not negative.
    lr_decay : float, default 0
        ``d ≥ 0``, by which the learning rate falls with the steps.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 2011; the decay is torch's.
    """

    learning_rate: float = 0.01
    epsilon: float = 1e-10
    initial_accumulator_value: float = 0.0
    lr_decay: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        not_negative(
            initial_accumulator_value=self.initial_accumulator_value,
            lr_decay=self.lr_decay,
            weight_decay=self.weight_decay,
        )

    def update_rule(self) -> UpdateRule:
        return UpdateRule(
            "adagrad",
            {
                "epsilon": self.epsilon,
                "initial_accumulator": self.initial_accumulator_value,
                "lr_decay": self.lr_decay,
                "weight_decay": self.weight_decay,
            },
        )


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Steps as large as the parameter's past steps, relative to its past gradients.

    ``s ← ρ s + (1 - ρ) g²``; ``Δ = √(d + ε) / √(s + ε) g``; ``d ← ρ d + (1 - ρ) Δ²``;
    ``p ← p - η Δ``.

    Parameters
    ----------
    learning_rate : float, default 1
        ``η > 0``; the paper has none.
    rho : float, default 0.9
        ``0 ≤ ρ < 1``.
    epsilon : float, default 1e-6
        ``ε > 0``.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    M. Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    learning_rate: float = 1.0
    rho: float = 0.9
    epsilon: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        fraction(rho=self.rho)
        not_negative(weight_decay=self.weight_decay)

    def update_rule(self) -> UpdateRule:
        constants = {"rho": self.rho, "epsilon": self.epsilon, "weight_decay": self.weight_decay}
        return UpdateRule("adadelta", constants)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of squares.

    ``s ← ρ s + (1 - ρ) g²``; ``p ← p - η g / (√s + ε)``. Centred, the variance ``s - m²`` stands
    for ``s``, with ``m ← ρ m + (1 - ρ) g``. With momentum, ``b ← μ b + g / (√s + ε)`` and
    ``p ← p - η b``.

    Parameters
    ----------
    learning_rate : float, default 0.01
        ``η > 0``.
    rho : float, default 0.99
        ``0 ≤ ρ < 1``; torch calls it alpha.
    momentum : float, default 0
        ``0 ≤ μ < 1``.
    epsilon : float, default 1e-8
        ``ε > 0``.
    centered : bool, default False
        Divide by the standard deviation instead of the root mean square.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    G. Hinton, *Neural networks for machine learning*, lecture 6e, 2012; centred: A. Graves,
    "Generating sequences with recurrent neural networks", 2013.
    """

    learning_rate: float = 0.01
    rho: float = 0.99
    momentum: float = 0.0
    epsilon: float = 1e-8
    centered: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        fraction(rho=self.rho, momentum=self.momentum)
        not_negative(weight_decay=self.weight_decay)
        switches(centered=self.centered)

    def update_rule(self) -> UpdateRule:
        return UpdateRule(
            "rmsprop",
            {
                "alpha": self.rho,
                "epsilon": self.epsilon,
                "momentum": self.momentum,
                "centered": self.centered,
                "weight_decay": self.weight_decay,
            },
        )


@dataclass(frozen=True)
class Ftrl(Optimizer):
    """Follow the regularised leader: parameters are the minimum of all past gradients' planes.

    With ``n' = n + g²`` and ``k`` the learning rate power:
    ``z ← z + g + 2 λ_s p - (n'^-k - n^-k) / η p``;
    ``p ← (clip(z, ±λ₁) - z) / (n'^-k / η + 2 λ₂ + β / η)``; ``n ← n'``. A positive ``λ₁`` makes
    parameters exactly zero. The first step forgets the initial parameters, but for their gradient.

    Parameters
    ----------
    learning_rate : float, default 0.001
        ``η > 0``.
    learning_rate_power : float, default -0.5
        ``k ≤ 0``; 0 keeps the learning rate constant.
    initial_accumulator_value : float, default 0.1
        ``n`` before the first step, not negative.
    l1_regularization_strength, l2_regularization_strength : float, default 0
        ``λ₁, λ₂ ≥ 0``.
    l2_shrinkage_regularization_strength : float, default 0
        ``λ_s ≥ 0``, part of the gradient of ``z`` alone.
    beta : float, default 0
        ``β ≥ 0``.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    H. B. McMahan and others, "Ad click prediction: a view from the trenches", KDD 2013,
    algorithm 1, with the names and the form of Keras.
    """

    learning_rate: float = 0.001
    learning_rate_power: float = -0.5
    initial_accumulator_value: float = 0.1
    l1_regularization_strength: float = 0.0
    l2_regularization_strength: float = 0.0
    l2_shrinkage_regularization_strength: float = 0.0
    beta: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate)
        power = number("learning_rate_power", self.learning_rate_power)
        if not (power <= 0 and math.isfinite(power)):
            raise ValueError(
                f"learning_rate_power must be at most 0, got {self.learning_rate_power!r}"
            )
        not_negative(
            initial_accumulator_value=self.initial_accumulator_value,
            l1_regularization_strength=self.l1_regularization_strength,
            l2_regularization_strength=self.l2_regularization_strength,
            l2_shrinkage_regularization_strength=self.l2_shrinkage_regularization_strength,
            beta=self.beta,
            weight_decay=self.weight_decay,
        )

    def update_rule(self) -> UpdateRule:
        return UpdateRule(
            "ftrl",
            {
                "learning_rate_power": self.learning_rate_power,
                "initial_accumulator": self.initial_accumulator_value,
                "l1": self.l1_regularization_strength,
                "l2": self.l2_regularization_strength,
                "l2_shrinkage": self.l2_shrinkage_regularization_strength,
                "beta": self.beta,
                "weight_decay": self.weight_decay,
            },
        )
