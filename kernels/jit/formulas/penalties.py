"""Sums over weights and gradients, in float64, and the bound of weights' lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..vector.code import Code, Int, Real
from ..vector.host import LINE
from ..vector.kernel import kernel

#: From one vector two terms, in float64.
Terms = Callable[[Real], tuple[Real, Real]]


@kernel
def sums(code: Code, *, x: Int, lines: Int, width: Int, totals: Int) -> None:
    """``totals += (Σ x², Σ |x|)`` over the first ``width`` columns of a panel."""

    def terms(x: Real) -> tuple[Real, Real]:
        value = code.to_doubles(x)
        return value * value, code.to_doubles(code.abs(x))

    for i, found in enumerate(_sum_lines(code, x, lines, _masks(code, width), terms)):
        place = totals + 8 * i
        code.store_scalar(code.builder.fadd(code.load_double(place), found), place)


@kernel
def norms(code: Code, *, g: Int, lines: Int, width: Int, places: Int, bound: Real) -> None:
    """``(Σ g², Σ clip(g)²)`` of each square of a panel: of as many lines as it has columns.

    Squares are what the blocks of the weights pass consist of, however they are cut; so their sums,
    and what is summed of them in the order of their places, do not depend on the number of threads.

    ``places`` has room for two sums of each square, one after the other; ``width`` columns count.
    """
    masks = _masks(code, width)

    def terms(g: Real) -> tuple[Real, Real]:
        value, clipped = code.to_doubles(g), code.to_doubles(code.clip(g, -bound, bound))
        return value * value, clipped * clipped

    with code.loop(lines, code.panel) as first:
        count = (lines - first).min(code.panel)
        found = _sum_lines(code, g + first * LINE, count, masks, terms)
        for i, total in enumerate(found):
            code.store_scalar(total, places + first * (16 // code.panel) + 8 * i)


def _masks(code: Code, width: Int) -> list[Any]:
    """For each vector of a line, its elements that are no padding."""
    return [code.first(width - v * code.lanes) for v in range(code.per_line)]


def _sum_lines(code: Code, begin: Int, lines: Int, masks: list[Any], terms: Terms) -> list[Any]:
    """The two sums, as scalars: down the lines first, then across."""
    zero = code.to_doubles(code.real(0.0))
    sums = [[code.variable(zero) for _ in range(2)] for _ in masks]
    with code.loop(lines) as i:
        for v, (mask, accumulators) in enumerate(zip(masks, sums, strict=True)):
            line = code.load(begin + (i * LINE + v * code.host.vector_bytes))
            found = terms(code.select(mask, line, 0.0))
            for accumulator, term in zip(accumulators, found, strict=True):
                accumulator.set(accumulator.get() + term)
    totals = []
    for which in range(2):
        result = sums[0][which].get()
        for accumulators in sums[1:]:
            result = result + accumulators[which].get()
        totals.append(code.lane(code.sum(result)))
    return totals


@kernel
def bound_columns(code: Code, *, w: Int, lines: Int, length: Real) -> None:
    """Scale every column of a panel that is longer than a length down to it."""
    places = [v * code.host.vector_bytes for v in range(code.per_line)]
    squares = [code.variable(code.real(0.0)) for _ in places]
    with code.loop(lines) as i:
        for at, square in zip(places, squares, strict=True):
            x = code.load(w + (i * LINE + at))
            square.set(code.fma(x, x, square.get()))
    norms = [code.sqrt(square.get()) for square in squares]
    factors = [code.select(norm > length, length / norm, 1.0) for norm in norms]
    with code.loop(lines) as i:
        for at, factor in zip(places, factors, strict=True):
            code.store(code.load(w + (i * LINE + at)) * factor, w + (i * LINE + at))
