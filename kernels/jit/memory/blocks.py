"""How a step's work is cut into tasks: blocks of rows, blocks of weights, parts of copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._machine import caches
from ..vector.host import LINE, host
from .arena import ceil
from .records import Block, Copy

#: Rows of a task of the rows pass at most: their activations stay in the second-level cache, and
#: each panel of weights that is loaded serves all of them.
ROW_BLOCK = 192
#: Of a prediction's task at least: for so many rows a panel of weights is read once.
LEAST_ROWS = 24
#: Bytes of a copy that one task does.
COPY_BYTES = 1 << 17
#: What the update of a weight costs, in rows of its gradient.
UPDATE_ROWS = 16
#: Products of a block of weights at least, where several threads share them.
LEAST_WORK = 20_000


def row_block(rows: int, n_threads: int, longest: int = ROW_BLOCK) -> int:
    """Rows of a task: equal blocks, a multiple of the threads where there is enough for all."""
    count = ceil(rows, longest)
    if n_threads > 1:
        count = min(ceil(count, n_threads) * n_threads, ceil(rows, host().forward_rows))
    return max(ceil(rows, max(count, 1)), 1)


def prediction_block(rows: int, widest: int, itemsize: int, n_threads: int) -> int:
    """Rows of a task that only predicts, whose widest layer has ``widest`` units.

    A quarter of the second-level cache is for a layer's input, another for what comes out of it,
    and a half for weights that come and go; ``src/engine/predictions.c`` says more.
    """
    tile = host().forward_rows
    fitting = caches.sizes().l2 // (4 * widest * itemsize)
    longest = min(max(fitting, LEAST_ROWS) // tile * tile or tile, ROW_BLOCK)
    return row_block(rows, n_threads, longest)


def weight_blocks(
    layers: Any, rows: int, n_threads: int, itemsize: int, *, sparse: bool
) -> list[Block]:
    """Blocks of the weights pass, of about equal work, several for each thread.

    The gradient of sparse rows is made panel by panel.
    """
    panel, columns = LINE // itemsize, host().gradient_panels
    cost = rows + UPDATE_ROWS  # of a feature and panel
    work = sum(layer.n_in * layer.panels_out for layer in layers) * cost
    share = work if n_threads == 1 else max(work / (8 * n_threads), LEAST_WORK)
    blocks = []
    for level, layer in enumerate(layers):
        if not layer.trainable:
            continue
        if sparse and level == 0:
            blocks += [Block(0, p, 1, 0, layer.n_in, 1) for p in range(layer.panels_out)]
            continue
        for first in range(0, layer.panels_out, columns):
            wide = min(columns, layer.panels_out - first)
            features = share / (wide * cost)
            parts = max(1, min(round(layer.n_in / features), layer.panels_in))
            height = ceil(layer.panels_in, parts) * panel
            for begin in range(0, layer.n_in, height):
                end = min(begin + height, layer.n_in)
                blocks.append(Block(level, first, wide, begin, end, begin == 0))
    return blocks


def cut_copies(copies: Sequence[Copy], itemsize: int) -> Any:
    """An array of :class:`Copy`, the large ones cut to be shared."""
    panel, parts = LINE // itemsize, []
    for copy in copies:
        rows = ceil(COPY_BYTES, copy.columns * itemsize + 1)
        rows = ceil(rows, panel) * panel
        for first in range(0, copy.rows, rows):
            part = Copy.from_buffer_copy(copy)
            part.first, part.rows = first, min(rows, copy.rows - first)
            parts.append(part)
    return (Copy * len(parts))(*parts)
