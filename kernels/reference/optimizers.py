"""One step of an update rule as a kernel: arguments are checked, then ``update_rules`` runs."""

from __future__ import annotations

from .. import _checks
from .._specs import UpdateRule
from .._typing import Array
from . import update_rules
from .update_rules import adam_step_size as adam_step_size


def sgd_update(
    parameters: Array,
    gradient: Array,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    _checks.update(parameters, gradient, n_threads)
    update_rules.sgd(parameters, gradient, (), 1, learning_rate, {})


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
    constants = {"momentum": momentum, "nesterov": nesterov}
    update_rules.momentum(parameters, gradient, (velocity,), 1, learning_rate, constants)


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
    constants = {
        "beta_1": beta_1,
        "beta_2": beta_2,
        "epsilon": epsilon,
        "epsilon_hat": epsilon_hat,
    }
    state = (first_moment, second_moment)
    update_rules.adam(parameters, gradient, state, step, learning_rate, constants)


def update(
    rule: UpdateRule,
    parameters: Array,
    gradient: Array,
    state: Array,
    step: int,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    _checks.update_by(rule, parameters, gradient, state, step, n_threads)
    update_rules.apply(rule, parameters, gradient, list(state), step, learning_rate)
