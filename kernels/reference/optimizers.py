"""Update rules: each changes flat vectors of parameters and state in place, for one step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _checks

Array = np.ndarray[Any, Any]


def sgd_update(
    parameters: Array,
    gradient: Array,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    _checks.update(parameters, gradient, n_threads)
    parameters -= learning_rate * gradient


def momentum_update(
    parameters: Array,
    gradient: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    nesterov: bool = False,
    *,
    n_threads: int | None = None,
) -> None:
    _checks.update(parameters, gradient, n_threads, velocity=velocity)
    velocity *= momentum
    velocity -= learning_rate * gradient
    if nesterov:
        parameters += momentum * velocity - learning_rate * gradient
    else:
        parameters += velocity


def adam_update(
    parameters: Array,
    gradient: Array,
    first_moment: Array,
    second_moment: Array,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    epsilon_hat: bool = False,
    *,
    n_threads: int | None = None,
) -> None:
    _checks.update(
        parameters, gradient, n_threads, first_moment=first_moment, second_moment=second_moment
    )
    rate, epsilon = adam_step_size(step, learning_rate, beta_1, beta_2, epsilon, epsilon_hat)
    first_moment += (1 - beta_1) * (gradient - first_moment)
    second_moment += (1 - beta_2) * (gradient * gradient - second_moment)
    parameters -= rate * first_moment / (np.sqrt(second_moment) + epsilon)


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


def apply(
    rule: str,
    constants: Mapping[str, float],
    parameters: Array,
    gradient: Array,
    state: Array,
    step: int,
    learning_rate: float,
) -> None:
    """One step of the update rule of that name; ``state`` is ``(n_slots, n_parameters)``."""
    # A new update rule goes here (and into `UPDATE_RULES` of _specs.py).
    if rule == "sgd":
        sgd_update(parameters, gradient, learning_rate)
    elif rule == "momentum":
        momentum_update(
            parameters,
            gradient,
            state[0],
            learning_rate,
            constants["momentum"],
            bool(constants.get("nesterov", 0)),
        )
    else:
        adam_update(
            parameters,
            gradient,
            state[0],
            state[1],
            step,
            learning_rate,
            constants["beta_1"],
            constants["beta_2"],
            constants["epsilon"],
            bool(constants.get("epsilon_hat", 0)),
        )
