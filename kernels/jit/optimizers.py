"""Update rules over flat vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import _checks
from .._specs import UpdateRule
from .._typing import Array
from .engine.elements import run, run_plain
from .formulas.update_rules import BOUND, DECAY, FACTOR, N_CONSTANTS, RULES, constants_of, kernel_of


def sgd_update(
    parameters: Array,
    gradient: Array,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    def check() -> None:
        _checks.update(parameters, gradient, n_threads)

    _apply("sgd", (), 1, learning_rate, (parameters, gradient), n_threads, check)


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
    def check() -> None:
        _checks.update(parameters, gradient, n_threads, velocity=velocity)

    vectors = (parameters, gradient, velocity)
    name = "nesterov" if nesterov else "momentum"
    _apply(name, (momentum,), 1, learning_rate, vectors, n_threads, check)


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
    def check() -> None:
        state = {"first_moment": first_moment, "second_moment": second_moment}
        _checks.update(parameters, gradient, n_threads, **state)

    vectors = (parameters, gradient, first_moment, second_moment)
    constants = (beta_1, beta_2, epsilon, float(epsilon_hat))
    _apply("adam", constants, step, learning_rate, vectors, n_threads, check)


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
    decay = 1 - learning_rate * rule.constants["weight_decay"]
    _apply(
        kernel_of(rule),
        constants_of(rule),
        step,
        learning_rate,
        (parameters, gradient, *state),
        n_threads,
        decay=decay,
    )


def _nothing_to_check() -> None:
    pass


def _apply(
    name: str,
    rule_constants: Sequence[float],
    step: int,
    learning_rate: float,
    vectors: Sequence[Array],
    n_threads: int | None,
    check: Callable[[], None] = _nothing_to_check,
    decay: float = 1.0,
) -> None:
    """One step of a rule; the arguments are checked where they are not plainly right."""
    constants = [0.0] * N_CONSTANTS
    constants[DECAY], constants[BOUND], constants[FACTOR] = decay, np.inf, 1.0
    RULES[name].scalars(constants, rule_constants, step, learning_rate)
    kernel = f"update {name}" if decay == 1 else f"update {name} regularised"
    values = np.array(constants)
    if not run_plain(kernel, vectors, n_threads, values):
        check()
        run(kernel, vectors, n_threads, values)
