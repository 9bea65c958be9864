"""Tasks around the two passes: parameters into stores and out, copies, and single kernels."""

from __future__ import annotations

from ._access import call, pointer, record
from ._compile import Task, carray
from ._host import LINE
from ._plan import COPY, PLAN, RUN
from ._table import GATHER, SCATTER, TRANSPOSE
from ._walks import errors_back, kernel, layers_of


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


@Task
def store_task(plan_address: int, step: int, index: int) -> None:
    """Copy layer ``index`` of a store out to a flat vector."""
    plan = record(plan_address, PLAN)
    layer = layers_of(plan)[index]
    row = layer.n_out * plan.itemsize
    weights, target = plan.store + layer.weights, plan.flat + layer.flat_weights
    call(
        kernel(plan, SCATTER),
        (weights, layer.weight_step, layer.n_in, layer.n_out, target, row, 0, 0),
    )
    bias = plan.store + layer.bias
    call(
        kernel(plan, SCATTER), (bias, LINE, 1, layer.n_out, plan.flat + layer.flat_bias, row, 0, 0)
    )


@Task
def copy_task(copies: int, step: int, index: int) -> None:
    """One gather or scatter of a list."""
    copy = carray(pointer(copies), index + 1, COPY)[index]
    call(copy.function, (copy.a0, copy.a1, copy.a2, copy.a3, copy.a4, copy.a5, copy.a6, copy.a7))


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
def run_task(run_address: int, step: int, index: int) -> None:
    """A chunk of an elementwise kernel."""
    work = record(run_address, RUN)
    begin = index * work.chunk
    at = begin * work.itemsize
    n = min(work.chunk, work.n - begin)
    call(
        work.function,
        (
            work.p + at,
            work.g + at,
            work.s + at,
            work.t + at,
            n,
            work.k0,
            work.k1,
            work.k2,
            work.k3,
            work.k4,
        ),
    )
