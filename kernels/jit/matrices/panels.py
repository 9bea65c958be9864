"""Moving rows into panels and back, and transposing panels.

A matrix of ``n`` columns lies in *panels*: ``⌈n / panel⌉`` blocks, ``step`` bytes apart, each with
one cache line a row. All tiles then step through memory by whole lines, whatever the matrix's
shape.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir

from ..vector.code import I32, Code, Int, Real
from ..vector.host import LINE
from ..vector.kernel import kernel

# Rows are fetched ahead by about this many elements, and at most so many rows.
AHEAD_ELEMENTS, AHEAD_ROWS = 1024, 16
# Panels of a row that are copied in one turn: a loop would take as long as one of them beside.
_GATHER_TURN = 4


def _copy_panels(
    code: Code, begin: Int, soon: Int, line: Any, step_bytes: Int, first: Int, panels: int
) -> None:
    """Copy some panels of a row, and prefetch those of one that comes soon."""
    for i in range(panels):
        at_panel = (first + i) * LINE
        code.prefetch(soon + at_panel, to_first=True)
        for at in offsets(code):
            code.store(code.load(begin + at_panel + at), line.get() + at)
        line.set(line.get() + step_bytes)


@kernel
def gather(
    code: Code, *,
    source: Int, source_step_bytes: Int, order: Int, count: Int, n: Int,
    target: Int, target_step_bytes: Int, available: Int,
) -> None:  # fmt: skip
    """Copy ``count`` rows of ``n`` columns into panels, the last one filled up with zeros.

    ``order`` is the address of row numbers, or 0 for rows as they come; so many of them are
    ``available``, so that rows in any order are fetched ahead.
    """
    ordered = order > 0
    ahead = code.as_int(AHEAD_ELEMENTS).over(n + 1).min(AHEAD_ROWS) + 2
    whole = n - Int(code, code.builder.and_(n.value, code.as_int(code.panel - 1).value))
    rest = n - whole
    masks = [code.first(rest - v * code.lanes) for v in range(code.per_line)]
    with code.loop(count) as j:
        row, later = code.variable(j), code.variable(j)
        with code.when(ordered):
            row.set(code.load_int(order + j * 8))
            later.set(code.load_int(order + (j + ahead).min(available - 1) * 8))
        begin, soon = (
            source + source_step_bytes * row.get(),
            source + source_step_bytes * later.get(),
        )
        line = code.variable(target + j * LINE)
        turn = functools.partial(_copy_panels, code, begin, soon, line, target_step_bytes)
        code.turns(whole.over(code.as_int(code.panel)), _GATHER_TURN, turn)
        with code.when(rest > 0):
            code.prefetch(soon + whole * code.itemsize, to_first=True)
            for at, mask in zip(offsets(code), masks, strict=True):
                x = code.load(begin + whole * code.itemsize + at, mask)
                code.store(x, line.get() + at)


@kernel
def scatter(
    code: Code, *,
    source: Int, source_step_bytes: Int, count: Int, n: Int, target: Int, target_step_bytes: Int,
) -> None:  # fmt: skip
    """Copy ``count`` rows of ``n`` columns out of panels."""
    whole = n - Int(code, code.builder.and_(n.value, code.as_int(code.panel - 1).value))
    rest = n - whole
    masks = [code.first(rest - v * code.lanes) for v in range(code.per_line)]
    with code.loop(count) as j:
        begin = target + target_step_bytes * j
        line = code.variable(source + j * LINE)
        with code.loop(whole, code.panel) as i:
            for at in offsets(code):
                code.store(code.load(line.get() + at), begin + i * code.itemsize + at)
            line.set(line.get() + source_step_bytes)
        with code.when(rest > 0):
            for at, mask in zip(offsets(code), masks, strict=True):
                code.store(code.load(line.get() + at), begin + whole * code.itemsize + at, mask)


@kernel
def one_hot(
    code: Code, *,
    labels: Int, order: Int, count: Int, n: Int, target: Int, target_step_bytes: Int, others: Real,
) -> None:  # fmt: skip
    """Class labels (64-bit) as rows of panels with a single one; 0 or -1 in the ``others``."""
    ordered = order > 0
    with code.loop(count) as j:
        row = code.variable(j)
        with code.when(ordered):
            row.set(code.load_int(order + j * 8))
        label = code.load_int(labels + row.get() * 8)
        line = code.variable(target + j * LINE)
        with code.loop(n, code.panel) as first:
            for v, at in enumerate(offsets(code)):
                hit = code.equals(label - first - v * code.lanes)
                code.store(code.select(hit, code.real(1.0), others), line.get() + at)
            line.set(line.get() + target_step_bytes)


@kernel
def transpose(code: Code, *, source: Int, target: Int) -> None:
    """Transpose a square of one panel: ``panel`` lines."""
    size = code.lanes
    for row, up in enumerate(offsets(code)):
        for across in offsets(code):
            lines = [code.load(source + ((row * size + i) * LINE + across)) for i in range(size)]
            for i, line in enumerate(transposed(code, lines)):
                code.store(line, target + ((across // code.itemsize + i) * LINE + up))


def transposed(code: Code, rows: list[Real]) -> list[Real]:
    """Interleave the first half of the rows with the second, log₂(lanes) times."""
    size = len(rows)
    low = [x for i in range(size // 2) for x in (i, size + i)]
    high = [i + size // 2 for i in low]
    masks = [ir.Constant(ir.VectorType(I32, size), order) for order in (low, high)]
    for _ in range(size.bit_length() - 1):
        pairs = zip(rows[: size // 2], rows[size // 2 :], strict=True)
        rows = [
            Real(code, code.builder.shuffle_vector(x.value, y.value, mask))
            for x, y in pairs
            for mask in masks
        ]
    return rows


def offsets(code: Code) -> list[int]:
    """Byte offsets of a line's vectors."""
    return list(range(0, LINE, code.host.vector_bytes))
