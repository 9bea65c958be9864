"""Loops over panels and rows: the parts that the tasks are made of.

They compute addresses and call kernels, so that one version serves both dtypes. ``product`` gives
one block of rows its columns, a panel at a time::

                    panel 0   panel 1              W: k lines a panel, read by every tile
                  ┌─────────┬─────────┐
         a        │         │         │
      ┌─────┐     ├─────────┼─────────┤
      │tile 0     │ first   │ third   │  c: a tile is as many rows as fit the registers; the tiles
      ├─────┤ ──► ├─────────┼─────────┤  of a panel come one after the other, so its lines of W
      │tile 1     │ second  │ fourth  │  stay in the cache, and the first of them prefetches the
      └─────┘     └─────────┴─────────┘  next panel's
"""

from __future__ import annotations

import math
from typing import Any

from ..compiling.calls import dropout, elementwise, forward_tile, gather, one_hot, softmax
from ..compiling.table import FORWARD
from ..formulas.update_rules import N_CONSTANTS
from ..memory.records import DENSE, LABELS, Layer
from ..scalar.builtins import doubles, records
from ..scalar.functions import inline
from ..vector.host import LINE, host

_ROWS, _PANELS = host().forward_rows, host().forward_panels


@inline
def layers_of(plan: Any) -> Any:
    """The plan's layers, first the lowest."""
    return records(plan.layers, Layer)


@inline
def run(plan: Any, index: int, x: int, other: int, n: int) -> None:
    """Activation or derivative of ``n`` elements."""
    elementwise(plan, index, p=x, g=other, s=x, t=x, u=x, n=n, constants=0)


@inline
def product(
    plan: Any,
    a: int,
    w: int,
    w_step_bytes: int,
    c: int,
    k: int,
    start: int,
    start_step_bytes: int,
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
    size = rows // max(tiles, 1)  # not for each tile: divisions are slow
    larger = rows - size * tiles
    for panel in range(0, panels, _PANELS):
        wide = min(_PANELS, panels - panel)
        w_panel, c_panel = w + panel * w_step_bytes, c + panel * plan.row_step_bytes
        row = 0
        for tile in range(tiles):
            tall = size + (1 if tile < larger else 0)
            forward_tile(
                plan,
                FORWARD + 2 * (tall - 1) + wide - 1,
                a=a + row * LINE,
                a_step_bytes=plan.row_step_bytes,
                w=w_panel,
                w_step_bytes=w_step_bytes,
                c=c_panel + row * LINE,
                c_step_bytes=plan.row_step_bytes,
                k=k,
                start=start + panel * start_step_bytes,
                ahead_bytes=_PANELS * w_step_bytes if tile == 0 and panel + wide < panels else 0,
                low=low,
                high=high,
            )
            row += tall
        if function >= 0:
            for p in range(wide):
                at = p * plan.row_step_bytes
                run(
                    plan,
                    function,
                    c_panel + at,
                    other + panel * plan.row_step_bytes + at,
                    rows * plan.panel,
                )


@inline
def errors_back(plan: Any, layer: Any, below: Any, row: int, rows: int) -> None:
    """``δ^l = (δ^(l+1) Wᵀ) ⊙ σ'(z^l)`` for a block of rows: ``layer`` is l + 1, ``below`` is l."""
    product(
        plan,
        a=layer.d + row * LINE,
        w=layer.transposed,
        w_step_bytes=layer.transposed_step_bytes,
        c=below.d + row * LINE,
        k=layer.n_out,
        start=plan.zeros,
        start_step_bytes=0,
        rows=rows,
        panels=layer.panels_in,
        low=-math.inf,
        high=math.inf,
        function=below.derivative,
        other=below.kept + row * LINE,
    )


@inline
def gather_rows(plan: Any, operand: Any, first: int, rows: int, n: int, target: int) -> None:
    """Rows ``first …`` of the visiting order into panels."""
    begin = operand.address
    gather(
        plan,
        source=begin if plan.order else begin + first * operand.step_bytes,
        source_step_bytes=operand.step_bytes,
        order=plan.order + 8 * first if plan.order else 0,
        count=rows,
        n=n,
        target=target,
        target_step_bytes=plan.row_step_bytes,
        available=plan.n_rows - first,
    )


@inline
def gather_targets(plan: Any, first: int, rows: int, n: int, y: int) -> None:
    if plan.target_kind == LABELS:
        labels = plan.target.address
        one_hot(
            plan,
            labels=labels if plan.order else labels + 8 * first,
            order=plan.order + 8 * first if plan.order else 0,
            count=rows,
            n=n,
            target=y,
            target_step_bytes=plan.row_step_bytes,
            others=plan.label_low,
        )
    elif plan.target_kind == DENSE:
        gather_rows(plan, plan.target, first, rows, n, y)


@inline
def output_rows(plan: Any, layer: Any, row: int, rows: int, columns: int) -> None:
    """Output activation of a block's scores, in place."""
    z = layer.z + row * LINE
    if plan.is_softmax:
        step_bytes, n = plan.row_step_bytes, layer.n_out
        softmax(plan, z=z, step_bytes=step_bytes, count=rows, n=n, scratch=columns)
    elif plan.output_activation >= 0:
        for p in range(layer.panels_out):
            run(plan, plan.output_activation, z + p * plan.row_step_bytes, 0, rows * plan.panel)


@inline
def step_total(plan: Any, step: int, rows: int) -> Any:
    """Total row weight of a step."""
    if plan.total != 0.0:
        return plan.total
    if plan.weights.totals:
        return doubles(plan.weights.totals)[step]
    return float(rows)


@inline
def scaled_total(plan: Any, step: int, rows: int) -> Any:
    """The same of the weights in the dtype, which are scaled where they are very large or small."""
    if plan.weights.shares:
        return doubles(plan.weights.shares)[step]
    return step_total(plan, step, rows)


@inline
def drop(plan: Any, layer: Any, level: int, slope: int, t: int, row: int, rows: int) -> None:
    """Dropout of a block of a layer's inputs, and of σ' of the layer below, at ``slope``."""
    groups = plan.panel // 4
    for panel in range(layer.panels_in):
        at = panel * plan.row_step_bytes + row * LINE
        dropout(
            plan,
            layer.drop,
            a=layer.a + at,
            s=slope + at,
            n=rows * plan.panel,
            row=plan.position + row,
            group=panel * groups,
            step=t,
            layer=level,
            seed=plan.seed,
            threshold=layer.threshold,
            scale=layer.scale,
        )


@inline
def rows_of_step(plan: Any, step: int) -> Any:
    """Rows of a step."""
    return min(plan.batch, plan.n_rows - step * plan.batch)


@inline
def constants_of(plan: Any) -> Any:
    """Constants of the update of weights, then those for biases, which have no penalties."""
    return doubles(plan.update.constants, 2 * N_CONSTANTS)
