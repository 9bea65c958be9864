"""Loops over the tiles of a group of features' gradient, ``aᵀ δ``, which is left in scratch, or
changes the weights at once: see :func:`multiply`.

A task owns one block of a weight matrix; it goes through it a group of features at a time::

                   the block's columns: one panel or two
                  ┌──────────────────────────┐
    a group of    │ tile 0                   │  a tile: as many features as fit the registers,
    at most GROUP │ tile 1                   │  each sum over all rows of a run in its order
    features      │ …                        │
                  └──────────────────────────┘
                    scratch, GROUP lines a panel ──► the update, called once for the group

The scratch stays in the first-level cache, and while a tile is summed it prefetches the weights and
state that the update reads next. Where a block fills little of its panels (an output layer of ten),
the padding would be multiplied too: then ``δᵀ a`` is made, whose tiles have the columns as their
rows and features as their panels, and is transposed.
"""

from __future__ import annotations

from typing import Any

from ..compiling.calls import gradient_tile, transpose, zero
from ..compiling.table import DESCENT, GRADIENT
from ..scalar.builtins import scratch
from ..scalar.functions import inline
from ..vector.host import LINE, host

FEATURES, _COLUMNS = host().gradient_rows, host().gradient_panels
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
    return at + layer.weights_bytes + panel * layer.weight_step_bytes + group * LINE


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
    target_step_bytes: int,
    ahead_bytes: int,
    descends: int,
) -> None:
    """``count`` columns of a panel of ``left`` by panels of ``right``.

    Tiles count from ``number``, and prefetch so many bytes of what the update reads, a row. Where
    it ``descends``, the target are weights, which tiles change by what they have summed.
    """
    tiles = (count + FEATURES - 1) // FEATURES
    size = count // max(tiles, 1)  # a division takes as long as a fifth of a tile of ten rows
    larger = count - size * tiles
    i = 0
    for tile in range(tiles):
        tall = size + (1 if tile < larger else 0)
        first, wanted = GRADIENT, read_by_update(plan, layer, block, group, number + tile)
        if descends:  # the tile after the next one's
            first, wanted = DESCENT, target + (i + 2 * tall) * LINE
        gradient_tile(
            plan,
            first + 2 * (tall - 1) + panels - 1,
            a=left + i * plan.itemsize,
            d=right,
            d_step_bytes=plan.row_step_bytes,
            k=rows,
            g=target + i * LINE,
            g_step_bytes=target_step_bytes,
            wanted=wanted,
            wanted_step_bytes=ahead_bytes,
            constants=plan.update.constants,
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
    target_step_bytes: int,
    ahead_bytes: int,
    descends: int,
) -> None:
    """Features ``begin ≤ feature < end`` of a group, over ``rows`` rows from ``row`` on."""
    right = layer.d + block.panel * plan.row_step_bytes + row * LINE
    left = layer.a + (group + begin) // plan.panel * plan.row_step_bytes + row * LINE
    for i in range(begin, end, plan.panel):
        multiply(
            plan,
            layer,
            block,
            group,
            i // FEATURES,
            block.panels,
            left,
            right,
            min(plan.panel, end - i),
            rows,
            target + i * LINE,
            target_step_bytes,
            ahead_bytes,
            descends,
        )
        left += plan.row_step_bytes


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
    ahead_bytes: int,
) -> Any:
    """The whole panels of a group's features, as ``δᵀ a``: the block's columns are then the rows of
    the tiles, which need no padding. Returns how many features are done."""
    square = plan.panel * LINE
    transposed = scratch(_TRANSPOSED)
    done = features // plan.panel * plan.panel
    number = 0
    for i in range(0, done, _COLUMNS * plan.panel):
        wide = min(_COLUMNS, (done - i) // plan.panel)
        right = layer.a + (group + i) // plan.panel * plan.row_step_bytes + row * LINE
        for p in range(block.panels):
            left = layer.d + (block.panel + p) * plan.row_step_bytes + row * LINE
            count = min(plan.panel, columns_of(plan, layer, block) - p * plan.panel)
            zero(plan, begin=transposed, lines=_TRANSPOSED // LINE)
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
                ahead_bytes,
                0,
            )
            number += (count + FEATURES - 1) // FEATURES
            for q in range(wide):
                across = target + p * GROUP * LINE + (i + q * plan.panel) * LINE
                transpose(plan, source=transposed + q * square, target=across)
    return done
