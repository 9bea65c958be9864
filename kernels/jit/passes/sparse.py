"""Loops over rows in compressed sparse form: the first layer forward, and its gradient."""

from __future__ import annotations

from typing import Any

from ..compiling.calls import rounded, sparse_forward, sparse_gradient_sums, zero
from ..compiling.calls import sparse_gradient as add_row
from ..compiling.table import INDEX
from ..formulas.update_rules import RATE
from ..matrices.tiles import RUN
from ..scalar.builtins import doubles, load_int, singles, to_single
from ..scalar.functions import inline
from ..vector.host import LINE
from .rows import constants_of, run

_WIDEST = 4  # panels of a call
# The kernel of one panel; those of two and of four come after it.
_FORWARD = INDEX["sparse_forward 1"]


@inline
def entries(plan: Any, place: int) -> Any:
    """Address of the values and of the columns of a visited row, and their number."""
    row = load_int(plan.order + 8 * place) if plan.order else place
    begin = load_int(plan.sparse.starts + 8 * row)
    count = load_int(plan.sparse.starts + 8 * (row + 1)) - begin
    values = plan.x.address + begin * plan.itemsize
    if plan.sparse.left:  # by dropout, of the rows of a step
        values = plan.sparse.left + load_int(plan.sparse.left_starts + 8 * place) * plan.itemsize
    return values, plan.sparse.columns + 8 * begin, count


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
            index, wide = _FORWARD, 1
            while wide < _WIDEST and 2 * wide <= left:
                index, wide = index + 1, 2 * wide
            sparse_forward(
                plan,
                index,
                values=values,
                places=columns,
                count=count,
                w=plan.parameters + layer.weights_bytes + panel * layer.weight_step_bytes,
                w_step_bytes=layer.weight_step_bytes,
                c=layer.z + panel * plan.row_step_bytes + (row + i) * LINE,
                c_step_bytes=plan.row_step_bytes,
                start=plan.parameters + layer.bias_bytes + panel * LINE,
                low=layer.low,
                high=layer.high,
            )
            panel += wide
    if layer.activation >= 0:
        for p in range(layer.panels_out):
            at = p * plan.row_step_bytes + row * LINE
            run(plan, layer.activation, layer.z + at, layer.slope + at, rows * plan.panel)


@inline
def sparse_gradient(plan: Any, layer: Any, panel: int, first: int, rows: int) -> int:
    """The gradient of a panel of the first layer's weights; its address.

    Where the rule is plain descent the weights themselves take it, and nothing is left to do: 0.
    """
    offset_bytes = panel * layer.weight_step_bytes
    d = layer.d + panel * plan.row_step_bytes
    if plan.sparse.direct:
        weights = plan.parameters + layer.weights_bytes + offset_bytes
        add_rows(plan, d, first, rows, weights, -constants_of(plan)[RATE])
        return 0
    target: int = plan.sparse.gradient + offset_bytes
    if plan.sparse.sums and rows > RUN:
        sums = plan.sparse.sums + 2 * offset_bytes
        zero(plan, begin=sums, lines=2 * layer.n_in)
        for i in range(rows):
            values, columns, count = entries(plan, first + i)
            row = d + i * LINE
            sparse_gradient_sums(plan, values=values, places=columns, count=count, d=row, g=sums)
        rounded(plan, sums=sums, target=target, lines=layer.n_in)
    else:
        zero(plan, begin=target, lines=layer.n_in)
        add_rows(plan, d, first, rows, target, 1.0)
    return target


@inline
def add_rows(plan: Any, d: int, first: int, rows: int, target: int, factor: float) -> None:
    """``target += factor aᵀ δ``, with the errors at ``d``.

    Where the next row lies is looked up before this one is added: the end of a row of any length
    comes as a surprise to the processor, which then would wait for it.
    """
    if rows > 0:
        row = d
        values, columns, count = entries(plan, first)
        for i in range(rows):
            later = first + min(i + 1, rows - 1)
            next_values, next_columns, next_count = entries(plan, later)
            add_row(
                plan, values=values, places=columns, count=count, d=row, g=target, factor=factor
            )
            values, columns, count = next_values, next_columns, next_count
            row += LINE


@inline
def drop_entries(plan: Any, layer: Any, t: int, place: int, row: int) -> None:
    """Dropout of the stored entries of a row, into the memory for what is left."""
    source = load_int(plan.order + 8 * place) if plan.order else place
    row += plan.position
    begin = load_int(plan.sparse.starts + 8 * source)
    count = load_int(plan.sparse.starts + 8 * (source + 1)) - begin
    columns = plan.sparse.columns + 8 * begin
    at = plan.sparse.left + load_int(plan.sparse.left_starts + 8 * place) * plan.itemsize
    values = plan.x.address + begin * plan.itemsize
    # Products of two float32 are exact in doubles, so rounding them is rounding once.
    if plan.itemsize == 4:
        narrow, new_narrow, scale = singles(values), singles(at), to_single(layer.scale)
        for i in range(count):
            kept = word(plan.seed, load_int(columns + 8 * i), row, t) >= layer.threshold
            new_narrow[i] = narrow[i] * scale if kept else 0.0
    else:
        wide, new_wide = doubles(values), doubles(at)
        for i in range(count):
            kept = word(plan.seed, load_int(columns + 8 * i), row, t) >= layer.threshold
            new_wide[i] = wide[i] * layer.scale if kept else 0.0


@inline
def word(seed: int, unit: int, row: int, t: int) -> int:
    """Philox's word of a unit of the input; see ``formulas/dropout``.

    Products of 32-bit words fill 64 bits; what is shifted in from above them is masked away.
    """
    low = 0xFFFFFFFF
    k0, k1 = seed & low, (seed >> 32) & low
    c0, c1, c2, c3 = unit >> 2, row & low, t & low, 0
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1 = ((p1 >> 32) & low) ^ c1 ^ k0, p1 & low
        c2, c3 = ((p0 >> 32) & low) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & low, (k1 + 0xBB67AE85) & low
    which = unit & 3
    if which == 0:
        return c0
    if which == 1:
        return c1
    return c2 if which == 2 else c3
