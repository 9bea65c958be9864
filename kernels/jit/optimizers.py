"""Update rules over flat vectors."""

from __future__ import annotations

import numpy as np

from .. import _checks
from .._specs import UpdateRule
from .._typing import Array
from .engine.elements import run, run_plain
from .formulas.update_rules import BOUND, DECAY, FACTOR, N_CONSTANTS, RULES, constants_of, kernel_of


def update(
    rule: UpdateRule,
    parameters: Array,
    gradient: Array,
    state: Array | tuple[Array, ...],
    step: int,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    plain = type(rule) is UpdateRule and type(step) is int and step > 0 and _is_state(state, rule)
    if not plain:
        _checks.update(rule, parameters, gradient, state, step, n_threads)
    decay = 1 - learning_rate * rule.constants["weight_decay"]
    name = kernel_of(rule)
    constants = [0.0] * N_CONSTANTS
    constants[DECAY], constants[BOUND], constants[FACTOR] = decay, np.inf, 1.0
    RULES[name].scalars(constants, constants_of(rule), step, learning_rate)
    kernel = f"update {name}" if decay == 1 else f"update {name} regularised"
    values, vectors = np.array(constants), (parameters, gradient, *state)
    if not run_plain(kernel, vectors, n_threads, values):
        _checks.update(rule, parameters, gradient, state, step, n_threads)
        run(kernel, vectors, n_threads, values)


def _is_state(state: Array | tuple[Array, ...], rule: UpdateRule) -> bool:
    """Whether there are as many vectors as the rule has slots."""
    many = type(state) is tuple or (type(state) is np.ndarray and state.ndim == 2)
    return many and len(state) == len(rule.slots)
