"""Losses of the scores: margins, and those whose outputs would overflow or lose digits.

Formulas: the table in ``reference/losses.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..vector.code import Code, Int, Real
from ..vector.vmath import exp, log, log_of_any, softplus
from .activations import FUNCTIONS
from .columns import Columns


def _where_positive(code: Code, margin: Real, value: Real) -> Real:
    """``value`` where the margin is positive, NaN where it is NaN, else 0."""
    nothing = code.builder.fcmp_ordered("<=", margin.value, code.real(0.0).value)
    return code.select(margin > 0.0, value, code.select(nothing, code.real(0.0), margin))


def _poisson(code: Code, columns: Columns) -> Real:
    def term(at: Int) -> Real:
        x, y = code.load(columns.z + at), code.load(columns.y + at)
        a = exp(code, x)
        code.store(a - y, columns.d + at)
        nothing = code.builder.fcmp_ordered("==", y.value, code.real(0.0).value)
        score = code.select(nothing, code.real(0.0), x - log_of_any(code, y))
        return a - y - y * score

    return columns.total(term)


def _binary_cross_entropy(smoothed: bool) -> Callable[[Code, Columns], Real]:
    def of_scores(code: Code, columns: Columns) -> Real:
        def term(at: Int) -> Real:
            x, y = code.load(columns.z + at), code.load(columns.y + at)
            if smoothed:
                y = code.fma(y, 1.0 - columns.constant, columns.constant * 0.5)
            code.store(FUNCTIONS["sigmoid"](code, x) - y, columns.d + at)
            return softplus(code, x) - y * x

        return columns.total(term)

    return of_scores


def _cross_entropy(smoothed: bool) -> Callable[[Code, Columns], Real]:
    def of_scores(code: Code, columns: Columns) -> Real:
        z, y, d = columns.z, columns.y, columns.d
        top, total = columns.exponentials(d)
        inverse = code.real(1.0) / total
        hits = code.variable(code.real(0.0))

        def target(at: Int) -> Real:
            wanted = code.load(y + at)
            hits.set(code.fma(wanted, code.load(z + at), hits.get()))
            return wanted

        targets = columns.total(target)
        if smoothed:  # y ← (1 - s) y + s / K Σ y
            share = targets * columns.constant / code.real_of(columns.n)
            keep = 1.0 - columns.constant
            columns.each(lambda at: code.store(code.fma(code.load(y + at), keep, share), y + at))
            hits.set(code.real(0.0))
            columns.total(target)
        factor = inverse * targets
        columns.each(lambda at: code.store(code.load(d + at) * factor - code.load(y + at), d + at))
        result: Real = (top + log(code, total)) * targets - hits.get()
        return result

    return of_scores


def _hinge(squared: bool) -> Callable[[Code, Columns], Real]:
    def of_scores(code: Code, columns: Columns) -> Real:
        def term(at: Int) -> Real:
            x, y = code.load(columns.z + at), code.load(columns.y + at)
            margin = 1.0 - y * x
            reached = _where_positive(code, margin, margin)
            slope = y * reached * -2.0 if squared else _where_positive(code, margin, -y)
            code.store(slope, columns.d + at)
            return reached * reached if squared else reached

        return columns.total(term)

    return of_scores


def _multiclass_hinge(code: Code, columns: Columns) -> Real:
    z, y, d = columns.z, columns.y, columns.d
    zero, one = code.real(0.0), code.real(1.0)
    # Places are counted in reals.
    place, largest = code.variable(zero), code.variable(code.real(-math.inf))
    k, of_k, broken = code.variable(zero), code.variable(zero), code.variable(zero)

    def find_class(at: Int) -> None:
        value, score = code.load(y + at), code.load(z + at)
        here = place.get()
        larger = value > largest.get()
        k.set(code.select(larger, here, k.get()))
        of_k.set(code.select(larger, score, of_k.get()))
        largest.set(code.select(larger, value, largest.get()))
        unordered = code.builder.fcmp_unordered("uno", score.value, score.value)
        broken.set(code.select(unordered, score, broken.get()))
        place.set(here + 1.0)

    columns.each(find_class)
    first = code.builder.fcmp_ordered("==", k.get().value, zero.value)
    j, top = code.variable(code.select(first, one, zero)), code.variable(code.real(-math.inf))
    place.set(zero)

    def find_rival(at: Int) -> None:
        score, here = code.load(z + at), place.get()
        other = code.builder.fcmp_ordered("!=", here.value, k.get().value)
        better = code.builder.and_(other, score > top.get())
        j.set(code.select(better, here, j.get()))
        top.set(code.select(better, score, top.get()))
        place.set(here + 1.0)

    columns.each(find_rival)
    margin = top.get() - of_k.get() + broken.get() + 1.0
    place.set(zero)

    def write(at: Int) -> None:
        here = place.get()
        rival = code.builder.fcmp_ordered("==", here.value, j.get().value)
        own = code.builder.fcmp_ordered("==", here.value, k.get().value)
        slope = code.select(rival, one, code.select(own, code.real(-1.0), 0.0))
        code.store(_where_positive(code, margin, slope), d + at)
        place.set(here + 1.0)

    columns.each(write)
    return _where_positive(code, margin, margin)


#: "loss output" → function that writes the unweighted errors of the columns and returns the rows'
#: losses. A new loss of scores goes here.
OF_SCORES: dict[str, Callable[[Code, Columns], Real]] = {
    "poisson exp": _poisson,
    "binary_cross_entropy sigmoid": _binary_cross_entropy(smoothed=False),
    "binary_cross_entropy-smoothed sigmoid": _binary_cross_entropy(smoothed=True),
    "cross_entropy softmax": _cross_entropy(smoothed=False),
    "cross_entropy-smoothed softmax": _cross_entropy(smoothed=True),
    "hinge identity": _hinge(squared=False),
    "squared_hinge identity": _hinge(squared=True),
    "multiclass_hinge identity": _multiclass_hinge,
}
