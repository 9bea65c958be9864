"""Tasks around the two passes: parameters into stores and out, copies, and single kernels."""

from __future__ import annotations

from typing import Any

from ..compiling.calls import elementwise_at, gather, scatter, transpose
from ..compiling.lazy import Task
from ..memory.records import Copy, Operand, Plan, Run
from ..scalar.builtins import doubles, record, records
from ..scalar.functions import inline
from ..vector.host import LINE
from .rows import errors_back, layers_of


@inline
def bring(
    plan: Any, source: int, source_step_bytes: int, rows: int, n: int, target: int, step_bytes: int
) -> None:
    """Rows, as they come, into panels."""
    gather(
        plan,
        source=source,
        source_step_bytes=source_step_bytes,
        order=0,
        count=rows,
        n=n,
        target=target,
        target_step_bytes=step_bytes,
        available=0,
    )


@Task
def load_task(plan_address: int, step: int, index: int) -> None:
    """Copy layer ``index`` of a flat vector into a store, and transposed where that is kept."""
    plan = record(plan_address, Plan)
    layer = layers_of(plan)[index]
    weights, bias = plan.store + layer.weights_bytes, plan.store + layer.bias_bytes
    row_bytes, flat = layer.n_out * plan.itemsize, plan.flat.address
    begin, step_bytes = flat + layer.flat_weights_bytes, layer.weight_step_bytes
    bring(plan, begin, row_bytes, layer.n_in, layer.n_out, weights, step_bytes)
    bring(plan, flat + layer.flat_bias_bytes, 0, 1, layer.n_out, bias, LINE)
    if plan.refresh and layer.transposed:
        for panel in range(layer.panels_out):
            for upper in range(layer.panels_in):
                source = weights + panel * layer.weight_step_bytes + upper * plan.panel * LINE
                target = layer.transposed + upper * layer.transposed_step_bytes
                transpose(plan, source=source, target=target + panel * plan.panel * LINE)


@inline
def store_layer(plan: Any, index: int, store: int, flat: int) -> None:
    """Copy a layer of a store out to a flat vector."""
    layer = layers_of(plan)[index]
    row_bytes = layer.n_out * plan.itemsize
    scatter(
        plan,
        source=store + layer.weights_bytes,
        source_step_bytes=layer.weight_step_bytes,
        count=layer.n_in,
        n=layer.n_out,
        target=flat + layer.flat_weights_bytes,
        target_step_bytes=row_bytes,
    )
    scatter(
        plan,
        source=store + layer.bias_bytes,
        source_step_bytes=LINE,
        count=1,
        n=layer.n_out,
        target=flat + layer.flat_bias_bytes,
        target_step_bytes=row_bytes,
    )


@Task
def store_task(plan_address: int, step: int, index: int) -> None:
    """Copy layer ``index`` of the plan's store out to its flat vector."""
    plan = record(plan_address, Plan)
    store_layer(plan, index, plan.store, plan.flat.address)


@Task
def gradient_task(plan_address: int, step: int, index: int) -> None:
    """Copy layer ``index`` of a gradient out."""
    plan = record(plan_address, Plan)
    store_layer(plan, index, plan.gradient, plan.out.address)


@Task
def gather_task(plan_address: int, step: int, index: int) -> None:
    """One copy of the plan's list: rows of an operand into panels."""
    plan = record(plan_address, Plan)
    copy = records(plan.gathers, Copy)[index]
    operand = record(plan_address + copy.operand_bytes, Operand)
    rows = operand.address + copy.first * operand.step_bytes
    panels = copy.panels + copy.first * LINE
    bring(plan, rows, operand.step_bytes, copy.rows, copy.columns, panels, copy.step_bytes)
    if copy.transposed:
        across = copy.transposed + copy.first // plan.panel * copy.transposed_step_bytes
        for column in range(0, copy.columns, plan.panel):
            for row in range(0, copy.rows, plan.panel):
                source = panels + column // plan.panel * copy.step_bytes + row * LINE
                target = across + row // plan.panel * copy.transposed_step_bytes + column * LINE
                transpose(plan, source=source, target=target)


@Task
def scatter_task(plan_address: int, step: int, index: int) -> None:
    """One copy of the plan's other list: panels into rows of an operand."""
    plan = record(plan_address, Plan)
    copy = records(plan.scatters, Copy)[index]
    operand = record(plan_address + copy.operand_bytes, Operand)
    scatter(
        plan,
        source=copy.panels + copy.first * LINE,
        source_step_bytes=copy.step_bytes,
        count=copy.rows,
        n=copy.columns,
        target=operand.address + copy.first * operand.step_bytes,
        target_step_bytes=operand.step_bytes,
    )


@Task
def errors_task(plan_address: int, step: int, index: int) -> None:
    """Errors of the upper of two layers back to the lower one, and out: a block of rows."""
    plan = record(plan_address, Plan)
    layers = layers_of(plan)
    row = index * plan.row_block
    rows = min(plan.row_block, plan.n_rows - row)
    errors_back(plan, layers[1], layers[0], row, rows)
    scatter(
        plan,
        source=layers[0].d + row * LINE,
        source_step_bytes=plan.row_step_bytes,
        count=rows,
        n=layers[0].n_out,
        target=plan.out.address + row * plan.out.step_bytes,
        target_step_bytes=plan.out.step_bytes,
    )


@Task
def mean_task(plan_address: int, step: int, index: int) -> None:
    """The mean of the rows' losses, weighted where rows have weights (zero if all are)."""
    plan = record(plan_address, Plan)
    losses = doubles(plan.losses)
    summed, total = 0.0, float(plan.n_rows)
    if plan.weights.doubles:
        weights = doubles(plan.weights.doubles)
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
    work = record(run_address, Run)
    begin = index * work.chunk
    at_bytes = begin * work.itemsize
    elementwise_at(
        work.function,
        p=work.p + at_bytes,
        g=work.g + at_bytes,
        s=work.s + at_bytes,
        t=work.t + at_bytes,
        u=work.u + at_bytes,
        n=min(work.chunk, work.n - begin),
        constants=work.constants,
    )
