"""Loops over the tiles of a group of features' gradient, ``aᵀ δ``, which is left in scratch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiling.access import call, pointer, scratch
from ..compiling.lazy import carray, inline
from ..compiling.table import GRADIENT, TRANSPOSE
from ..vector.host import LINE, host
from .rows import kernel

_FEATURES, _COLUMNS = host().gradient_rows, host().gradient_panels
# Gradients of so many features wait in scratch for one call of the update.
GROUP = 64
# Padding of a panel, times rows, that costs as much as to transpose it.
_NARROW_PADDING = 256
# Bytes of the transposed gradient of panels of float32; those of float64 have half as many lines.
_TRANSPOSED = _COLUMNS * (LINE // 4) * LINE


@inline
def read_by_update(plan: Any, layer: Any, block: Any, group: int, tile: int) -> Any:
    """Where a tile of a group prefetches: one of the runs that the update goes over, in the
    parameters and each vector of state."""
    store, panel = tile, block.panel
    if block.panels == 2:
        store, panel = tile >> 1, block.panel + (tile & 1)
    at = plan.parameters
    if store == 1:
        at = plan.state_0
    elif store == 2:
        at = plan.state_1
    elif store == 3:
        at = plan.state_2
    return at + layer.weights + panel * layer.weight_step + group * LINE


@inline
def columns_of(plan: Any, layer: Any, block: Any) -> Any:
    """Columns of a block that are not padding."""
    return min(block.panels * plan.panel, layer.n_out - block.panel * plan.panel)


@inline
def is_narrow(plan: Any, layer: Any, block: Any, rows: int) -> Any:
    """Whether multiplying a block's padding would cost more than transposing its gradient."""
    padding = block.panels * plan.panel - columns_of(plan, layer, block)
    return padding * rows >= _NARROW_PADDING * block.panels


@inline
def multiply(
    plan: Any,
    layer: Any,
    block: Any,
    group: int,
    number: int,
    panels: int,
    left: int,
    right: int,
    count: int,
    rows: int,
    target: int,
    target_step: int,
    ahead: int,
) -> None:
    """``count`` columns of a panel of ``left`` by panels of ``right``.

    Tiles count from ``number``, and prefetch ``ahead`` bytes of what the update reads, a row.
    """
    tiles = (count + _FEATURES - 1) // _FEATURES
    i = 0
    for tile in range(tiles):
        tall = count // tiles + (1 if tile < count % tiles else 0)
        call(
            kernel(plan, GRADIENT + 2 * (tall - 1) + panels - 1),
            (
                left + i * plan.itemsize,
                right,
                plan.row_step,
                rows,
                target + i * LINE,
                target_step,
                read_by_update(plan, layer, block, group, number + tile),
                ahead,
            ),
        )
        i += tall


@inline
def plain_gradient(
    plan: Any,
    layer: Any,
    block: Any,
    row: int,
    rows: int,
    group: int,
    begin: int,
    end: int,
    target: int,
    ahead: int,
) -> None:
    """Features ``begin ≤ feature < end`` of a group, over ``rows`` rows from ``row`` on."""
    right = layer.d + block.panel * plan.row_step + row * LINE
    for i in range(begin, end, plan.panel):
        left = layer.a + (group + i) // plan.panel * plan.row_step + row * LINE
        multiply(
            plan,
            layer,
            block,
            group,
            i // _FEATURES,
            block.panels,
            left,
            right,
            min(plan.panel, end - i),
            rows,
            target + i * LINE,
            GROUP * LINE,
            ahead,
        )


@inline
def narrow_gradient(
    plan: Any,
    layer: Any,
    block: Any,
    row: int,
    rows: int,
    group: int,
    features: int,
    target: int,
    ahead: int,
) -> Any:
    """The whole panels of a group's features, as ``δᵀ a``: the block's columns are then the rows of
    the tiles, which need no padding. Returns how many features are done."""
    square = plan.panel * LINE
    transposed = scratch(_TRANSPOSED)
    lines = carray(pointer(transposed), _TRANSPOSED // 8, np.float64)
    done = features // plan.panel * plan.panel
    number = 0
    for i in range(0, done, _COLUMNS * plan.panel):
        wide = min(_COLUMNS, (done - i) // plan.panel)
        right = layer.a + (group + i) // plan.panel * plan.row_step + row * LINE
        for p in range(block.panels):
            left = layer.d + (block.panel + p) * plan.row_step + row * LINE
            count = min(plan.panel, columns_of(plan, layer, block) - p * plan.panel)
            lines[:] = 0.0
            multiply(
                plan,
                layer,
                block,
                group,
                number,
                wide,
                left,
                right,
                count,
                rows,
                transposed,
                square,
                ahead,
            )
            number += (count + _FEATURES - 1) // _FEATURES
            for q in range(wide):
                across = target + p * GROUP * LINE + (i + q * plan.panel) * LINE
                call(kernel(plan, TRANSPOSE), (transposed + q * square, across))
    return done
