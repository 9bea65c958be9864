"""Register tiles: the two matrix products that nearly all the time goes into.

Every element of a result is one accumulator that takes its products in ascending order of ``k``,
each with one fused multiply-add. So its value depends neither on the tile that it falls into nor on
the number of threads.

Each tile prefetches for later tiles, a few lines with each row: issued all at once, the prefetches
would fill the load queue and delay the tile's own loads.
"""

from __future__ import annotations

from typing import Any

from ..vector.code import Code
from ..vector.host import LINE

#: Samples whose sum in float32 keeps its digits, where the samples may be equal, and where they
#: are products.
SHORT_RUN, RUN = 128, 256


def forward(code: Code, rows: int, panels: int) -> Any:
    """``c = clip(start + a w)`` for ``rows`` rows and ``panels`` panels of columns.

    Arguments: ``a`` (panels of ``k`` columns, ``a_step`` bytes apart, rows one line apart); ``w``
    (panels, ``w_step`` bytes apart, a line for each ``k``); ``c`` (panels, ``c_step`` apart);
    ``k``; ``start`` (a line a panel); how far ``ahead`` in ``w`` to prefetch as much of it; bounds
    ``low`` and ``high``.

    The transposed copy of the weights for ``w``, errors for ``a`` and zeros for ``start`` make it
    the backward product ``δ Wᵀ``.
    """
    a, a_step, w, w_step, c, c_step, k, start, ahead = code.ints
    low, high = (code.splat(bound) for bound in code.doubles)
    registers = _registers(code, panels)
    starts = [code.load(start + p * LINE + at) for p, at in registers]
    sums = [[code.variable(x) for x in starts] for _ in range(rows)]
    # One loop, not one of panels around one of columns: a branch that goes the other way after each
    # panel costs as much as the last of its columns.
    column = code.variable(a)
    next_panel = a_step - (LINE - code.itemsize)
    with code.loop(k) as i:
        row, x_address = w + i * LINE, column.get()
        ws = [code.load(row + w_step * p + at) for p, at in registers]
        for p in range(panels):
            code.prefetch(row + w_step * p + ahead)
        for r in range(rows):
            x = code.broadcast(x_address + r * LINE)
            for total, y in zip(sums[r], ws, strict=True):
                total.set(code.fma(x, y, total.get()))
        ends = code.is_multiple(i + 1, code.panel)
        column.set(x_address + code.choose(ends, next_panel, code.as_int(code.itemsize)))
    for r in range(rows):
        for total, (p, at) in zip(sums[r], registers, strict=True):
            code.store(code.clip(total.get(), low, high), c + c_step * p + (r * LINE + at))
    return code.finish()


def gradient(code: Code, rows: int, panels: int) -> Any:
    """``g = aᵀ δ`` for ``rows`` features and ``panels`` panels of columns, over ``k`` samples.

    Arguments: ``a`` (address of the first feature in its panel), ``d`` (panels ``d_step`` bytes
    apart), ``k``, ``g`` (panels ``g_step`` apart), where to prefetch what is ``wanted`` later and
    how many bytes of it with each sample, two lines at most.
    """
    a, d, d_step, k, g, g_step, wanted, wanted_step = code.ints
    registers = _registers(code, panels)
    sums = [[code.variable(code.real(0.0)) for _ in registers] for _ in range(rows)]
    soon = code.variable(wanted)
    with code.loop(k) as i:
        row = d + i * LINE
        ds = [code.load(row + d_step * p + at) for p, at in registers]
        for line in range(2):
            code.prefetch(soon.get() + line * LINE)
        soon.set(soon.get() + wanted_step)
        sample = a + i * LINE
        for r in range(rows):
            x = code.broadcast(sample + r * code.itemsize)
            for total, y in zip(sums[r], ds, strict=True):
                total.set(code.fma(x, y, total.get()))
    for r in range(rows):
        for total, (p, at) in zip(sums[r], registers, strict=True):
            code.store(total.get(), g + g_step * p + (r * LINE + at))
    return code.finish()


def column_sums(code: Code) -> Any:
    """``g = Σ δ`` over ``k`` samples of one panel. Arguments: ``d``, ``k``, ``g``.

    Runs of samples are summed in the dtype, and the runs in float64: a single sum of very many
    would lose more digits than the dtype has left.
    """
    d, k, g = code.ints
    offsets = [at for _, at in _registers(code, 1)]
    zero = code.real(0.0)
    wholes = [code.variable(code.to_doubles(zero)) for _ in offsets]
    with code.loop(k, SHORT_RUN) as first:
        sums = [code.variable(zero) for _ in offsets]
        with code.loop((k - first).min(SHORT_RUN)) as i:
            for total, at in zip(sums, offsets, strict=True):
                total.set(total.get() + code.load(d + (first + i) * LINE + at))
        for whole, total in zip(wholes, sums, strict=True):
            whole.set(whole.get() + code.to_doubles(total.get()))
    for whole, at in zip(wholes, offsets, strict=True):
        code.store(code.from_doubles(whole.get()), g + at)
    return code.finish()


def accumulate(code: Code) -> Any:
    """Add lines to sums in float64.

    Arguments: the lines, the ``sums`` (of one line two), the number of lines; whether there are
    sums already (0: these are the first).
    """
    source, sums, lines, known = code.ints
    zero = code.to_doubles(code.real(0.0))
    with code.loop(lines) as i:
        for _, at in _registers(code, 1):
            place = sums + i * (8 * code.panel) + at * (8 // code.itemsize)
            before = code.choose_real(known > 0, code.load_doubles(place), zero)
            code.store(before + code.to_doubles(code.load(source + i * LINE + at)), place)
    return code.finish()


def rounded(code: Code) -> Any:
    """Lines of the dtype of sums in float64. Arguments: the ``sums``, the lines, their number."""
    sums, target, lines = code.ints
    with code.loop(lines) as i:
        for _, at in _registers(code, 1):
            place = sums + i * (8 * code.panel) + at * (8 // code.itemsize)
            code.store(code.from_doubles(code.load_doubles(place)), target + i * LINE + at)
    return code.finish()


def _registers(code: Code, panels: int) -> list[tuple[int, int]]:
    """Panel and byte offset of every vector of a row of the tile."""
    width = code.host.vector_bytes
    return [(p, v * width) for p in range(panels) for v in range(code.per_line)]
