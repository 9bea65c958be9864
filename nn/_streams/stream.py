"""Rows of a source as the engine takes them: blocks read, checked, converted, and their places.

A source is what :mod:`fastmlp.data` describes. Here its blocks become :class:`Batch` objects, and
whatever is wrong with one is said with the place where it lies.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp.kernels import CSR

from .._inputs import sparse, weights
from .._network.batch import Batch
from .._typing import Array

if TYPE_CHECKING:
    from .._network.network import Network
    from ..data import Source

#: In the place of a number of rows that nobody knows.
ENDLESS = sys.maxsize // 2
#: Turns the parts of a block (rows, targets, weights or ``None``) into what is trained on.
Convert = Callable[[Any, Any, Any], Batch]


class Stream:
    """A source through which a network or an estimator goes.

    Parameters
    ----------
    source : Source
    convert : function
        Checks and converts a block.
    n_rows : int, optional
        All rows, where they were counted before.
    """

    def __init__(self, source: Source, convert: Convert, n_rows: int | None = None) -> None:
        self.source, self._convert = source, convert
        self._shape: tuple[Any, ...] | None = None
        self._n_rows = source.n_rows if n_rows is None else n_rows
        if not source.one_pass and len(source) == 0:
            raise ValueError(f"{source.name} has no blocks")

    @property
    def n_rows(self) -> int | None:
        """All rows, where they are known."""
        return self._n_rows

    def __len__(self) -> int:
        return self.count()

    def block(self, i: int) -> Batch:
        """Block ``i``, read and checked."""
        batch: Batch = self._checked(lambda: self.source[i], i, self.source.rows(i))
        return batch

    def take(self, rows: Array) -> Batch:
        """Rows in this order."""
        batch: Batch = self._checked(lambda: self.source.take(rows), None, len(rows))
        return batch

    def blocks(self) -> Iterator[Batch]:
        """All blocks, one after the other."""
        if not self.source.one_pass:
            yield from (self.block(i) for i in range(len(self.source)))
            return
        iterator = self.source.blocks()
        end = object()
        i = 0
        while True:
            batch = self._checked(lambda: next(iterator, end), i, None, end)
            if batch is None:
                return
            yield batch
            i += 1

    def first(self) -> Batch:
        """Block 0, which says what the others must be like."""
        batch: Batch = self._checked(self.source.peek, 0, None)
        return batch

    def again(self) -> None:
        """Raise ``ValueError`` where blocks cannot be read beside training."""
        if self.source.one_pass:
            raise ValueError(
                f"{self.source.name} is read in one pass, while training: what looks at all rows "
                "before or beside it (metrics of the training rows, validation, "
                "class_weight='balanced', schedules) needs a source whose blocks can be read again"
            )

    def count(self) -> int:
        """Count all rows, by reading them where the source does not know."""
        if self._n_rows is None:
            self.again()
            self._n_rows = sum(len(batch.target) for batch in self.blocks())
        return self._n_rows

    def _checked(
        self, read: Callable[[], Any], i: int | None, n: int | None, end: Any = None
    ) -> Any:
        place = self.source.place(i) if i is not None else f"rows of {self.source.name}"
        try:
            block = read()
            if block is end and end is not None:
                return None
            x, y, weight = parts_of(block)
            if y is None:
                raise ValueError("a block to train on is (X, y) or (X, y, sample_weight), got rows")
            batch = self._convert(x, y, weight)
            self._check_like_first(batch)
            if n is not None and len(batch.target) != n:
                raise ValueError(f"{n} rows were announced, {len(batch.target)} came")
        except (ValueError, TypeError, OSError) as error:
            raise _placed(error, place) from error
        except Exception as error:  # of somebody's function: its own kind says more
            error.add_note(f"in {place}")
            raise
        return batch

    def _check_like_first(self, batch: Batch) -> None:
        kind = (
            isinstance(batch.x, CSR),
            batch.target.ndim,
            weights.kind(batch.weight),
        )
        if self._shape is None:
            self._shape = kind
        names = ("sparse rows", "dimensions of y", "sample weights")
        for name, now, before in zip(names, kind, self._shape, strict=True):
            if now != before:
                raise ValueError(f"unlike the block read first: {name} {now}, not {before}")


class StreamBatch:
    """All rows of a stream in the place of a :class:`Batch`: read again for whatever is asked.

    Targets and weights are held in memory once they are asked for.
    """

    def __init__(self, stream: Stream, loss: Any, first: Batch | None = None) -> None:
        self.stream, self.loss = stream, loss
        self._first = first
        self._labels: tuple[Array, Any] | None = None

    @classmethod
    def of(cls, stream: Stream) -> StreamBatch:
        """All rows of a stream, of which the first block is read and checked."""
        first = stream.first()
        return cls(stream, first.loss, first)

    @property
    def first(self) -> Batch:
        """The first block."""
        if self._first is None:
            self._first = self.stream.first()
        return self._first

    @property
    def n_rows(self) -> int:
        """How many there are; where nobody knows, more than there can be."""
        known = self.stream.n_rows
        return ENDLESS if known is None else known

    @property
    def x(self) -> Stream:
        """What stands for the rows."""
        return self.stream

    def take(self, rows: Array) -> StreamBatch:
        """All of them: what takes them one after the other makes one step with all."""
        return self

    def _gathered(self) -> tuple[Array, Any]:
        if self._labels is None:
            self.stream.again()
            found = [(batch.target, batch.weight) for batch in self.stream.blocks()]
            given = [weight for _, weight in found if weight is not None]
            self._labels = (
                np.concatenate([target for target, _ in found]),
                weights.concatenated(given) if given else None,
            )
        return self._labels

    @property
    def target(self) -> Array:
        """All targets."""
        return self._gathered()[0]

    @property
    def weight(self) -> Any:
        """Weights of all rows."""
        return self._gathered()[1]

    def rows(self, chosen: Array) -> Any:
        """Some rows, in ascending order, from the blocks that they lie in."""
        found, start = [], 0
        for i in range(len(self.stream.source)):
            n = self.stream.source.rows(i)
            if n is not None and not np.any((chosen >= start) & (chosen < start + n)):
                start += n
                continue
            batch = self.stream.block(i)
            n = len(batch.target)
            here = chosen[(chosen >= start) & (chosen < start + n)] - start
            found.append(sparse.take(batch.x, here))
            start += n
        return sparse.concatenated(found)

    def predict(self, network: Network) -> Array:
        """Outputs for all rows."""
        return np.concatenate([batch.predict(network) for batch in self.stream.blocks()])

    def mean_loss(self, network: Network) -> float:
        """Mean loss of all rows."""
        total = summed = 0.0
        for batch in self.stream.blocks():
            share = weight_of(batch)
            if share:
                total += share * batch.mean_loss(network)
                summed += share
        return total / summed if summed else 0.0


def weight_of(batch: Batch) -> float:
    """Total weight of its rows."""
    if batch.weight is None:
        return float(len(batch.target))
    return float(batch.weight.sum(dtype=np.float64))


def parts_of(block: Any) -> tuple[Any, Any, Any]:
    """Rows, targets and weights of a block, ``None`` for what it lacks."""
    if not isinstance(block, (tuple, list)):
        return block, None, None
    if len(block) not in (1, 2, 3):
        raise ValueError(f"a block is (X, y) or (X, y, sample_weight), got {len(block)} items")
    x, y, weight = (*block, None, None)[:3]
    return x, y, weight


def network_stream(
    network: Network, source: Source, loss: Any, weigh: Callable[..., Any] | None = None
) -> Stream:
    """Blocks for a network: checked as the arguments of its ``fit`` are.

    Parameters
    ----------
    loss : object
        What ``network._loss`` gives.
    weigh : function, optional
        ``weigh(target, weight)`` gives the weights of rows with those of their classes.
    """

    def convert(x: Any, y: Any, weight: Any) -> Batch:
        # Single blocks may hold nothing that counts; all together may not, as elsewhere.
        x, target, found, spec = network._batch(x, y, loss, weight, training=True, block=True)
        return Batch(x, target, found if weigh is None else weigh(target, found), spec)

    return Stream(source, convert)


def _placed(error: Exception, place: str) -> Exception:
    """The same kind of error, which begins with the place."""
    text = f"{place}: {error}"
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(text)
    if isinstance(error, OSError):
        return OSError(text)
    return TypeError(text) if isinstance(error, TypeError) else ValueError(text)
