"""Tasks around the two passes: parameters into stores and out, copies, and single kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiling.access import call, load_int, pointer, record
from ..compiling.lazy import Task, carray, inline
from ..compiling.table import GATHER, SCATTER, TRANSPOSE
from ..memory.records import COPY, PLAN, RUN
from ..vector.host import LINE
from .rows import errors_back, kernel, layers_of


@Task
def load_task(plan_address: int, step: int, index: int) -> None:
    """Copy layer ``index`` of a flat vector into a store, and transposed where that is kept."""
    plan = record(plan_address, PLAN)
    layer = layers_of(plan)[index]
    weights = plan.store + layer.weights
    row = layer.n_out * plan.itemsize
    begin = plan.flat + layer.flat_weights
    call(
        kernel(plan, GATHER),
        (begin, row, 0, layer.n_in, layer.n_out, weights, layer.weight_step, 0),
    )
    bias = plan.store + layer.bias
    call(kernel(plan, GATHER), (plan.flat + layer.flat_bias, 0, 0, 1, layer.n_out, bias, LINE, 0))
    if plan.refresh and layer.transposed:
        for panel in range(layer.panels_out):
            for upper in range(layer.panels_in):
                source = weights + panel * layer.weight_step + upper * plan.panel * LINE
                target = layer.transposed + upper * layer.transposed_step
                call(kernel(plan, TRANSPOSE), (source, target + panel * plan.panel * LINE))


@inline
def store_layer(plan: Any, index: int, store: int, flat: int) -> None:
    """Copy a layer of a store out to a flat vector."""
    layer = layers_of(plan)[index]
    row = layer.n_out * plan.itemsize
    call(
        kernel(plan, SCATTER),
        (
            store + layer.weights,
            layer.weight_step,
            layer.n_in,
            layer.n_out,
            flat + layer.flat_weights,
            row,
            0,
            0,
        ),
    )
    call(
        kernel(plan, SCATTER),
        (store + layer.bias, LINE, 1, layer.n_out, flat + layer.flat_bias, row, 0, 0),
    )


@Task
def store_task(plan_address: int, step: int, index: int) -> None:
    """Copy layer ``index`` of the plan's store out to its flat vector."""
    plan = record(plan_address, PLAN)
    store_layer(plan, index, plan.store, plan.flat)


@Task
def gradient_task(plan_address: int, step: int, index: int) -> None:
    """Copy layer ``index`` of a gradient out."""
    plan = record(plan_address, PLAN)
    store_layer(plan, index, plan.gradient, plan.out)


@Task
def gather_task(plan_address: int, step: int, index: int) -> None:
    """One copy of the plan's list: rows of an operand into panels."""
    plan = record(plan_address, PLAN)
    copy = carray(pointer(plan.gathers), index + 1, COPY)[index]
    row_step = load_int(plan_address + copy.operand + 8)
    rows = load_int(plan_address + copy.operand) + copy.first * row_step
    panels = copy.panels + copy.first * LINE
    call(kernel(plan, GATHER), (rows, row_step, 0, copy.rows, copy.columns, panels, copy.step, 0))
    if copy.transposed:
        across = copy.transposed + copy.first // plan.panel * copy.transposed_step
        for column in range(0, copy.columns, plan.panel):
            for row in range(0, copy.rows, plan.panel):
                source = panels + column // plan.panel * copy.step + row * LINE
                target = across + row // plan.panel * copy.transposed_step + column * LINE
                call(kernel(plan, TRANSPOSE), (source, target))


@Task
def scatter_task(plan_address: int, step: int, index: int) -> None:
    """One copy of the plan's other list: panels into rows of an operand."""
    plan = record(plan_address, PLAN)
    copy = carray(pointer(plan.scatters), index + 1, COPY)[index]
    row_step = load_int(plan_address + copy.operand + 8)
    rows = load_int(plan_address + copy.operand) + copy.first * row_step
    panels = copy.panels + copy.first * LINE
    call(kernel(plan, SCATTER), (panels, copy.step, copy.rows, copy.columns, rows, row_step, 0, 0))


@Task
def errors_task(plan_address: int, step: int, index: int) -> None:
    """Errors of the upper of two layers back to the lower one, and out: a block of rows."""
    plan = record(plan_address, PLAN)
    layers = layers_of(plan)
    row = index * plan.row_block
    rows = min(plan.row_block, plan.n_rows - row)
    errors_back(plan, layers[1], layers[0], row, rows)
    target = plan.out + row * plan.out_step
    call(
        kernel(plan, SCATTER),
        (
            layers[0].d + row * LINE,
            plan.row_step,
            rows,
            layers[0].n_out,
            target,
            plan.out_step,
            0,
            0,
        ),
    )


@Task
def mean_task(plan_address: int, step: int, index: int) -> None:
    """The mean of the rows' losses, weighted where rows have weights (zero if all are)."""
    plan = record(plan_address, PLAN)
    losses = carray(pointer(plan.losses), plan.n_rows, np.float64)
    summed, total = 0.0, float(plan.n_rows)
    if plan.weights_double:
        weights = carray(pointer(plan.weights_double), plan.n_rows, np.float64)
        total = 0.0
        for row in range(plan.n_rows):
            summed += weights[row] * losses[row]
            total += weights[row]
    else:
        for row in range(plan.n_rows):
            summed += losses[row]
    plan.summed = summed / total if total != 0.0 else 0.0


@Task
def run_task(run_address: int, step: int, index: int) -> None:
    """A chunk of an elementwise kernel."""
    work = record(run_address, RUN)
    begin = index * work.chunk
    at = begin * work.itemsize
    n = min(work.chunk, work.n - begin)
    vectors = (work.p + at, work.g + at, work.s + at, work.t + at, work.u + at)
    call(work.function, (*vectors, n, work.constants))
