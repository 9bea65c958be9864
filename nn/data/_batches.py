"""Batches that somebody else makes, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from ._source import MEMORY, Source


class Batches(Source):
    """Blocks of an iterable, in the order in which they come."""

    one_pass = True

    def __init__(self, iterable: Iterable[Any]) -> None:
        if not hasattr(iterable, "__iter__"):
            raise TypeError(f"batches needs an iterable of (X, y), got {iterable!r}")
        self._iterable = iterable
        self.once = iter(iterable) is iterable
        self._begun = False
        #: An iterator from which the first batch has been taken, and that batch.
        self._peeked: tuple[Any, Iterator[Any]] | None = None

    def __len__(self) -> int:
        raise TypeError(f"{self.name} has no number of blocks: they come one after the other")

    def __getitem__(self, i: int) -> Any:
        raise TypeError(f"{self.name} has no block {i}: they come one after the other")

    def peek(self) -> Any:
        if self._peeked is None:
            iterator = self._start()
            try:
                self._peeked = _as_block(next(iterator)), iterator
            except StopIteration:
                raise ValueError(f"{self.name} gives no batches") from None
        return self._peeked[0]

    def blocks(self) -> Iterator[Any]:
        if self._peeked is not None:
            first, rest = self._peeked
            self._peeked = None
            return itertools.chain([first], map(_as_block, rest))
        return map(_as_block, self._start())

    def _start(self) -> Iterator[Any]:
        if self._begun and self.once:
            raise ValueError(
                f"{self.name} can be gone through once, and that has happened: make a new one for "
                "each epoch (a DataLoader, a class with __iter__), or train with epochs=1"
            )
        self._begun = True
        return iter(self._iterable)

    @property
    def name(self) -> str:
        return f"the {type(self._iterable).__name__}"


def batches(
    iterable: Iterable[Any], *, memory: int | str = MEMORY, buffer: int | None = None
) -> Source:
    """Batches of an iterable, such as a ``DataLoader`` of torch, one after the other.

    Each epoch goes through it once; a generator, which ends for good, serves one epoch. Rows are
    shuffled within buffers of batches, which keep the order in which they come.

    Parameters
    ----------
    iterable : iterable of (X, y) or (X, y, sample_weight)
        Arrays or tensors.
    memory : int or str, default 1 GiB
        Bytes that training holds at most, such as ``"2 GB"``.
    buffer : int, optional
        Batches whose rows are shuffled together, by default as many as fit into ``memory``.

    Returns
    -------
    Source
        Whose blocks are the batches.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, data
    >>> numbers = ((np.full((20, 2), i), np.zeros(20)) for i in range(5))
    >>> history = MLP([2, 4, 1]).fit(data.batches(numbers), epochs=1)
    """
    return Batches(iterable).held(memory, buffer)


def _as_block(batch: Any) -> Any:
    """Tensors as arrays; lists of them, as loaders give them, as tuples."""
    if not isinstance(batch, (tuple, list)):
        return batch
    return tuple(part.numpy() if hasattr(part, "detach") else part for part in batch)
