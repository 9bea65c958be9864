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
from ._table import COLUMN_SUMS, GRADIENT, SCATTER, SUM_OF_SQUARES, TRANSPOSE
from ._walks import (
    errors_back,
    gather_rows,
    gather_targets,
    kernel,
    layers_of,
    output_rows,
    product,
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
    last = layers[plan.n_layers - 1]
    first = step * plan.batch
    batch = min(plan.batch, plan.n_rows - first)
    row = index * plan.row_block
    if row >= batch:  # one task more than blocks of rows: only the weights are read
        plan.penalty = penalty(plan, layers, step_total(plan, step, batch))
        return
    rows = min(plan.row_block, batch - row)
    scratch_columns = plan.columns + index * plan.columns_step

    if plan.forward:
        gather_rows(
            plan,
            plan.x,
            plan.x_step,
            first + row,
            rows,
            layers[0].n_in,
            layers[0].a + row * LINE,
        )
        for level in range(plan.n_layers):
            layer = layers[level]
            product(
                plan,
                layer.a + row * LINE,
                plan.parameters + layer.weights,
                layer.weight_step,
                layer.z + row * LINE,
                layer.n_in,
                plan.parameters + layer.bias,
                LINE,
                rows,
                layer.panels_out,
                layer.low,
                layer.high,
                layer.activation,
                0,
            )
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
            ),
        )
    if plan.backward:
        for level in range(plan.n_layers - 1, 0, -1):
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
def penalty(plan: Any, layers: Any, total: float) -> Any:
    """``½ l2 Σ W²``."""
    squares = scratch(8)
    carray(pointer(squares), 1, np.float64)[0] = 0.0
    for level in range(plan.n_layers):
        layer = layers[level]
        for panel in range(layer.panels_out):
            width = min(plan.panel, layer.n_out - panel * plan.panel)
            begin = plan.parameters + layer.weights + panel * layer.weight_step
            call(kernel(plan, SUM_OF_SQUARES), (begin, layer.n_in, width, squares))
    return 0.5 * step_l2(plan, total) * carray(pointer(squares), 1, np.float64)[0]


@inline
def step_l2(plan: Any, total: float) -> Any:
    """Weight of the penalty in a step of this total row weight."""
    if plan.penalty_per_row:
        return plan.l2 / total if total != 0.0 else 0.0
    return plan.l2


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


@Task
def weights_task(plan_address: int, step: int, index: int) -> None:
    """Weights pass: the gradient of a block of weights, and at once its update."""
    plan = record(plan_address, PLAN)
    rows = min(plan.batch, plan.n_rows - step * plan.batch)
    total = step_total(plan, step, rows)
    if index == plan.n_blocks:
        account(plan, step, rows, total)
        return
    block = carray(pointer(plan.blocks), plan.n_blocks, BLOCK)[index]
    layer = layers_of(plan)[block.layer]

    rate, c0, c1, c2, l2 = plan.learning_rate, plan.c0, plan.c1, plan.c2, step_l2(plan, total)
    if plan.is_adam:  # the bias corrections go into the rate and epsilon (reference/optimizers.py)
        t = plan.steps_before + step + 1
        root = math.sqrt(1 - plan.beta_2**t)
        rate = rate * root / (1 - plan.beta_1**t)
        c2 = plan.epsilon if plan.epsilon_hat else plan.epsilon * root

    gradient = scratch(_SCRATCH)
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
            call(
                kernel(plan, plan.rule),
                (
                    plan.parameters + at,
                    gradient + p * gradient_step,
                    plan.first_state + at,
                    plan.second_state + at,
                    features * plan.panel,
                    l2,
                    rate,
                    c0,
                    c1,
                    c2,
                ),
            )
            if plan.refresh and layer.transposed:
                for i in range(0, features, plan.panel):
                    target = layer.transposed + column * plan.panel * LINE
                    target += (feature + i) // plan.panel * layer.transposed_step
                    call(kernel(plan, TRANSPOSE), (plan.parameters + at + i * LINE, target))
    if block.with_bias:
        for p in range(block.panels):
            at = layer.bias + (block.panel + p) * LINE
            call(kernel(plan, COLUMN_SUMS), (d + p * plan.row_step, rows, gradient))
            call(
                kernel(plan, plan.rule),
                (
                    plan.parameters + at,
                    gradient,
                    plan.first_state + at,
                    plan.second_state + at,
                    plan.panel,
                    0.0,
                    rate,
                    c0,
                    c1,
                    c2,
                ),
            )
