"""Moving rows into panels and back, and transposing panels.

A matrix of ``n`` columns lies in *panels*: ``⌈n / panel⌉`` blocks, ``step`` bytes apart, each with
one cache line a row. All tiles then step through memory by whole lines, whatever the matrix's
shape.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..vector.code import I32, Code, Int, Real
from ..vector.host import LINE

# Rows are fetched ahead by about this many elements, and at most so many rows.
AHEAD_ELEMENTS, AHEAD_ROWS = 1024, 16


def gather(code: Code) -> Any:
    """Copy rows into panels, the last one filled up with zeros.

    Arguments: ``source`` (rows ``source_step`` bytes apart, elements adjacent), ``order`` (address
    of row numbers, or 0 for rows as they come), ``count`` rows, ``n`` columns, ``target`` and its
    ``step``; how many row numbers may be looked at, so that rows in any order are fetched ahead.
    """
    source, source_step, order, count, n, target, step, available = code.ints
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
        begin, soon = source + source_step * row.get(), source + source_step * later.get()
        line = code.variable(target + j * LINE)
        with code.loop(whole, code.panel) as i:
            code.prefetch(soon + i * code.itemsize)
            for at in offsets(code):
                code.store(code.load(begin + i * code.itemsize + at), line.get() + at)
            line.set(line.get() + step)
        with code.when(rest > 0):
            code.prefetch(soon + whole * code.itemsize)
            for at, mask in zip(offsets(code), masks, strict=True):
                x = code.load(begin + whole * code.itemsize + at, mask)
                code.store(x, line.get() + at)
    return code.finish()


def scatter(code: Code) -> Any:
    """Copy rows out of panels.

    Arguments: ``source``, ``step``, ``count``, ``n``, ``target``, ``target_step``; two unused.
    """
    source, step, count, n, target, target_step, _, _ = code.ints
    whole = n - Int(code, code.builder.and_(n.value, code.as_int(code.panel - 1).value))
    rest = n - whole
    masks = [code.first(rest - v * code.lanes) for v in range(code.per_line)]
    with code.loop(count) as j:
        begin = target + target_step * j
        line = code.variable(source + j * LINE)
        with code.loop(whole, code.panel) as i:
            for at in offsets(code):
                code.store(code.load(line.get() + at), begin + i * code.itemsize + at)
            line.set(line.get() + step)
        with code.when(rest > 0):
            for at, mask in zip(offsets(code), masks, strict=True):
                code.store(code.load(line.get() + at), begin + whole * code.itemsize + at, mask)
    return code.finish()


def one_hot(code: Code) -> Any:
    """Class labels as rows with a single one.

    Arguments: ``labels`` (64-bit), ``order`` (or 0), ``count``, ``n`` classes, ``target`` and its
    ``step``; the value of the other places, 0 or -1.
    """
    labels, order, count, n, target, step = code.ints
    others = code.splat(code.doubles[0])
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
            line.set(line.get() + step)
    return code.finish()


def transpose(code: Code) -> Any:
    """Transpose a square of one panel: ``panel`` lines. Arguments: ``source``, ``target``."""
    source, target = code.ints
    size = code.lanes
    for row, up in enumerate(offsets(code)):
        for across in offsets(code):
            lines = [code.load(source + ((row * size + i) * LINE + across)) for i in range(size)]
            for i, line in enumerate(transposed(code, lines)):
                code.store(line, target + ((across // code.itemsize + i) * LINE + up))
    return code.finish()


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
