"""Register tiles: the two matrix products that nearly all the time goes into.

Every element of a result is one accumulator that takes its products in ascending order of ``k``,
each with one fused multiply-add. So its value depends neither on the tile that it falls into nor on
the number of threads.

Each tile prefetches for later tiles, a few lines with each row: issued all at once, the prefetches
would fill the load queue and delay the tile's own loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..formulas.updates import descend
from ..vector.code import Code, Int, Real
from ..vector.host import LINE
from ..vector.kernel import kernel

#: Samples whose sum in float32 keeps its digits, where the samples may be equal, and where they
#: are products.
SHORT_RUN, RUN = 128, 256
#: Columns or samples of a turn of a tile's loop, so that counting costs little beside them.
TURN = 2


@kernel
def forward(
    code: Code, rows: int, panels: int, *,
    a: Int, a_step_bytes: Int, w: Int, w_step_bytes: Int, c: Int, c_step_bytes: Int, k: Int,
    start: Int, ahead_bytes: Int, low: Real, high: Real,
) -> None:  # fmt: skip
    """``c = clip(start + a w)`` for ``rows`` rows and ``panels`` panels of columns.

    ``a`` has panels of ``k`` columns, with rows one line apart; ``w`` panels with a line for each
    ``k``; ``start`` a line a panel. Of ``w`` so much is prefetched, so far ahead.

    The transposed copy of the weights for ``w``, errors for ``a`` and zeros for ``start`` make it
    the backward product ``δ Wᵀ``.
    """
    registers = _registers(code, panels)
    starts = [code.load(start + p * LINE + at) for p, at in registers]
    sums = [[code.variable(x) for x in starts] for _ in range(rows)]
    # One loop, not one of panels around one of columns: a branch that goes the other way after each
    # panel costs as much as the last of its columns. Its turns are of several columns, of which
    # only the last can end a panel.
    column = code.variable(a)
    next_panel = a_step_bytes - (LINE - code.itemsize)

    def multiply(i: Int, x_address: Int) -> None:
        row = w + i * LINE
        ws = [code.load(row + w_step_bytes * p + at) for p, at in registers]
        for p in range(panels):
            code.prefetch(row + w_step_bytes * p + ahead_bytes)
        for r in range(rows):
            x = code.broadcast(x_address + r * LINE)
            for total, y in zip(sums[r], ws, strict=True):
                total.set(code.fma(x, y, total.get()))

    def turn(first: Int, count: int) -> None:
        x_address = column.get()
        for i in range(count):
            multiply(first + i, x_address + i * code.itemsize)
        ends = code.is_multiple(first + count, code.panel)
        last = x_address + (count - 1) * code.itemsize
        column.set(last + code.choose(ends, next_panel, code.as_int(code.itemsize)))

    code.turns(k, TURN, turn)
    for r in range(rows):
        for total, (p, at) in zip(sums[r], registers, strict=True):
            code.store(code.clip(total.get(), low, high), c + c_step_bytes * p + (r * LINE + at))


@kernel
def gradient(
    code: Code, rows: int, panels: int, *,
    a: Int, d: Int, d_step_bytes: Int, k: Int, g: Int, g_step_bytes: Int,
    wanted: Int, wanted_step_bytes: Int, constants: Int,
) -> None:  # fmt: skip
    """``g = aᵀ δ`` for ``rows`` features and ``panels`` panels of columns, over ``k`` samples.

    ``a`` is the address of the first feature in its panel. What is ``wanted`` later is prefetched,
    so many bytes with each sample, two lines at most. The ``constants`` are for :func:`descent`.
    """
    soon = _Soon(wanted, wanted_step_bytes, [0, LINE])
    for total, p, at in _gradient(code, rows, panels, a, d, d_step_bytes, k, soon):
        code.store(total, g + g_step_bytes * p + at)


@kernel
def descent(
    code: Code, rows: int, panels: int, *,
    a: Int, d: Int, d_step_bytes: Int, k: Int, g: Int, g_step_bytes: Int,
    wanted: Int, wanted_step_bytes: Int, constants: Int,
) -> None:  # fmt: skip
    """A step of plain descent, ``g -= rate (aᵀ δ + l2 g)``, for weights ``g``, with the
    ``constants`` of an update.

    Sums that stay in registers until they have changed the weights need no memory. Of each panel of
    the weights that are ``wanted`` soon so many bytes are prefetched with each sample.
    """
    after = descend(code, constants)
    panel_bytes = [g_step_bytes * p for p in range(panels)]
    soon = _Soon(wanted, wanted_step_bytes, panel_bytes, to_first=True)
    for total, p, at in _gradient(code, rows, panels, a, d, d_step_bytes, k, soon):
        place = g + g_step_bytes * p + at
        code.store(after(code.load(place), total), place)


class _Soon(NamedTuple):
    """What a tile prefetches: from where on, and how far it goes on with each sample; at which
    distances from there a line each time; whether to the first level or the second."""

    begin: Int
    step_bytes: Int
    distances: Sequence[Int | int]
    to_first: bool = False


def _gradient(
    code: Code, rows: int, panels: int,
    a: Int, d: Int, d_step_bytes: Int, k: Int, soon: _Soon,
) -> Iterator[tuple[Real, int, int]]:  # fmt: skip
    """The sums of a gradient's tile: each with its panel and its place there, in bytes."""
    registers = _registers(code, panels)
    sums = [[code.variable(code.real(0.0)) for _ in registers] for _ in range(rows)]
    wanted = code.variable(soon.begin)

    def turn(first: Int, count: int) -> None:
        for i in range(count):
            line = (first + i) * LINE
            ds = [code.load(d + line + d_step_bytes * p + at) for p, at in registers]
            for distance in soon.distances:
                code.prefetch(wanted.get() + distance, soon.to_first)
            wanted.set(wanted.get() + soon.step_bytes)
            for r in range(rows):
                x = code.broadcast(a + line + r * code.itemsize)
                for total, y in zip(sums[r], ds, strict=True):
                    total.set(code.fma(x, y, total.get()))

    code.turns(k, TURN, turn)
    for r in range(rows):
        for total, (p, at) in zip(sums[r], registers, strict=True):
            yield total.get(), p, r * LINE + at


@kernel
def column_sums(code: Code, *, d: Int, k: Int, g: Int) -> None:
    """``g = Σ δ`` over ``k`` samples of one panel.

    Runs of samples are summed in the dtype, and the runs in float64: a single sum of very many
    would lose more digits than the dtype has left.
    """
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


@kernel
def accumulate(code: Code, *, source: Int, sums: Int, lines: Int, known: Int) -> None:
    """Add lines to sums in float64, of which a line has two; where none is ``known``, they are the
    first."""
    zero = code.to_doubles(code.real(0.0))
    with code.loop(lines) as i:
        for _, at in _registers(code, 1):
            place = sums + i * (8 * code.panel) + at * (8 // code.itemsize)
            before = code.choose_real(known > 0, code.load_doubles(place), zero)
            code.store(before + code.to_doubles(code.load(source + i * LINE + at)), place)


@kernel
def add(code: Code, *, source: Int, target: Int, lines: Int, known: Int) -> None:
    """Add lines to others; where those are not ``known``, they become the first."""
    zero = code.real(0.0)
    with code.loop(lines) as i:
        for _, at in _registers(code, 1):
            place = target + i * LINE + at
            before = code.choose_real(known > 0, code.load(place), zero)
            code.store(before + code.load(source + i * LINE + at), place)


@kernel
def rounded(code: Code, *, sums: Int, target: Int, lines: Int) -> None:
    """Lines of the dtype of sums in float64."""
    with code.loop(lines) as i:
        for _, at in _registers(code, 1):
            place = sums + i * (8 * code.panel) + at * (8 // code.itemsize)
            code.store(code.from_doubles(code.load_doubles(place)), target + i * LINE + at)


def _registers(code: Code, panels: int) -> list[tuple[int, int]]:
    """Panel and byte offset of every vector of a row of the tile."""
    width = code.host.vector_bytes
    return [(p, v * width) for p in range(panels) for v in range(code.per_line)]
