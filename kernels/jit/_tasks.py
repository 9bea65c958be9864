"""The tasks of the engine's two passes (DESIGN §4).

Each is compiled on its own at first use and called as ``task(plan, step, index)``; see ``_team``.
Within a phase no two tasks write to the same place.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._access import call, pointer, record, scratch
from ._compile import Task, carray, inline
from ._host import LINE, host
from ._plan import BLOCK, PLAN
from ._rules import FACTOR, N_CONSTANTS
from ._sparse_walks import sparse_gradient, sparse_rows
from ._table import BOUND_COLUMNS, COLUMN_SUMS, GRADIENT, NORMS, SCATTER, SUMS, TRANSPOSE
from ._walks import (
    constants_of,
    drop,
    errors_back,
    gather_rows,
    gather_targets,
    kernel,
    layers_of,
    output_rows,
    product,
    rows_of_step,
    step_total,
)

_FEATURES, _COLUMNS = host().gradient_rows, host().gradient_panels
# Gradients of so many panels of features wait in scratch for one call of the update.
_GROUP = 4
_SCRATCH = _COLUMNS * _GROUP * 16 * LINE  # a panel has 16 columns at most


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
        total = step_total(plan, step, batch)
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


@inline
def account(plan: Any, step: int, rows: int, total: float) -> None:
    """Add the step's mean loss, weighted by its rows, to the job's."""
    losses = carray(pointer(plan.losses), rows, np.float64)
    summed = 0.0
    if plan.weights_double:
        weights = carray(pointer(plan.weights_double), plan.n_rows, np.float64)
        first = step * plan.batch
        for row in range(rows):
            summed += weights[first + row] * losses[row]
    else:
        for row in range(rows):
            summed += losses[row]
    mean = summed / total if total != 0.0 else 0.0
    plan.summed += (mean + plan.penalty) * rows
    plan.steps_made += 1


@inline
def gradient_tiles(
    plan: Any, a: int, d: int, rows: int, features: int, panels: int, target: int, step: int
) -> None:
    """``aᵀ δ`` of one panel of features and some of columns."""
    tiles = (features + _FEATURES - 1) // _FEATURES
    i = 0
    for tile in range(tiles):
        tall = features // tiles + (1 if tile < features % tiles else 0)
        call(
            kernel(plan, GRADIENT + 2 * (tall - 1) + panels - 1),
            (a + i * plan.itemsize, d, plan.row_step, rows, target + i * LINE, step),
        )
        i += tall


@inline
def transpose_lines(plan: Any, layer: Any, panel: int, begin: int, end: int) -> None:
    """Bring the transposed copy of a panel's lines ``begin ≤ line < end`` up to date."""
    if plan.refresh and layer.transposed:
        source = plan.parameters + layer.weights + panel * layer.weight_step
        target = layer.transposed + panel * plan.panel * LINE
        for line in range(begin, end, plan.panel):
            across = target + line // plan.panel * layer.transposed_step
            call(kernel(plan, TRANSPOSE), (source + line * LINE, across))


@inline
def apply(plan: Any, rule: int, at: int, gradient: int, lines: int, constants: int) -> None:
    """Run the rule's kernel on lines that lie at this offset in every store."""
    call(
        kernel(plan, rule),
        (
            plan.parameters + at,
            gradient,
            plan.state_0 + at,
            plan.state_1 + at,
            plan.state_2 + at,
            lines * plan.panel,
            constants,
        ),
    )


@inline
def finish(plan: Any, index: int, at: int, gradient: int, lines: int, width: int, k: int) -> None:
    """Update lines with their gradient, or collect it; ``k`` are the constants to use."""
    if plan.gradient == 0:
        apply(plan, plan.rule, at, gradient, lines, k)
        return
    store = plan.gradient + at
    call(
        kernel(plan, plan.collect),
        (plan.parameters + at, gradient, store, store, store, lines * plan.panel, k),
    )
    if plan.norms:
        call(kernel(plan, NORMS), (store, lines, width, plan.norms + 16 * index, plan.clip_value))


@Task
def weights_task(plan_address: int, step: int, index: int) -> None:
    """Weights pass: the gradient of a block of weights, and at once its update."""
    plan = record(plan_address, PLAN)
    rows = rows_of_step(plan, step)
    if index == plan.n_blocks:
        account(plan, step, rows, step_total(plan, step, rows))
        return
    block = carray(pointer(plan.blocks), plan.n_blocks, BLOCK)[index]
    layer = layers_of(plan)[block.layer]
    if plan.norms:
        norms = carray(pointer(plan.norms), 2 * plan.n_blocks, np.float64)
        norms[2 * index] = norms[2 * index + 1] = 0.0

    gradient = scratch(_SCRATCH)
    d = layer.d + block.panel * plan.row_step
    if plan.sparse and block.layer == 0:  # all lines of one panel
        at = layer.weights + block.panel * layer.weight_step
        width = min(plan.panel, layer.n_out - block.panel * plan.panel)
        found = sparse_gradient(plan, layer, block.panel, step * plan.batch, rows)
        if found:
            finish(plan, index, at, found, layer.n_in, width, plan.constants)
    else:
        dense_gradient(plan, layer, block, index, rows, gradient)
    if block.with_bias:
        for p in range(block.panels):
            column = block.panel + p
            at = layer.bias + column * LINE
            width = min(plan.panel, layer.n_out - column * plan.panel)
            call(kernel(plan, COLUMN_SUMS), (d + p * plan.row_step, rows, gradient))
            finish(plan, index, at, gradient, 1, width, plan.constants + 8 * N_CONSTANTS)


@inline
def dense_gradient(plan: Any, layer: Any, block: Any, index: int, rows: int, gradient: int) -> None:
    """The gradient of a block of weights, a group of features at a time, and what is done to it."""
    d = layer.d + block.panel * plan.row_step
    group = _GROUP * plan.panel
    gradient_step = group * LINE
    for feature in range(block.begin, block.end, group):
        features = min(group, block.end - feature)
        for i in range(0, features, plan.panel):
            a = layer.a + (feature + i) // plan.panel * plan.row_step
            count = min(plan.panel, features - i)
            gradient_tiles(
                plan, a, d, rows, count, block.panels, gradient + i * LINE, gradient_step
            )
        for p in range(block.panels):
            column = block.panel + p
            at = layer.weights + column * layer.weight_step + feature * LINE
            width = min(plan.panel, layer.n_out - column * plan.panel)
            found = gradient + p * gradient_step
            finish(plan, index, at, found, features, width, plan.constants)
            if plan.gradient == 0:
                transpose_lines(plan, layer, column, feature, feature + features)


@Task
def norm_task(plan_address: int, step: int, index: int) -> None:
    """Length of the collected gradient, and the factor that clips it."""
    plan = record(plan_address, PLAN)
    norms = carray(pointer(plan.norms), 2 * plan.n_blocks, np.float64)
    whole, clipped = 0.0, 0.0
    for block in range(plan.n_blocks):
        whole += norms[2 * block]
        clipped += norms[2 * block + 1]
    plan.gradient_norm = math.sqrt(whole)
    factor = plan.clip_norm / (math.sqrt(clipped) + 1e-6)
    # NaN is a factor too: a gradient that is not finite stays seen.
    constants_of(plan)[N_CONSTANTS + FACTOR] = 1.0 if factor >= 1.0 else factor


@Task
def update_task(plan_address: int, step: int, index: int) -> None:
    """The update of a block of weights by the collected gradient, which has its penalties."""
    plan = record(plan_address, PLAN)
    block = carray(pointer(plan.blocks), plan.n_blocks, BLOCK)[index]
    layer = layers_of(plan)[block.layer]
    k, lines = plan.constants + 8 * N_CONSTANTS, block.end - block.begin
    for p in range(block.panels):
        column = block.panel + p
        at = layer.weights + column * layer.weight_step + block.begin * LINE
        apply(plan, plan.rule, at, plan.gradient + at, lines, k)
        transpose_lines(plan, layer, column, block.begin, block.end)
        if block.with_bias:
            at = layer.bias + column * LINE
            apply(plan, plan.rule, at, plan.gradient + at, 1, k)


@Task
def bound_task(plan_address: int, step: int, index: int) -> None:
    """Bound the columns of the panels of a layer that learns."""
    plan = record(plan_address, PLAN)
    layer = layers_of(plan)[index]
    if layer.trainable:
        for panel in range(layer.panels_out):
            begin = plan.parameters + layer.weights + panel * layer.weight_step
            call(kernel(plan, BOUND_COLUMNS), (begin, layer.n_in, plan.max_norm))
            transpose_lines(plan, layer, panel, 0, layer.n_in)
