"""What happens once a step before the weights pass: the constants of the update."""

from __future__ import annotations

import functools

from ..compiling.lazy import Task
from ..formulas.update_rules import BOUND, DECAY, FACTOR, L1, L2, N_CONSTANTS, RULES
from ..memory.records import Plan
from ..scalar.builtins import doubles, record
from ..scalar.functions import inline
from .rows import constants_of, rows_of_step, step_total
from .rows_pass import penalty_share


def _prepare(plan_address: int, step: int, index: int) -> None:
    plan = record(plan_address, Plan)
    rate = plan.update.learning_rate
    if plan.update.rates:
        rate = doubles(plan.update.rates)[step]
    k = constants_of(plan)
    c = doubles(plan.update.rule_constants, plan.update.n_rule_constants)
    scalars(k, c, plan.steps_before + step + 1, rate)  # type: ignore[name-defined]  # noqa: F821
    share = penalty_share(plan, step_total(plan, step, rows_of_step(plan, step)))
    k[L2], k[L1] = plan.l2 * share, plan.l1 * share
    k[DECAY], k[FACTOR] = 1 - rate * plan.update.weight_decay, 1.0
    k[BOUND] = plan.update.clip_value
    for i in range(N_CONSTANTS):
        k[N_CONSTANTS + i] = k[i]
    k[N_CONSTANTS + L2] = k[N_CONSTANTS + L1] = 0.0


@functools.cache
def prepare_task(rule: str) -> Task:
    """The task for a rule of ``RULES``."""
    name = f"prepare_{rule.replace('-', '_')}"
    return Task(_prepare, name, scalars=inline(RULES[rule].scalars))
