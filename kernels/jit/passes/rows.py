"""Loops over panels and rows: the parts that the tasks are made of.

Compiled Python that calls the kernels of the table by address. It computes addresses only, so that
one version serves both dtypes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..compiling.access import call, load_int, pointer
from ..compiling.lazy import carray, inline
from ..compiling.table import FORWARD, GATHER, ONE_HOT, SOFTMAX
from ..formulas.update_rules import N_CONSTANTS
from ..memory.records import DENSE, LABELS, LAYER
from ..vector.host import LINE, host

_ROWS, _PANELS = host().forward_rows, host().forward_panels


@inline
def layers_of(plan: Any) -> Any:
    """The plan's layers, first the lowest."""
    return carray(pointer(plan.layers), plan.n_layers, LAYER)


@inline
def kernel(plan: Any, index: int) -> Any:
    """Address of a kernel."""
    return load_int(plan.table + 8 * index)


@inline
def run(plan: Any, index: int, x: int, other: int, n: int) -> None:
    """Activation or derivative of ``n`` elements."""
    call(kernel(plan, index), (x, other, x, x, x, n, 0))


@inline
def product(
    plan: Any,
    a: int,
    w: int,
    w_step: int,
    c: int,
    k: int,
    start: int,
    start_step: int,
    rows: int,
    panels: int,
    low: float,
    high: float,
    function: int,
    other: int,
) -> None:
    """``c = f(clip(start + a w))`` for a block of rows: columns outside, rows inside, so that the
    panels of ``w`` stay in cache; the first tile prefetches the next of them."""
    tiles = (rows + _ROWS - 1) // _ROWS
    for panel in range(0, panels, _PANELS):
        wide = min(_PANELS, panels - panel)
        w_panel, c_panel = w + panel * w_step, c + panel * plan.row_step
        row = 0
        for tile in range(tiles):
            tall = rows // tiles + (1 if tile < rows % tiles else 0)
            call(
                kernel(plan, FORWARD + 2 * (tall - 1) + wide - 1),
                (
                    a + row * LINE,
                    plan.row_step,
                    w_panel,
                    w_step,
                    c_panel + row * LINE,
                    plan.row_step,
                    k,
                    start + panel * start_step,
                    _PANELS * w_step if tile == 0 and panel + wide < panels else 0,
                    low,
                    high,
                ),
            )
            row += tall
        if function >= 0:
            for p in range(wide):
                at = p * plan.row_step
                run(
                    plan,
                    function,
                    c_panel + at,
                    other + panel * plan.row_step + at,
                    rows * plan.panel,
                )


@inline
def errors_back(plan: Any, layer: Any, below: Any, row: int, rows: int) -> None:
    """``δ^l = (δ^(l+1) Wᵀ) ⊙ σ'(z^l)`` for a block of rows: ``layer`` is l + 1, ``below`` is l."""
    product(
        plan,
        layer.d + row * LINE,
        layer.transposed,
        layer.transposed_step,
        below.d + row * LINE,
        layer.n_out,
        plan.zeros,
        0,
        rows,
        layer.panels_in,
        -math.inf,
        math.inf,
        below.derivative,
        below.kept + row * LINE,
    )


@inline
def gather_rows(
    plan: Any, source: int, source_step: int, first: int, rows: int, n: int, target: int
) -> None:
    """Rows ``first …`` of the visiting order into panels."""
    begin = source if plan.order else source + first * source_step
    order = plan.order + 8 * first if plan.order else 0
    available = plan.n_rows - first
    call(
        kernel(plan, GATHER), (begin, source_step, order, rows, n, target, plan.row_step, available)
    )


@inline
def gather_targets(plan: Any, first: int, rows: int, n: int, y: int) -> None:
    if plan.target_kind == LABELS:
        order = plan.order + 8 * first if plan.order else 0
        labels = plan.target if plan.order else plan.target + 8 * first
        call(kernel(plan, ONE_HOT), (labels, order, rows, n, y, plan.row_step, plan.label_low))
    elif plan.target_kind == DENSE:
        gather_rows(plan, plan.target, plan.target_step, first, rows, n, y)


@inline
def output_rows(plan: Any, layer: Any, row: int, rows: int, scratch: int) -> None:
    """Output activation of a block's scores, in place."""
    z = layer.z + row * LINE
    if plan.is_softmax:
        call(kernel(plan, SOFTMAX), (z, plan.row_step, rows, layer.n_out, scratch))
    elif plan.output_activation >= 0:
        for p in range(layer.panels_out):
            run(plan, plan.output_activation, z + p * plan.row_step, 0, rows * plan.panel)


@inline
def step_total(plan: Any, step: int, rows: int) -> Any:
    """Total row weight of a step."""
    if plan.totals:
        return carray(pointer(plan.totals), step + 1, np.float64)[step]
    return float(rows)


@inline
def scaled_total(plan: Any, step: int, rows: int) -> Any:
    """The same of the weights in the dtype, which are scaled where they are very large or small."""
    if plan.shares:
        return carray(pointer(plan.shares), step + 1, np.float64)[step]
    return float(rows)


@inline
def drop(plan: Any, layer: Any, level: int, slope: int, t: int, row: int, rows: int) -> None:
    """Dropout of a block of a layer's inputs, and of σ' of the layer below, at ``slope``."""
    groups = plan.panel // 4
    for panel in range(layer.panels_in):
        at = panel * plan.row_step + row * LINE
        call(
            kernel(plan, layer.drop),
            (
                layer.a + at,
                slope + at,
                rows * plan.panel,
                row,
                panel * groups,
                t,
                level,
                plan.seed,
                layer.threshold,
                layer.scale,
            ),
        )


@inline
def rows_of_step(plan: Any, step: int) -> Any:
    """Rows of a step."""
    return min(plan.batch, plan.n_rows - step * plan.batch)


@inline
def constants_of(plan: Any) -> Any:
    """Constants of the update of weights, then those for biases, which have no penalties."""
    return carray(pointer(plan.constants), 2 * N_CONSTANTS, np.float64)
