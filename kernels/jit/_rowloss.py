"""Kernels over whole rows of scores: softmax, and the losses with their errors δ^L.

Scores lie in panels; the columns that fill up the last panel are masked out wherever a sum or a
maximum runs over a row, so that nothing in them can reach a result. Formulas: see the table in
``reference/losses.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._host import LINE
from ._runs import DERIVATIVES, FUNCTIONS
from ._vector import Code, Int, Real
from ._vmath import exp, log, maximum, softplus


class Row:
    """One row of some matrices in panels of equal ``step``."""

    def __init__(self, code: Code, begin: Int, step: Int, n: Int) -> None:
        self.code, self.begin, self.step, self.n = code, begin, step, n

    @contextmanager
    def panels(self) -> Iterator[tuple[Int, Int]]:
        """Byte offset and first column of each panel, in a loop."""
        offset = self.code.variable(self.begin)
        with self.code.loop(self.n, self.code.panel) as first:
            yield offset.get(), first
            offset.set(offset.get() + self.step)

    def each(self, body: Callable[[Int, Any], None]) -> None:
        """Call ``body(byte_offset, mask)`` for every vector of the row."""
        code = self.code
        with self.panels() as (offset, first):
            for v in range(code.per_line):
                mask = code.first(self.n - first - v * code.lanes)
                body(offset + v * code.host.vector_bytes, mask)

    def total(self, term: Callable[[Int, Any], Real]) -> Real:
        """``Σ term(byte_offset, mask)`` over the row, in every lane."""
        total = self.code.variable(self.code.real(0.0))

        def add(at: Int, mask: Any) -> None:
            total.set(total.get() + self.code.select(mask, term(at, mask), 0.0))

        self.each(add)
        return self.code.sum(total.get())


def _softmax(code: Code, row: Row, z: Int, a: Int) -> tuple[Real, Real]:
    """Write ``exp(z - highest)`` to ``a``; return ``highest`` and the sum (each in every lane)."""
    highest = code.variable(code.real(-math.inf))

    def compare(at: Int, mask: Any) -> None:
        x = code.select(mask, code.load(z + at), -math.inf)
        highest.set(maximum(code, x, highest.get()))

    row.each(compare)
    top = code.reduce(highest.get(), lambda x, y: maximum(code, x, y))

    def shifted(at: Int, mask: Any) -> Real:
        x = exp(code, code.load(z + at) - top)
        code.store(x, a + at)
        return x

    return top, row.total(shifted)


def softmax(code: Code) -> Any:
    """Softmax of each row in place. Arguments: ``z``, ``step``, ``count`` rows, ``n`` columns."""
    z, step, count, n = code.ints
    with code.loop(count) as j:
        row = Row(code, j * LINE, step, n)
        _, total = _softmax(code, row, z, z)
        row.each(lambda at, mask: code.store(code.load(z + at) / total, z + at))
    return code.finish()


def loss(code: Code, name: str, output: str) -> Any:
    """Loss and error of each row.

    Arguments: scores ``z``, targets ``y``, errors ``d`` (written), their common ``step``,
    ``count`` rows, ``n`` columns, ``losses`` (a double a row, written), row ``weights`` and the
    bytes between them (0 for one weight for all); ``scale``. The error of a row is multiplied by
    its weight and by ``scale``, the loss is not.
    """
    z, y, d, step, count, n, losses, weights, weight_step = code.ints
    scale = code.splat(code.doubles[0])
    with code.loop(count) as j:
        row = Row(code, j * LINE, step, n)
        factor = code.broadcast(weights + weight_step * j) * scale
        value = LOSSES[name](code, row, z, y, d, output)
        code.store_scalar(code.lane(code.to_doubles(value)), losses + j * 8)

        def scaled(at: Int, mask: Any, factor: Real = factor) -> None:
            code.store(code.select(mask, code.load(d + at) * factor, 0.0), d + at)

        row.each(scaled)
    return code.finish()


def _squared_error(code: Code, row: Row, z: Int, y: Int, d: Int, output: str) -> Real:
    if output == "softmax":
        return _squared_error_of_softmax(code, row, z, y, d)

    def term(at: Int, mask: Any) -> Real:
        a = code.load(z + at)
        if output == "sigmoid":
            a = FUNCTIONS["sigmoid"](code, a)
        residual = a - code.load(y + at)
        error = DERIVATIVES["sigmoid"](code, residual, a) if output == "sigmoid" else residual
        code.store(error, d + at)
        return residual * residual

    return row.total(term) * 0.5


def _squared_error_of_softmax(code: Code, row: Row, z: Int, y: Int, d: Int) -> Real:
    _, total = _softmax(code, row, z, d)
    row.each(lambda at, mask: code.store(code.load(d + at) / total, d + at))

    def square(at: Int, mask: Any) -> Real:
        residual = code.load(d + at) - code.load(y + at)
        return residual * residual

    squares = row.total(square)
    inner = row.total(lambda at, mask: (code.load(d + at) - code.load(y + at)) * code.load(d + at))

    def error(at: Int, mask: Any) -> None:
        a = code.load(d + at)
        code.store(a * (a - code.load(y + at) - inner), d + at)

    row.each(error)
    return squares * 0.5


def _binary_cross_entropy(code: Code, row: Row, z: Int, y: Int, d: Int, output: str) -> Real:
    def term(at: Int, mask: Any) -> Real:
        x, target = code.load(z + at), code.load(y + at)
        code.store(FUNCTIONS["sigmoid"](code, x) - target, d + at)
        return softplus(code, x) - target * x

    return row.total(term)


def _cross_entropy(code: Code, row: Row, z: Int, y: Int, d: Int, output: str) -> Real:
    top, total = _softmax(code, row, z, d)
    targets = row.total(lambda at, mask: code.load(y + at))
    hits = row.total(lambda at, mask: code.load(y + at) * code.load(z + at))

    def error(at: Int, mask: Any) -> None:
        a = code.load(d + at) / total
        code.store(a * targets - code.load(y + at), d + at)

    row.each(error)
    return (top + log(code, total)) * targets - hits


#: Loss → function that writes the unweighted error of a row and returns its loss in every lane.
LOSSES: dict[str, Callable[[Code, Row, Int, Int, Int, str], Real]] = {
    "squared_error": _squared_error,
    "binary_cross_entropy": _binary_cross_entropy,
    "cross_entropy": _cross_entropy,
}
