"""Sources made of another: its blocks changed by a function, or a share of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from .._inputs import numbers, sparse
from .._typing import Array
from ._source import Source


class _View(Source):
    """A source that reads from another."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.memory, self.buffer = source.memory, source.buffer
        self.one_pass, self.once = source.one_pass, source.once
        self.in_the_making = source.in_the_making

    def __len__(self) -> int:
        return len(self._source)

    @property
    def name(self) -> str:
        return self._source.name

    def place(self, i: int) -> str:
        return self._source.place(i)


class Mapped(_View):
    """Blocks changed by a function."""

    def __init__(
        self, source: Source, function: Callable[..., tuple[Any, ...]], same_rows: bool
    ) -> None:
        if not callable(function):
            raise TypeError(f"map needs a function of (X, y), got {function!r}")
        super().__init__(source)
        self._function, self._same_rows = function, same_rows

    def __getitem__(self, i: int) -> Any:
        return self._function(*self._source[i])

    def rows(self, i: int) -> int | None:
        return self._source.rows(i) if self._same_rows else None

    def peek(self) -> Any:
        return self._function(*self._source.peek())

    def blocks(self) -> Iterator[Any]:
        return (self._function(*block) for block in self._source.blocks())


class Part(_View):
    """A share of the rows of a source.

    Parameters
    ----------
    source : Source
    seed : int
        Says with the number of a block which of its rows are drawn.
    share : float
    drawn : bool
        Whether this is the part of the rows that are drawn, or of the others.
    """

    def __init__(self, source: Source, seed: int, share: float, drawn: bool) -> None:
        super().__init__(source)
        self._seed, self._share, self._drawn = seed, share, drawn

    def _chosen(self, i: int, n: int) -> Array:
        chance = np.random.default_rng([self._seed, i]).random(n)
        return np.flatnonzero((chance < self._share) == self._drawn)

    def _of(self, i: int, block: Any) -> Any:
        rows = self._chosen(i, np.shape(block[0])[0])
        return tuple(sparse.take(part, rows) for part in map(_indexable, block))

    def __getitem__(self, i: int) -> Any:
        return self._of(i, self._source[i])

    def rows(self, i: int) -> int | None:
        n = self._source.rows(i)
        return None if n is None else len(self._chosen(i, n))

    def place(self, i: int) -> str:
        return f"{self._source.place(i)} ({'a' if self._drawn else 'the other'} part of its rows)"

    def peek(self) -> Any:
        return self._of(0, self._source.peek())

    def blocks(self) -> Iterator[Any]:
        return (self._of(i, block) for i, block in enumerate(self._source.blocks()))


class Some(_View):
    """Some blocks of a source."""

    def __init__(self, source: Source, chosen: list[int]) -> None:
        super().__init__(source)
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, i: int) -> Any:
        return self._source[self._chosen[i]]

    def rows(self, i: int) -> int | None:
        return self._source.rows(self._chosen[i])

    def place(self, i: int) -> str:
        return self._source.place(self._chosen[i])


def split(
    source: Source,
    share: float,
    random_state: int | np.random.Generator | None,
    by: Literal["rows", "blocks"],
) -> tuple[Part | Some, Part | Some]:
    """The other rows of a source, and a share of them; see :meth:`Source.split`."""
    if by not in ("rows", "blocks"):
        raise ValueError(f"by must be 'rows' or 'blocks', got {by!r}")
    share = numbers.number("share", share)
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, got {share}")
    generator = np.random.default_rng(random_state)
    if by == "rows":
        seed = int(generator.integers(2**63))
        return Part(source, seed, share, False), Part(source, seed, share, True)
    if source.one_pass:
        raise ValueError("by='blocks' needs blocks that can be read in any order; use by='rows'")
    order = generator.permutation(len(source))
    n = max(1, round(share * len(order)))
    if n >= len(order):
        raise ValueError(
            f"a share of {share} leaves none of the {len(order)} blocks; use by='rows'"
        )
    return Some(source, sorted(order[n:].tolist())), Some(source, sorted(order[:n].tolist()))


def _indexable(part: Any) -> Any:
    """Rows that can be taken by their numbers."""
    return part if sparse.is_sparse(part) else np.asarray(part)
