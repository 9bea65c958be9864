"""Update rules over flat vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _checks
from .._specs import UpdateRule
from ..reference.optimizers import adam_step_size
from ._elements import run, run_plain
from ._workspace import Workspace

Array = np.ndarray[Any, Any]


def sgd_update(
    parameters: Array,
    gradient: Array,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    vectors, constants = (parameters, gradient), (0.0, learning_rate)
    if not run_plain("update sgd", vectors, constants, n_threads):
        _checks.update(parameters, gradient, n_threads)
        run("update sgd", vectors, constants, n_threads)


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
    name = "update nesterov" if nesterov else "update momentum"
    vectors, constants = (parameters, gradient, velocity), (0.0, learning_rate, momentum)
    if not run_plain(name, vectors, constants, n_threads):
        _checks.update(parameters, gradient, n_threads, velocity=velocity)
        run(name, vectors, constants, n_threads)


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
    rate, epsilon = adam_step_size(step, learning_rate, beta_1, beta_2, epsilon, epsilon_hat)
    vectors = (parameters, gradient, first_moment, second_moment)
    constants = (0.0, rate, 1 - beta_1, 1 - beta_2, epsilon)
    if not run_plain("update adam", vectors, constants, n_threads):
        _checks.update(
            parameters, gradient, n_threads, first_moment=first_moment, second_moment=second_moment
        )
        run("update adam", vectors, constants, n_threads)


def set_rule(space: Workspace, rule: UpdateRule) -> None:
    """Write an update rule and its constants into the plan."""
    plan = space.plan
    constants: Mapping[str, float] = rule.constants
    name = rule.name
    plan.is_adam = name == "adam"
    if name == "momentum":
        plan.c0 = constants["momentum"]
        name = "nesterov" if constants.get("nesterov", 0) else name
    elif name == "adam":
        plan.beta_1, plan.beta_2 = constants["beta_1"], constants["beta_2"]
        plan.c0, plan.c1 = 1 - plan.beta_1, 1 - plan.beta_2
        plan.epsilon = constants["epsilon"]
        plan.epsilon_hat = bool(constants.get("epsilon_hat", 0))
    plan.rule = space.use(f"update {name}")
