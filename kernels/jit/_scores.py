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

from ._copies import offsets, transposed
from ._host import LINE
from ._runs import DERIVATIVES, FUNCTIONS
from ._vector import Code, Int, Real
from ._vmath import exp, log, maximum, softplus


class Columns:
    """Matrices of ``n`` columns in scratch: z, y and d, one after the other."""

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


def loss(code: Code, name: str, output: str) -> Any:
    """Loss and error of each row.

    Arguments: scores ``z``, targets ``y``, errors ``d`` (written), their common ``step``, ``count``
    rows, ``n`` columns, ``losses`` (a double a row, written), row ``weights`` and the bytes between
    them (0 for one weight for all), ``scratch`` for three vectors a column; ``scale``. The error of
    a row is multiplied by its weight and by ``scale``, the loss is not.
    """
    z, y, d, step, count, n, losses, weights, weight_step, scratch = code.ints
    scale = code.splat(code.doubles[0])
    columns = Columns(code, scratch, n)
    with code.loop(count, code.lanes) as j:
        at_row, left = j * LINE, count - j
        mask = code.first(left)
        columns.read(z + at_row, step, columns.z)
        columns.read(y + at_row, step, columns.y)
        value = LOSSES[name](code, columns, output)
        code.store(code.to_doubles(value), losses + j * 8, mask)
        # Where all rows share a weight, it is loaded again as if it were the first of many.
        own = code.load(weights + weight_step * j, code.both(mask, weight_step > 0))
        shared = code.broadcast(weights)
        factor = code.choose_real(weight_step > 0, own, shared) * scale
        columns.scale(columns.d, factor)
        columns.write(columns.d, d + at_row, step, left)
    return code.finish()


def _squared_error(code: Code, columns: Columns, output: str) -> Real:
    z, y, d = columns.z, columns.y, columns.d
    if output == "softmax":
        return _squared_error_of_softmax(code, columns)

    def term(at: Int) -> Real:
        a = code.load(z + at)
        if output == "sigmoid":
            a = FUNCTIONS["sigmoid"](code, a)
        residual = a - code.load(y + at)
        error = DERIVATIVES["sigmoid"](code, residual, a) if output == "sigmoid" else residual
        code.store(error, d + at)
        return residual * residual

    return columns.total(term) * 0.5


def _squared_error_of_softmax(code: Code, columns: Columns) -> Real:
    z, y, d = columns.z, columns.y, columns.d
    _, total = _softmax(code, columns, z)
    inner = code.variable(code.real(0.0))

    def square(at: Int) -> Real:
        a = code.load(z + at) / total
        residual = a - code.load(y + at)
        code.store(a, z + at)
        code.store(residual, d + at)
        inner.set(code.fma(residual, a, inner.get()))
        return residual * residual

    squares = columns.total(square)
    dot = inner.get()
    columns.each(lambda at: code.store(code.load(z + at) * (code.load(d + at) - dot), d + at))
    return squares * 0.5


def _binary_cross_entropy(code: Code, columns: Columns, output: str) -> Real:
    def term(at: Int) -> Real:
        x, target = code.load(columns.z + at), code.load(columns.y + at)
        code.store(FUNCTIONS["sigmoid"](code, x) - target, columns.d + at)
        return softplus(code, x) - target * x

    return columns.total(term)


def _cross_entropy(code: Code, columns: Columns, output: str) -> Real:
    z, y, d = columns.z, columns.y, columns.d
    top, total = _softmax(code, columns, d)
    inverse = code.real(1.0) / total
    hits = code.variable(code.real(0.0))

    def target(at: Int) -> Real:
        wanted = code.load(y + at)
        hits.set(code.fma(wanted, code.load(z + at), hits.get()))
        return wanted

    targets = columns.total(target)
    factor = inverse * targets
    columns.each(lambda at: code.store(code.load(d + at) * factor - code.load(y + at), d + at))
    hit: Real = hits.get()
    return (top + log(code, total)) * targets - hit


#: Loss → function that writes the unweighted errors of the columns and returns the rows' losses.
LOSSES: dict[str, Callable[[Code, Columns, str], Real]] = {
    "squared_error": _squared_error,
    "binary_cross_entropy": _binary_cross_entropy,
    "cross_entropy": _cross_entropy,
}
