"""Blocks put side by side in memory by a thread of their own, ahead of whoever uses them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from fastmlp.kernels import CSR, TargetWeights

from .._inputs import sparse
from .._network.batch import Batch
from .._typing import Array
from .stream import Stream

#: Bytes of a row that its places in orders take.
ORDERS = 16


class Buffer:
    """Memory for the rows of several blocks, with room before them for rows that are left over.

    Parameters
    ----------
    head : int
        Rows at most that :meth:`behind` puts before those that were read.
    """

    def __init__(self, head: int) -> None:
        self._head = head
        self._held: list[Array | None] = [None] * 4  # rows, targets, weights, their factors
        self._sparse: list[Any] = []
        self._loss: Any = None
        self.n_rows = self.n_batches = 0

    def fill(self, batches: Iterable[Batch], expected: int) -> Buffer:
        """Copy batches in, one behind the other, of about ``expected`` rows."""
        self.n_rows, self.n_batches, self._sparse = 0, 0, []
        for batch in batches:
            self._loss = batch.loss
            self.n_batches += 1
            n = len(batch.target)
            if isinstance(batch.x, CSR):
                self._sparse.append(batch.x)
            parts = _parts(batch, None if self._sparse else batch.x)
            for k, part in enumerate(parts):
                self._held[k] = self._with(self._held[k], part, expected)
            self.n_rows += n
        return self

    def _with(self, held: Array | None, part: Array | None, expected: int) -> Array | None:
        if part is None:
            return None
        end = self._head + self.n_rows + len(part)
        if held is None or len(held) < end:
            room = max(end, self._head + expected)
            if held is not None and self.n_rows:  # nobody knew how many rows would come
                room = max(room, len(held) * 5 // 4)
            grown = np.empty((room, *part.shape[1:]), part.dtype)
            if held is not None and self.n_rows:
                grown[: self._head + self.n_rows] = held[: self._head + self.n_rows]
            held = grown
        held[end - len(part) : end] = part
        return held

    def behind(self, left: Batch | None) -> Batch:
        """What was read, behind rows that are left over."""
        n = 0 if left is None else len(left.target)
        start, end = self._head - n, self._head + self.n_rows
        x, target, weight, factors = self._held
        if left is not None:
            for held, part in zip(self._held, _parts(left, left.x), strict=True):
                if held is not None and part is not None:
                    held[start : self._head] = part
        if self._sparse:
            rows = sparse.concatenated([*([] if left is None else [left.x]), *self._sparse])
        else:
            assert x is not None
            rows = x[start:end]
        assert target is not None
        found: Any = None if weight is None else weight[start:end]
        if factors is not None:
            found = TargetWeights(found, factors[start:end])
        return Batch(rows, target[start:end], found, self._loss)


def _parts(batch: Batch, x: Any) -> tuple[Any, ...]:
    """Arrays of a batch's rows that lie in the same order, ``None`` for what it lacks."""
    weight = batch.weight
    if isinstance(weight, TargetWeights):
        return x, batch.target, weight.rows, weight.factors
    return x, batch.target, weight, None


class Reader:
    """Fills two buffers in turn: while one is used a thread fills the other.

    Parameters
    ----------
    stream : Stream
    groups : sequence of sequences of int, sequence of arrays of row numbers, or None
        What each buffer holds: blocks, or single rows; ``None`` takes ``buffer`` blocks at a time
        as they come.
    buffer : int
    head : int
        Rows at most that are left over.
    by_rows : bool
        Whether groups are numbers of rows.
    rows : int
        Rows of a block that does not say how many it has, about.
    begin : int
        The group to begin with.

    Attributes
    ----------
    given : int
        The group that was read last.
    """

    def __init__(
        self,
        stream: Stream,
        groups: Sequence[Any] | None,
        buffer: int,
        head: int,
        by_rows: bool,
        rows: int,
        begin: int = 0,
    ) -> None:
        self._stream, self._groups, self._by_rows = stream, groups, by_rows
        self._coming = None
        if groups is None:
            self._coming = itertools.islice(stream.blocks(), begin * buffer, None)
        self._size, self._rows = buffer, rows
        if not stream.source.one_pass:  # room for the largest: a short block may come first
            every = (stream.source.rows(i) for i in range(len(stream.source)))
            self._rows = max((n for n in every if n is not None), default=rows)
        self._buffers = Buffer(head), Buffer(head)
        self._pool = ThreadPoolExecutor(1, "fastmlp-reader")
        self._next = self.given = begin
        self._filled: Future[Buffer | None] = self._pool.submit(self._fill, begin)

    def read(self, left: Batch | None) -> tuple[Batch, int] | None:
        """The next rows behind those that are left over, and how many of them are left over.

        The thread goes on with the buffer that was given before, of which nothing may be used any
        more. ``None`` where all has been read.
        """
        buffer = self._filled.result()
        while buffer is not None and not buffer.n_rows:
            self._fill_next()
            buffer = self._filled.result()
        if buffer is None:
            return None
        batch, self.given = buffer.behind(left), self._next
        self._fill_next()
        return batch, len(batch.target) - buffer.n_rows

    def _fill_next(self) -> None:
        self._next += 1
        self._filled = self._pool.submit(self._fill, self._next)

    def close(self) -> None:
        """End the thread, after the block that it is reading."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fill(self, k: int) -> Buffer | None:
        buffer, stream = self._buffers[k % 2], self._stream
        if self._coming is not None:
            coming = itertools.islice(self._coming, self._size)
            return buffer if buffer.fill(coming, self._size * self._rows).n_batches else None
        if self._groups is None or k >= len(self._groups):
            return None
        group = self._groups[k]
        if self._by_rows:
            return buffer.fill([stream.take(group)], len(group))
        return buffer.fill((stream.block(i) for i in group), len(group) * self._rows)


def row_bytes(batch: Batch) -> float:
    """Bytes of one row of a batch, with its places in orders."""
    n = max(len(batch.target), 1)
    x = batch.x
    stored = x.data.nbytes + x.indices.nbytes + x.indptr.nbytes if isinstance(x, CSR) else x.nbytes
    weight = 0 if batch.weight is None else batch.weight.nbytes
    return (stored + batch.target.nbytes + weight) / n + ORDERS


def blocks_together(stream: Stream, first: Batch) -> int:
    """Blocks of a buffer: as many as the source says, or as fit into its memory.

    Raises
    ------
    ValueError
        Where they do not fit.
    """
    source = stream.source
    largest: int = len(first.target)
    if not source.one_pass:
        largest = max((source.rows(i) or largest) for i in range(len(source)))
    block = max(largest * row_bytes(first), 1.0)
    making = source.in_the_making
    fitting = int((source.memory / block - making) // 2)
    wanted = source.buffer or fitting
    if fitting < 1 or wanted > fitting:
        needed = (2 * max(wanted, 1) + making) * block / 2**20
        raise ValueError(
            f"memory of {source.memory / 2**20:,.1f} MiB is too little for buffers of "
            f"{max(wanted, 1)} blocks of {largest:,} rows ({block / 2**20:,.1f} MiB each): at "
            f"least {needed:,.1f} MiB are needed; give more memory, or make blocks smaller"
        )
    return wanted if source.one_pass else min(wanted, len(source))
