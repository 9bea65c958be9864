"""Products with rows in compressed sparse form, as vector code: only stored entries are touched."""

from __future__ import annotations

from ..vector.code import Code, Int, Real
from ..vector.host import LINE
from ..vector.kernel import kernel

#: Panels that a call of :func:`forward` takes.
WIDTHS = ("1", "2", "4")


@kernel
def forward(
    code: Code, name: str, *,
    values: Int, places: Int, count: Int, w: Int, w_step_bytes: Int, c: Int, c_step_bytes: Int,
    start: Int, low: Real, high: Real,
) -> None:  # fmt: skip
    """``c = clip(start + a w)`` for one row, ``count`` values in ``places`` (64-bit columns), and
    ``int(name)`` panels of columns."""
    registers = [(p, at) for p in range(int(name)) for at in _offsets(code)]
    sums = [code.variable(code.load(start + (p * LINE + at))) for p, at in registers]
    with code.loop(count) as i:
        x = code.broadcast(values + i * code.itemsize)
        line = w + code.load_int(places + i * 8) * LINE
        for total, (p, at) in zip(sums, registers, strict=True):
            total.set(code.fma(x, code.load(line + w_step_bytes * p + at), total.get()))
    for total, (p, at) in zip(sums, registers, strict=True):
        code.store(code.clip(total.get(), low, high), c + c_step_bytes * p + at)


@kernel
def gradient(
    code: Code, *, values: Int, places: Int, count: Int, d: Int, g: Int, factor: Real
) -> None:
    """``g += factor aᵀ δ`` of one row and one panel, in the lines of the row's stored columns:
    ``d`` is a line, ``g`` has one for each column."""
    errors = [code.load(d + at) * factor for at in _offsets(code)]
    with code.loop(count) as i:
        x = code.broadcast(values + i * code.itemsize)
        line: Int = g + code.load_int(places + i * 8) * LINE
        for error, at in zip(errors, _offsets(code), strict=True):
            code.store(code.fma(x, error, code.load(line + at)), line + at)


@kernel
def gradient_sums(code: Code, *, values: Int, places: Int, count: Int, d: Int, g: Int) -> None:
    """``g += aᵀ δ`` likewise, in float64, of which a line has two: for sums over more rows than
    keep their digits in float32.

    Most columns have few entries in a run of rows, so to sum each run in float32 and add the runs
    would touch far more lines than the entries do.
    """
    wide = 8 // code.itemsize
    errors = [code.to_doubles(code.load(d + at)) for at in _offsets(code)]
    with code.loop(count) as i:
        x = code.to_doubles(code.broadcast(values + i * code.itemsize))
        line: Int = g + code.load_int(places + i * 8) * (LINE * wide)
        for error, at in zip(errors, _offsets(code), strict=True):
            place = line + at * wide
            code.store(code.fma(x, error, code.load_doubles(place)), place)


@kernel
def zero(code: Code, *, begin: Int, lines: Int) -> None:
    """Write zeros."""
    with code.loop(lines) as i:
        for at in _offsets(code):
            code.store(code.real(0.0), begin + (i * LINE + at))


def _offsets(code: Code) -> list[int]:
    return list(range(0, LINE, code.host.vector_bytes))
