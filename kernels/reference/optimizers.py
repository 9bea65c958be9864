"""One step of an update rule as a kernel: arguments are checked, then ``update_rules`` runs."""

from __future__ import annotations

from .. import _checks
from .._specs import UpdateRule
from .._typing import Array
from . import update_rules
from .numerics import quiet


@quiet
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
    _checks.update(rule, parameters, gradient, state, step, n_threads)
    update_rules.apply(rule, parameters, gradient, list(state), step, learning_rate)
