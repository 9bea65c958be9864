"""Rows of scores as columns: a vector holds one column of as many rows as it has lanes.

Sums and maxima over a row are then sums of vectors, one logarithm serves many rows, and the columns
that fill up a panel are never looked at. Rows come from panels and go back to them through a
scratch of columns. Each row is summed in the order of its columns, whatever rows are beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..matrices.panels import offsets, transposed
from ..vector.code import Code, Int, Real
from ..vector.host import LINE
from ..vector.vmath import exp, maximum


class Columns:
    """Matrices of ``n`` columns in scratch: z, y and d, one after the other."""

    constant: Real  # of the loss

    def __init__(self, code: Code, scratch: Int, n: Int) -> None:
        self.code, self.n = code, n
        self.size = code.round_up(n, code.panel) * code.host.vector_bytes
        self.z, self.y, self.d = scratch, scratch + self.size, scratch + self.size * 2

    def part(self, first: Int, n: int) -> Columns:
        """Some of the columns, as if there were no others."""
        code, result = self.code, object.__new__(Columns)
        at = first * code.host.vector_bytes
        result.code, result.n, result.size = code, code.as_int(n), self.size
        result.constant = self.constant
        result.z, result.y, result.d = self.z + at, self.y + at, self.d + at
        return result

    def of_parts(self, write: Callable[[Code, Columns], Real], n: int) -> Real:
        """The sum of what ``write`` returns for each ``n`` columns alone."""
        total = self.code.variable(self.code.real(0.0))
        with self.code.loop(self.n, n) as first:
            total.set(total.get() + write(self.code, self.part(first, n)))
        result: Real = total.get()
        return result

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

    def exponentials(self, to: Int) -> tuple[Real, Real]:
        """Write ``exp(z - highest)`` to a matrix; return ``highest`` of each row, and the sum."""
        code = self.code
        highest = code.variable(code.real(-math.inf))
        self.each(lambda at: highest.set(maximum(code, code.load(self.z + at), highest.get())))
        top = highest.get()

        def shifted(at: Int) -> Real:
            x = exp(code, code.load(self.z + at) - top)
            code.store(x, to + at)
            return x

        return top, self.total(shifted)

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
