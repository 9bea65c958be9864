"""Loops over rows in compressed sparse form: the first layer forward, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiling.access import call, load_int, pointer
from ..compiling.lazy import carray, inline
from ..compiling.table import SPARSE_FORWARD, SPARSE_GRADIENT, ZERO
from ..formulas.update_rules import RATE
from ..vector.host import LINE
from .rows import constants_of, kernel, run

_WIDEST = 4  # panels of a call


@inline
def entries(plan: Any, place: int) -> Any:
    """Address of the values and of the columns of a visited row, and their number."""
    row = load_int(plan.order + 8 * place) if plan.order else place
    begin = load_int(plan.row_starts + 8 * row)
    count = load_int(plan.row_starts + 8 * (row + 1)) - begin
    values = plan.x + begin * plan.itemsize
    if plan.left:  # by dropout, of the rows of a step
        values = plan.left + load_int(plan.left_starts + 8 * place) * plan.itemsize
    return values, plan.row_columns + 8 * begin, count


@inline
def sparse_rows(plan: Any, layer: Any, t: int, first: int, row: int, rows: int) -> None:
    """The first layer, for a block of rows."""
    for i in range(rows):
        if layer.threshold:
            drop_entries(plan, layer, t, first + row + i, row + i)
        values, columns, count = entries(plan, first + row + i)
        panel = 0
        while panel < layer.panels_out:
            left = layer.panels_out - panel
            index, wide = SPARSE_FORWARD, 1
            while wide < _WIDEST and 2 * wide <= left:
                index, wide = index + 1, 2 * wide
            call(
                kernel(plan, index),
                (
                    values,
                    columns,
                    count,
                    plan.parameters + layer.weights + panel * layer.weight_step,
                    layer.weight_step,
                    layer.z + panel * plan.row_step + (row + i) * LINE,
                    plan.row_step,
                    plan.parameters + layer.bias + panel * LINE,
                    layer.low,
                    layer.high,
                ),
            )
            panel += wide
    if layer.activation >= 0:
        for p in range(layer.panels_out):
            at = p * plan.row_step + row * LINE
            run(plan, layer.activation, layer.z + at, layer.slope + at, rows * plan.panel)


@inline
def sparse_gradient(plan: Any, layer: Any, panel: int, first: int, rows: int) -> int:
    """The gradient of a panel of the first layer's weights; its address.

    Where the rule is plain descent the weights themselves take it, and nothing is left to do: 0.
    """
    factor = 1.0
    if plan.direct:
        target = plan.parameters + layer.weights + panel * layer.weight_step
        factor = -constants_of(plan)[RATE]
    else:
        target = plan.sparse_gradient + panel * layer.weight_step
        call(kernel(plan, ZERO), (target, layer.n_in))
    for i in range(rows):
        values, columns, count = entries(plan, first + i)
        d = layer.d + panel * plan.row_step + i * LINE
        call(kernel(plan, SPARSE_GRADIENT), (values, columns, count, d, target, factor))
    return 0 if plan.direct else target


@inline
def drop_entries(plan: Any, layer: Any, t: int, place: int, row: int) -> None:
    """Dropout of the stored entries of a row, into the memory for what is left."""
    source = load_int(plan.order + 8 * place) if plan.order else place
    begin = load_int(plan.row_starts + 8 * source)
    count = load_int(plan.row_starts + 8 * (source + 1)) - begin
    columns = carray(pointer(plan.row_columns + 8 * begin), count, np.int64)
    at = plan.left + load_int(plan.left_starts + 8 * place) * plan.itemsize
    values = plan.x + begin * plan.itemsize
    if plan.itemsize == 4:
        old4 = carray(pointer(values), count, np.float32)
        new4 = carray(pointer(at), count, np.float32)
        scale = np.float32(layer.scale)
        for i in range(count):
            kept = word(plan.seed, columns[i], row, t) >= layer.threshold
            new4[i] = old4[i] * scale if kept else np.float32(0)
    else:
        old8 = carray(pointer(values), count, np.float64)
        new8 = carray(pointer(at), count, np.float64)
        for i in range(count):
            kept = word(plan.seed, columns[i], row, t) >= layer.threshold
            new8[i] = old8[i] * layer.scale if kept else 0.0


@inline
def word(seed: int, unit: int, row: int, t: int) -> Any:
    """Philox's word of a unit of the input; see ``formulas/dropout``."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    key = np.uint64(seed)
    k0, k1 = key & low, key >> half
    c0, c1 = np.uint64(unit) >> np.uint64(2), np.uint64(row) & low
    c2, c3 = np.uint64(t) & low, np.uint64(0)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1 = (p1 >> half) ^ c1 ^ k0, p1 & low
        c2, c3 = (p0 >> half) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    which = unit & 3
    if which == 0:
        return np.int64(c0)
    if which == 1:
        return np.int64(c1)
    return np.int64(c2) if which == 2 else np.int64(c3)
