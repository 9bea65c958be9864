"""The tasks of the engine's weights pass: gradients of blocks of weights, and updates.

Each is compiled on its own at first use and called as ``task(plan, step, index)``; see
``threads/team``. Within a phase no two tasks write to the same place.
"""

from __future__ import annotations

import math
from typing import Any

from ..compiling.calls import (
    accumulate,
    bound_columns,
    column_sums,
    elementwise,
    norms,
    rounded,
    transpose,
)
from ..compiling.lazy import Task
from ..formulas.update_rules import FACTOR, N_CONSTANTS
from ..matrices.tiles import RUN
from ..memory.records import Block, Plan
from ..scalar.builtins import doubles, record, records, scratch
from ..scalar.functions import inline
from ..vector.host import LINE, host
from .gradients import FEATURES, GROUP, is_narrow, narrow_gradient, plain_gradient
from .rows import constants_of, layers_of, rows_of_step, step_total
from .sparse import sparse_gradient

_STEP = GROUP * LINE  # from panel to panel
SCRATCH = host().gradient_panels * _STEP
_SUMS = 2 * SCRATCH  # of float32 in float64


@inline
def account(plan: Any, step: int, rows: int, total: float) -> None:
    """Add the step's mean loss, weighted by its rows, to the job's."""
    losses = doubles(plan.losses)
    summed = 0.0
    if plan.weights.doubles:
        weights = doubles(plan.weights.doubles)
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
def transpose_lines(plan: Any, layer: Any, panel: int, begin: int, end: int) -> None:
    """Bring the transposed copy of a panel's lines ``begin ≤ line < end`` up to date."""
    if plan.refresh and layer.transposed:
        source = plan.parameters + layer.weights_bytes + panel * layer.weight_step_bytes
        target = layer.transposed + panel * plan.panel * LINE
        for line in range(begin, end, plan.panel):
            across = target + line // plan.panel * layer.transposed_step_bytes
            transpose(plan, source=source + line * LINE, target=across)


@inline
def biases_constants(plan: Any) -> int:
    """Address of the constants for biases, also for gradients that have had their penalties."""
    address: int = plan.update.constants + 8 * N_CONSTANTS
    return address


@inline
def apply(plan: Any, rule: int, at_bytes: int, gradient: int, lines: int, constants: int) -> None:
    """Run the rule's kernel on lines that lie so far inside every store."""
    elementwise(
        plan,
        rule,
        p=plan.parameters + at_bytes,
        g=gradient,
        s=plan.state_0 + at_bytes,
        t=plan.state_1 + at_bytes,
        u=plan.state_2 + at_bytes,
        n=lines * plan.panel,
        constants=constants,
    )


@inline
def finish(
    plan: Any,
    layer: Any,
    panel: int,
    feature: int,
    at_bytes: int,
    gradient: int,
    lines: int,
    k: int,
) -> None:
    """Update lines with their gradient, or collect it; ``k`` are the constants to use.

    The lines are those of a panel from ``feature`` on, or its biases: what follows the features.
    """
    if plan.gradient == 0:
        apply(plan, plan.update.rule, at_bytes, gradient, lines, k)
        return
    store = plan.gradient + at_bytes
    elementwise(
        plan,
        plan.update.collect,
        p=plan.parameters + at_bytes,
        g=gradient,
        s=store,
        t=store,
        u=store,
        n=lines * plan.panel,
        constants=k,
    )
    if plan.norms:
        place = layer.norms + panel * (layer.panels_in + 1) + feature // plan.panel
        width = min(plan.panel, layer.n_out - panel * plan.panel)
        places = plan.norms + 16 * place
        norms(plan, g=store, lines=lines, width=width, places=places, bound=plan.update.clip_value)


@Task
def weights_task(plan_address: int, step: int, index: int) -> None:
    """Weights pass: the gradient of a block of weights, and at once its update."""
    plan = record(plan_address, Plan)
    rows = rows_of_step(plan, step)
    if index == plan.n_blocks:
        account(plan, step, rows, step_total(plan, step, rows))
        return
    block = records(plan.blocks, Block)[index]
    layer = layers_of(plan)[block.layer]

    gradient = scratch(SCRATCH)
    d = layer.d + block.panel * plan.row_step_bytes
    if plan.sparse.present and block.layer == 0:  # all lines of one panel
        at = layer.weights_bytes + block.panel * layer.weight_step_bytes
        found = sparse_gradient(plan, layer, block.panel, step * plan.batch, rows)
        if found:
            finish(plan, layer, block.panel, 0, at, found, layer.n_in, plan.update.constants)
    else:
        dense_gradient(plan, layer, block, rows, gradient)
    if block.with_bias:
        for p in range(block.panels):
            column = block.panel + p
            at = layer.bias_bytes + column * LINE
            column_sums(plan, d=d + p * plan.row_step_bytes, k=rows, g=gradient)
            behind = layer.panels_in * plan.panel
            finish(plan, layer, column, behind, at, gradient, 1, biases_constants(plan))


@inline
def group_gradient(
    plan: Any,
    layer: Any,
    block: Any,
    first: int,
    rows: int,
    feature: int,
    features: int,
    gradient: int,
    ahead_bytes: int,
) -> None:
    """The gradient of a group of features of a block, over ``rows`` rows from ``first`` on.

    Sums over more rows than keep their digits in float32 are made of runs, which are added in
    float64. Runs begin at the same rows in every block, whatever the number of threads.
    """
    narrow = is_narrow(plan, layer, block, rows)
    run = RUN if plan.itemsize == 4 and rows > RUN else max(rows, 1)
    sums = scratch(_SUMS)
    for begin in range(0, max(rows, 1), run):
        here, done, row = min(run, rows - begin), 0, first + begin
        ahead = min(ahead_bytes // max(here, 1), 2 * LINE) if begin == 0 else 0
        if narrow:
            done = narrow_gradient(
                plan, layer, block, row, here, feature, features, gradient, ahead
            )
        plain_gradient(
            plan, layer, block, row, here, feature, done, features, gradient, _STEP, ahead, 0
        )
        if run < rows:
            for p in range(block.panels):
                at = p * GROUP * LINE
                source, whole = gradient + at, sums + 2 * at
                accumulate(plan, source=source, sums=whole, lines=features, known=begin)
    if run < rows:
        for p in range(block.panels):
            at = p * GROUP * LINE
            rounded(plan, sums=sums + 2 * at, target=gradient + at, lines=features)


@inline
def descends(plan: Any, layer: Any, block: Any, rows: int) -> Any:
    """Whether tiles of the gradient change the weights at once: sums that are whole, of a block
    whose columns are no tile's rows."""
    whole = rows <= RUN or plan.itemsize != 4
    return plan.update.descends and whole and not is_narrow(plan, layer, block, rows)


@inline
def descend(plan: Any, layer: Any, block: Any, rows: int) -> None:
    """A step of plain descent of a block of weights."""
    step = layer.weight_step_bytes
    ahead = FEATURES * LINE // max(rows, 1)
    for feature in range(block.begin, block.end, GROUP):
        features = min(GROUP, block.end - feature)
        weights = plan.parameters + layer.weights_bytes + block.panel * step + feature * LINE
        plain_gradient(plan, layer, block, 0, rows, feature, 0, features, weights, step, ahead, 1)
        for p in range(block.panels):
            transpose_lines(plan, layer, block.panel + p, feature, feature + features)


@inline
def dense_gradient(plan: Any, layer: Any, block: Any, rows: int, gradient: int) -> None:
    """The gradient of a block of weights, a group of features at a time, and what is done to it."""
    if descends(plan, layer, block, rows):
        descend(plan, layer, block, rows)
        return
    for feature in range(block.begin, block.end, GROUP):
        features = min(GROUP, block.end - feature)
        group_gradient(plan, layer, block, 0, rows, feature, features, gradient, GROUP * LINE)
        for p in range(block.panels):
            column = block.panel + p
            at = layer.weights_bytes + column * layer.weight_step_bytes + feature * LINE
            found = gradient + p * GROUP * LINE
            finish(plan, layer, column, feature, at, found, features, plan.update.constants)
            if plan.gradient == 0:
                transpose_lines(plan, layer, column, feature, feature + features)


@Task
def norm_task(plan_address: int, step: int, index: int) -> None:
    """Length of the collected gradient, and the factor that clips it."""
    plan = record(plan_address, Plan)
    squares = doubles(plan.norms)
    whole, clipped = 0.0, 0.0
    for place in range(plan.n_norms):
        whole += squares[2 * place]
        clipped += squares[2 * place + 1]
    plan.update.gradient_norm = math.sqrt(whole)
    factor = plan.update.clip_norm / (math.sqrt(clipped) + 1e-6)
    # NaN is a factor too: a non-finite gradient is not clipped away, so it remains visible.
    constants_of(plan)[N_CONSTANTS + FACTOR] = 1.0 if factor >= 1.0 else factor


@Task
def update_task(plan_address: int, step: int, index: int) -> None:
    """The update of a block of weights by the collected gradient, which has its penalties."""
    plan = record(plan_address, Plan)
    block = records(plan.blocks, Block)[index]
    layer = layers_of(plan)[block.layer]
    k, lines = biases_constants(plan), block.end - block.begin
    for p in range(block.panels):
        column = block.panel + p
        at = layer.weights_bytes + column * layer.weight_step_bytes + block.begin * LINE
        apply(plan, plan.update.rule, at, plan.gradient + at, lines, k)
        transpose_lines(plan, layer, column, block.begin, block.end)
        if block.with_bias:
            at = layer.bias_bytes + column * LINE
            apply(plan, plan.update.rule, at, plan.gradient + at, 1, k)


@Task
def bound_task(plan_address: int, step: int, index: int) -> None:
    """Bound the columns of the panels of a layer that learns."""
    plan = record(plan_address, Plan)
    layer = layers_of(plan)[index]
    if layer.trainable:
        for panel in range(layer.panels_out):
            begin = plan.parameters + layer.weights_bytes + panel * layer.weight_step_bytes
            bound_columns(plan, w=begin, lines=layer.n_in, length=plan.update.max_norm)
            transpose_lines(plan, layer, panel, 0, layer.n_in)
