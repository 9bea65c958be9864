"""The tasks of the engine's rows pass: blocks of rows forward, their errors back.

Each is compiled on its own at first use and called as ``task(plan, step, index)``; see
``threads/team``. Within a phase no two tasks write to the same place.
"""

from __future__ import annotations

from typing import Any

from ..compiling.calls import loss, loss_of_targets, scatter, sums
from ..compiling.lazy import Task
from ..memory.records import Plan
from ..scalar.builtins import call_task, doubles, record, scratch
from ..scalar.functions import inline
from ..vector.host import LINE
from .rows import (
    drop,
    errors_back,
    gather_rows,
    gather_targets,
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
    plan = record(plan_address, Plan)
    layers = layers_of(plan)
    first = step * plan.batch
    batch = rows_of_step(plan, step)
    block = plan.first_block + index
    row = block * plan.row_block
    if block == 0 and plan.update.prepare and (plan.update.varying or step == 0):
        call_task(plan.update.prepare, plan=plan_address, step=step, index=0)
    if row >= batch:  # one task more than blocks of rows: only the weights are read
        plan.penalty = penalty(plan, layers, step_total(plan, step, batch))
        return
    rows = min(plan.row_block, batch - row)
    columns = plan.columns + block * plan.columns_step_bytes
    last = layers[plan.n_layers - 1]

    if plan.forward:
        t = plan.steps_before + step + 1
        if plan.sparse.present:
            sparse_rows(plan, layers[0], t, first, row, rows)
            forward(plan, layers, 1, t, row, rows)
        else:
            n_in, a = layers[0].n_in, layers[0].a + row * LINE
            gather_rows(plan, plan.x, first + row, rows, n_in, a)
            forward(plan, layers, 0, t, row, rows)
    else:  # the rows are scores
        gather_rows(plan, plan.x, first + row, rows, last.n_out, last.z + row * LINE)

    if plan.with_loss:
        losses(plan, last, step, first, row, rows, columns)
    if plan.backward:
        for level in range(plan.n_layers - 1, plan.lowest, -1):
            errors_back(plan, layers[level], layers[level - 1], row, rows)
    if plan.with_out:
        if not plan.out_delta:
            output_rows(plan, last, row, rows, columns)
        scatter(
            plan,
            source=(last.d if plan.out_delta else last.z) + row * LINE,
            source_step_bytes=plan.row_step_bytes,
            count=rows,
            n=last.n_out,
            target=plan.out.address + (first + row) * plan.out.step_bytes,
            target_step_bytes=plan.out.step_bytes,
        )


@inline
def losses(plan: Any, last: Any, step: int, first: int, row: int, rows: int, columns: int) -> None:
    """Losses and errors of a block's scores."""
    gather_targets(plan, first + row, rows, last.n_out, plan.y + row * LINE)
    total = scaled_total(plan, step, rows_of_step(plan, step))
    share = 1 / total if total != 0.0 else 0.0
    scale = share if plan.backward else 1.0
    if plan.weights.factors:
        loss_of_targets(
            plan,
            plan.loss_of_targets,
            z=last.z + row * LINE,
            y=plan.y + row * LINE,
            d=last.d + row * LINE,
            step_bytes=plan.row_step_bytes,
            count=rows,
            n=last.n_out,
            losses=plan.losses + 8 * (row + plan.keep_losses * first),
            weights=plan.weights.address + plan.weights.step_bytes * (first + row),
            weight_step_bytes=plan.weights.step_bytes,
            factors=plan.weights.factors + plan.itemsize * (first + row),
            factor_step_bytes=plan.weights.factor_step_bytes,
            scratch=columns,
            scale=scale,
            constant=plan.loss_constant,
        )
    else:
        loss(
            plan,
            plan.loss,
            z=last.z + row * LINE,
            y=plan.y + row * LINE,
            d=last.d + row * LINE,
            step_bytes=plan.row_step_bytes,
            count=rows,
            n=last.n_out,
            losses=plan.losses + 8 * (row + plan.keep_losses * first),
            weights=plan.weights.address + plan.weights.step_bytes * (first + row),
            weight_step_bytes=plan.weights.step_bytes,
            scratch=columns,
            scale=scale,
            constant=plan.loss_constant,
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
            a=layer.a + at,
            w=plan.parameters + layer.weights_bytes,
            w_step_bytes=layer.weight_step_bytes,
            c=layer.z + at,
            k=layer.n_in,
            start=plan.parameters + layer.bias_bytes,
            start_step_bytes=LINE,
            rows=rows,
            panels=layer.panels_out,
            low=layer.low,
            high=layer.high,
            function=layer.activation,
            other=layer.slope + at,
        )


@inline
def penalty(plan: Any, layers: Any, total: float) -> Any:
    """``½ l2 Σ W² + l1 Σ |W|``."""
    totals = scratch(16)
    values = doubles(totals)
    values[0] = values[1] = 0.0
    for level in range(plan.n_layers):
        layer = layers[level]
        for panel in range(layer.panels_out):
            width = min(plan.panel, layer.n_out - panel * plan.panel)
            begin = plan.parameters + layer.weights_bytes + panel * layer.weight_step_bytes
            sums(plan, x=begin, lines=layer.n_in, width=width, totals=totals)
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
