"""A run through a source: an epoch is a sequence of buffers, the optimizer's state carried on.

Rows are shuffled as CorgiPile does it (L. Xu and others, "In-Database Machine Learning with
CorgiPile: Stochastic Gradient Descent without Full Data Shuffle", SIGMOD 2022): the blocks are
visited in a random order, so many of them at a time as fit into a buffer, and the rows of a buffer
in a random order. Rows of a buffer that do not fill a batch come first in the next one, so that all
batches but an epoch's last are whole, and without shuffling every step is that of an array.

What an epoch's orders are follows from the generator alone, before anything is read: the speed of
reading changes nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._network.batch import Batch
from .._training.place import batch_of, packed
from .._training.run import Run
from .._typing import Array
from .reading import Reader, blocks_together, row_bytes
from .stream import ENDLESS, Stream


@dataclass(eq=False)
class StreamRun(Run):
    """See :class:`~fastmlp._training.run.Run`; ``batch`` is the first block.

    Attributes
    ----------
    stream : Stream
        All training rows.
    by_rows : bool
        Whether single rows are shuffled, over all of the source.
    order : (n_blocks,) or (n_rows,) array, or None
        Order of the blocks, or of the rows, in the last epoch.
    """

    stream: Stream = None  # type: ignore[assignment]
    by_rows: bool = False
    in_memory: ClassVar[bool] = False

    def start(self) -> None:
        self.together = blocks_together(self.stream, self.batch)
        super().start()

    @property
    def n_rows(self) -> int:
        """Rows of an epoch; where nobody knows, more than there can be."""
        known = self.stream.n_rows
        return ENDLESS if known is None else known

    def first_order(self) -> Array | None:
        if self.stream.source.one_pass:
            return None
        n = self.stream.count() if self.by_rows else len(self.stream.source)
        return np.arange(n, dtype=np.intp)

    def stretches(self) -> Generator[tuple[Batch, Array | None], None, None]:
        """Buffers, each whole steps but the last, which is what is left."""
        found = self.place.where if self.place.resumed else None
        seed, begin = (found["seed"], found["group"]) if found else (self._shuffled(), 0)
        reader = Reader(
            self.stream,
            self._groups(),
            self.together,
            self.batch_size - 1,
            self.by_rows,
            len(self.batch.target),
            begin,
        )
        left, k = self._begun_with(found) if found else (None, 0)
        try:
            while (read := reader.read(left)) is not None:
                batch, n_left = read
                place = {"seed": seed, "k": k, "group": reader.given, "together": self.together}
                self.place.where = {**place, "left": packed(left)} if self.keep else None
                order = np.arange(len(batch.target), dtype=np.intp)
                if seed is not None:
                    drawn = np.random.default_rng([seed, k]).permutation(len(order) - n_left)
                    order[n_left:] = drawn + n_left
                whole = len(order) - len(order) % self.batch_size
                if whole:
                    yield batch, order[:whole]
                left = batch.take(order[whole:]) if whole < len(order) else None
                k += 1
        finally:
            reader.close()
        if left is not None:
            self.place.where = None
            yield left, None

    def _begun_with(self, where: dict[str, Any]) -> tuple[Batch | None, int]:
        """The rows left over before the first buffer of an epoch that goes on, and its number."""
        if where["together"] != self.together:
            raise ValueError(
                f"the run to resume has buffers of {where['together']} blocks, got "
                f"{self.together}: give the source as much memory as before"
            )
        n_in = self.batch.x.shape[1]
        return batch_of(where["left"], n_in, self.parameters.dtype, self.batch.loss), where["k"]

    def _shuffled(self) -> int | None:
        """Shuffle the order of the epoch before; return what the rows of buffers are drawn with."""
        generator = self.generator
        if generator is None:
            return None
        if self.order is not None:
            generator.shuffle(self.order)
        if self.by_rows:
            return None
        if isinstance(generator, np.random.RandomState):
            return int(generator.randint(2**31))
        return int(generator.integers(2**63))

    def _groups(self) -> Sequence[Any] | None:
        """Blocks, or rows, of each buffer in the order of this epoch."""
        source = self.stream.source
        if source.one_pass:
            return None
        order = np.arange(len(source)) if self.order is None else self.order
        size = self.together
        if self.by_rows:
            block = max(len(self.batch.target), 1)
            size = max(1, self.together * block // self.batch_size) * self.batch_size
        return [order[at : at + size] for at in range(0, len(order), size)]

    @property
    def held(self) -> int:
        """Bytes of two buffers, about."""
        return int(2 * self.together * len(self.batch.target) * row_bytes(self.batch))
