"""Products with rows in compressed sparse form, as vector code: only stored entries are touched."""

from __future__ import annotations

from typing import Any

from ..vector.code import Code, Int
from ..vector.host import LINE

#: Panels that a call of :func:`forward` takes.
WIDTHS = ("1", "2", "4")


def forward(code: Code, name: str) -> Any:
    """``c = clip(start + a w)`` for one row and ``int(name)`` panels of columns.

    Arguments: ``values`` and ``places`` (64-bit columns) of ``count`` entries, ``w`` (panels,
    ``w_step`` bytes apart), ``c`` (panels, ``c_step`` apart), ``start``; bounds ``low``, ``high``.
    """
    values, places, count, w, w_step, c, c_step, start = code.ints
    low, high = (code.splat(bound) for bound in code.doubles)
    registers = [(p, at) for p in range(int(name)) for at in _offsets(code)]
    sums = [code.variable(code.load(start + (p * LINE + at))) for p, at in registers]
    with code.loop(count) as i:
        x = code.broadcast(values + i * code.itemsize)
        line = w + code.load_int(places + i * 8) * LINE
        for total, (p, at) in zip(sums, registers, strict=True):
            total.set(code.fma(x, code.load(line + w_step * p + at), total.get()))
    for total, (p, at) in zip(sums, registers, strict=True):
        code.store(code.clip(total.get(), low, high), c + c_step * p + at)
    return code.finish()


def gradient(code: Code) -> Any:
    """``g += factor aᵀ δ`` of one row and one panel, in the lines of the row's stored columns.

    Arguments: ``values``, ``places``, ``count``, ``d`` (a line), ``g`` (a line for each column);
    ``factor``.
    """
    values, places, count, d, g = code.ints
    factor = code.splat(code.doubles[0])
    errors = [code.load(d + at) * factor for at in _offsets(code)]
    with code.loop(count) as i:
        x = code.broadcast(values + i * code.itemsize)
        line: Int = g + code.load_int(places + i * 8) * LINE
        for error, at in zip(errors, _offsets(code), strict=True):
            code.store(code.fma(x, error, code.load(line + at)), line + at)
    return code.finish()


def zero(code: Code) -> Any:
    """Write zeros. Arguments: address, number of lines."""
    begin, lines = code.ints
    with code.loop(lines) as i:
        for at in _offsets(code):
            code.store(code.real(0.0), begin + (i * LINE + at))
    return code.finish()


def _offsets(code: Code) -> list[int]:
    return list(range(0, LINE, code.host.vector_bytes))
