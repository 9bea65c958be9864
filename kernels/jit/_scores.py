"""Kernels over whole rows of scores: softmax, and the losses with their errors δ^L.

A vector holds one column of as many rows as it has lanes: sums and maxima over a row are then sums
of vectors, one logarithm serves many rows, and the columns that fill up a panel are never looked
at. Rows come from panels and go back to them through a scratch of columns. Each row is summed in
the order of its columns, whatever rows are beside it. Formulas: the table in
``reference/losses.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .._specs import Loss
from ._copies import offsets, transposed
from ._host import LINE
from ._runs import DERIVATIVES, FUNCTIONS
from ._vector import Code, Int, Real
from ._vmath import exp, log, log_of_any, maximum, softplus


class Columns:
    """Matrices of ``n`` columns in scratch: z, y and d, one after the other."""

    constant: Real  # of the loss

    def __init__(self, code: Code, scratch: Int, n: Int) -> None:
        self.code, self.n = code, n
        self.size = code.round_up(n, code.panel) * code.host.vector_bytes
        self.z, self.y, self.d = scratch, scratch + self.size, scratch + self.size * 2

    def each(self, body: Callable[[Int], None]) -> None:
        """Call ``body(byte_offset)`` for every column."""
        with self.code.loop(self.n) as j:
            body(j * self.code.host.vector_bytes)

    def scale(self, begin: Int, factor: Real) -> None:
        """Multiply all columns of one matrix."""
        self.each(lambda at: self.code.store(self.code.load(begin + at) * factor, begin + at))

    def total(self, term: Callable[[Int], Real]) -> Real:
        """``Σ term(byte_offset)`` over the columns."""
        total = self.code.variable(self.code.real(0.0))
        self.each(lambda at: total.set(total.get() + term(at)))
        result: Real = total.get()
        return result

    @contextmanager
    def _squares(self, rows: Int, step: Int, columns: Int) -> Iterator[tuple[Int, Int]]:
        """Addresses of each panel of the rows and of its columns, in a loop."""
        code = self.code
        row, column = code.variable(rows), code.variable(columns)
        with code.loop(self.n, code.panel):
            yield row.get(), column.get()
            row.set(row.get() + step)
            column.set(column.get() + code.panel * code.host.vector_bytes)

    def read(self, rows: Int, step: Int, columns: Int) -> None:
        """Transpose as many rows as a vector has lanes out of panels."""
        code = self.code
        with self._squares(rows, step, columns) as (row, column):
            for across in offsets(code):
                lines = [code.load(row + (i * LINE + across)) for i in range(code.lanes)]
                for i, x in enumerate(transposed(code, lines)):
                    at = (across // code.itemsize + i) * code.host.vector_bytes
                    code.store(x, column + at)

    def write(self, columns: Int, rows: Int, step: Int, count: Int) -> None:
        """Transpose the first ``count`` rows back into panels."""
        code = self.code
        with self._squares(rows, step, columns) as (row, column):
            for across in offsets(code):
                begin = across // code.itemsize
                lines = [
                    code.load(column + (begin + i) * code.host.vector_bytes)
                    for i in range(code.lanes)
                ]
                for i, x in enumerate(transposed(code, lines)):
                    with code.when(count > i):
                        code.store(x, row + (i * LINE + across))


def _softmax(code: Code, columns: Columns, a: Int) -> tuple[Real, Real]:
    """Write ``exp(z - highest)`` to ``a``; return ``highest`` and the sum."""
    highest = code.variable(code.real(-math.inf))
    columns.each(lambda at: highest.set(maximum(code, code.load(columns.z + at), highest.get())))
    top = highest.get()

    def shifted(at: Int) -> Real:
        x = exp(code, code.load(columns.z + at) - top)
        code.store(x, a + at)
        return x

    return top, columns.total(shifted)


def softmax(code: Code) -> Any:
    """Softmax of each row in place.

    Arguments: ``z``, ``step``, ``count`` rows, ``n`` columns, ``scratch`` for a vector a column.
    """
    z, step, count, n, scratch = code.ints
    columns = Columns(code, scratch, n)
    with code.loop(count, code.lanes) as j:
        rows = z + j * LINE
        columns.read(rows, step, columns.z)
        _, total = _softmax(code, columns, columns.z)
        columns.scale(columns.z, code.real(1.0) / total)
        columns.write(columns.z, rows, step, count - j)
    return code.finish()


def loss(code: Code, what: str | Callable[[Code, Columns], Real]) -> Any:
    """Loss and error of each row, for ``"name output"`` of :data:`KERNELS`, or a function like
    those.

    Arguments: scores ``z``, targets ``y``, errors ``d`` (written), their common ``step``, ``count``
    rows, ``n`` columns, ``losses`` (a double a row, written), row ``weights`` and the bytes between
    them (0 for one weight for all), ``scratch`` for three vectors a column; ``scale``; the loss's
    constant. The error of a row is multiplied by its weight and by ``scale``, the loss is not.
    """
    z, y, d, step, count, n, losses, weights, weight_step, scratch = code.ints
    scale, constant = (code.splat(value) for value in code.doubles)
    columns = Columns(code, scratch, n)
    columns.constant = constant
    with code.loop(count, code.lanes) as j:
        at_row, left = j * LINE, count - j
        mask = code.first(left)
        columns.read(z + at_row, step, columns.z)
        columns.read(y + at_row, step, columns.y)
        value = (KERNELS[what] if isinstance(what, str) else what)(code, columns)
        code.store(code.to_doubles(value), losses + j * 8, mask)
        # Where all rows share a weight, it is loaded again as if it were the first of many.
        own = code.load(weights + weight_step * j, code.both(mask, weight_step > 0))
        shared = code.broadcast(weights)
        factor = code.choose_real(weight_step > 0, own, shared) * scale
        columns.scale(columns.d, factor)
        columns.write(columns.d, d + at_row, step, left)
    return code.finish()


def _where_positive(code: Code, margin: Real, value: Real) -> Real:
    """``value`` where the margin is positive, NaN where it is NaN, else 0."""
    nothing = code.builder.fcmp_ordered("<=", margin.value, code.real(0.0).value)
    return code.select(margin > 0.0, value, code.select(nothing, code.real(0.0), margin))


# Losses of outputs: value and derivative by a, from r = a - y and the loss's constant


def _squared(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    return r * r * 0.5, r


def _absolute(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    sign = code.select(r < 0.0, code.real(-1.0), r)
    return code.abs(r), code.select(r > 0.0, code.real(1.0), sign)


def _huber(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    size = code.abs(r)
    quadratic = code.select(size > c, c, size)
    return quadratic * (size - quadratic * 0.5), code.clip(r, -c, c)


def _quantile(code: Code, r: Real, c: Real) -> tuple[Real, Real]:
    slope = code.select(r < 0.0, -c, code.select(r > 0.0, 1.0 - c, r))
    return slope * r, slope


_OfOutput = Callable[[Code, Real, Real], tuple[Real, Real]]
_OF_OUTPUTS: dict[str, _OfOutput] = {
    "squared_error": _squared,
    "absolute_error": _absolute,
    "huber": _huber,
    "quantile": _quantile,
}


def _of_outputs(name: str, output: str) -> Callable[[Code, Columns], Real]:
    """A loss of outputs as one of scores."""
    value_and_slope = _OF_OUTPUTS[name]
    if output == "softmax":
        return lambda code, columns: _of_softmax(code, columns, value_and_slope)

    def of_scores(code: Code, columns: Columns) -> Real:
        def term(at: Int) -> Real:
            a = code.load(columns.z + at)
            if output != "identity":
                a = FUNCTIONS[output](code, a)
            value, slope = value_and_slope(code, a - code.load(columns.y + at), columns.constant)
            error = slope if output == "identity" else DERIVATIVES[output](code, slope, a)
            code.store(error, columns.d + at)
            return value

        return columns.total(term)

    return of_scores


def _of_softmax(code: Code, columns: Columns, value_and_slope: _OfOutput) -> Real:
    """The Jacobian of softmax is ``diag(a) - a aᵀ``."""
    z, y, d = columns.z, columns.y, columns.d
    _, total = _softmax(code, columns, z)
    inner = code.variable(code.real(0.0))

    def term(at: Int) -> Real:
        a = code.load(z + at) / total
        value, slope = value_and_slope(code, a - code.load(y + at), columns.constant)
        code.store(a, z + at)
        code.store(slope, d + at)
        inner.set(code.fma(slope, a, inner.get()))
        return value

    result = columns.total(term)
    dot = inner.get()
    columns.each(lambda at: code.store(code.load(z + at) * (code.load(d + at) - dot), d + at))
    return result


# Losses of scores


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
        top, total = _softmax(code, columns, d)
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
#: losses. A new loss goes here.
KERNELS: dict[str, Callable[[Code, Columns], Real]] = {
    **{
        f"{name} {output}": _of_outputs(name, output)
        for name in _OF_OUTPUTS
        for output in ("identity", "sigmoid", "softmax", "exp")
    },
    "poisson exp": _poisson,
    "binary_cross_entropy sigmoid": _binary_cross_entropy(smoothed=False),
    "binary_cross_entropy-smoothed sigmoid": _binary_cross_entropy(smoothed=True),
    "cross_entropy softmax": _cross_entropy(smoothed=False),
    "cross_entropy-smoothed softmax": _cross_entropy(smoothed=True),
    "hinge identity": _hinge(squared=False),
    "squared_hinge identity": _hinge(squared=True),
    "multiclass_hinge identity": _multiclass_hinge,
}


def kernel_of(loss: Loss, output: str) -> tuple[str, float, float]:
    """The entry of :data:`KERNELS` for a loss, its constant, and what stands in the rows of class
    labels beside the label."""
    (constant,) = loss.constants.values() or (0.0,)
    smoothed = "-smoothed" if loss.constants.get("label_smoothing") else ""
    low = -1.0 if loss.name in ("hinge", "squared_hinge") else 0.0
    return f"{loss.name}{smoothed} {output}", constant, low
