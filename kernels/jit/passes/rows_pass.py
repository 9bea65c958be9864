"""The tasks of the engine's rows pass: blocks of rows forward, their errors back.

Each is compiled on its own at first use and called as ``task(plan, step, index)``; see
``threads/team``. Within a phase no two tasks write to the same place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiling.access import call, pointer, record, scratch
from ..compiling.lazy import Task, carray, inline
from ..compiling.table import SCATTER, SUMS
from ..memory.records import PLAN
from ..vector.host import LINE
from .rows import (
    drop,
    errors_back,
    gather_rows,
    gather_targets,
    kernel,
    layers_of,
    output_rows,
    product,
    rows_of_step,
    scaled_total,
    step_total,
)
from .sparse import sparse_rows


@Task
def rows_task(plan_address: int, step: int, index: int) -> None:
    """Rows pass: a block of rows forward, its loss and errors, and the errors back."""
    plan = record(plan_address, PLAN)
    layers = layers_of(plan)
    first = step * plan.batch
    batch = rows_of_step(plan, step)
    row = index * plan.row_block
    if index == 0 and plan.prepare and (plan.varying or step == 0):
        call(plan.prepare, (plan_address, step, 0))
    if row >= batch:  # one task more than blocks of rows: only the weights are read
        plan.penalty = penalty(plan, layers, step_total(plan, step, batch))
        return
    rows = min(plan.row_block, batch - row)
    scratch_columns = plan.columns + index * plan.columns_step
    last = layers[plan.n_layers - 1]

    if plan.forward:
        t = plan.steps_before + step + 1
        if plan.sparse:
            sparse_rows(plan, layers[0], t, first, row, rows)
            forward(plan, layers, 1, t, row, rows)
        else:
            n_in, a = layers[0].n_in, layers[0].a + row * LINE
            gather_rows(plan, plan.x, plan.x_step, first + row, rows, n_in, a)
            forward(plan, layers, 0, t, row, rows)
    else:  # the rows are scores
        gather_rows(plan, plan.x, plan.x_step, first + row, rows, last.n_out, last.z + row * LINE)

    if plan.with_loss:
        gather_targets(plan, first + row, rows, last.n_out, plan.y + row * LINE)
        total = scaled_total(plan, step, batch)
        call(
            kernel(plan, plan.loss),
            (
                last.z + row * LINE,
                plan.y + row * LINE,
                last.d + row * LINE,
                plan.row_step,
                rows,
                last.n_out,
                plan.losses + 8 * (row + plan.keep_losses * first),
                plan.weights + plan.weights_step * (first + row),
                plan.weights_step,
                scratch_columns,
                (1 / total if total != 0.0 else 0.0) if plan.backward else 1.0,
                plan.loss_constant,
            ),
        )
    if plan.backward:
        for level in range(plan.n_layers - 1, plan.lowest, -1):
            errors_back(plan, layers[level], layers[level - 1], row, rows)
    if plan.with_out:
        if not plan.out_delta:
            output_rows(plan, last, row, rows, scratch_columns)
        source = (last.d if plan.out_delta else last.z) + row * LINE
        target = plan.out + (first + row) * plan.out_step
        call(
            kernel(plan, SCATTER),
            (source, plan.row_step, rows, last.n_out, target, plan.out_step, 0, 0),
        )


@inline
def forward(plan: Any, layers: Any, lowest: int, t: int, row: int, rows: int) -> None:
    """Layers from ``lowest`` on, for a block of rows whose inputs are there; ``t`` is the step."""
    for level in range(lowest, plan.n_layers):
        layer = layers[level]
        if layer.threshold:
            slope = layers[level - 1].slope if level else 0
            drop(plan, layer, level, slope, t, row, rows)
        at = row * LINE
        product(
            plan,
            layer.a + at,
            plan.parameters + layer.weights,
            layer.weight_step,
            layer.z + at,
            layer.n_in,
            plan.parameters + layer.bias,
            LINE,
            rows,
            layer.panels_out,
            layer.low,
            layer.high,
            layer.activation,
            layer.slope + at,
        )


@inline
def penalty(plan: Any, layers: Any, total: float) -> Any:
    """``½ l2 Σ W² + l1 Σ |W|``."""
    sums = scratch(16)
    values = carray(pointer(sums), 2, np.float64)
    values[0] = values[1] = 0.0
    for level in range(plan.n_layers):
        layer = layers[level]
        for panel in range(layer.panels_out):
            width = min(plan.panel, layer.n_out - panel * plan.panel)
            begin = plan.parameters + layer.weights + panel * layer.weight_step
            call(kernel(plan, SUMS), (begin, layer.n_in, width, sums))
    share = penalty_share(plan, total)
    # A penalty that is not wanted must not see infinite weights.
    squares = 0.5 * plan.l2 * share * values[0] if plan.l2 != 0.0 else 0.0
    return squares + (plan.l1 * share * values[1] if plan.l1 != 0.0 else 0.0)


@inline
def penalty_share(plan: Any, total: float) -> Any:
    """What penalties are multiplied by in a step of this total row weight."""
    if plan.penalty_per_row:
        return 1 / total if total != 0.0 else 0.0
    return 1.0
