"""What a source is: blocks of rows that are read one by one, and what can be made of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._inputs import numbers

if TYPE_CHECKING:
    from ._views import Mapped

#: What is held of a source at a time unless it says otherwise, in bytes.
MEMORY = 2**30
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{unit}i": 2 ** (10 * power) for power, unit in enumerate(("k", "m", "g", "t"), 1)}


class Source(ABC):
    """Blocks of rows, each ``(X, y)`` or ``(X, y, sample_weight)``, dense or sparse.

    A subclass needs ``__len__`` and ``__getitem__``; the rest is told where it is known. A block is
    read whenever it is asked for, by one thread at a time.

    Attributes
    ----------
    memory : int
        Bytes that training on the source holds of it at most: the buffer that is trained on, the
        next one, and the block that is being converted.
    buffer : int or None
        Blocks whose rows are shuffled together; ``None`` takes as many as fit into ``memory``.
    by_rows : bool
        Whether :meth:`take` reads rows in any order, which ``shuffle="rows"`` needs.
    one_pass : bool
        Whether blocks only come one after the other, so that :meth:`blocks` alone reads them.
    once : bool
        Whether even that works for one epoch only.
    """

    memory: int = MEMORY
    buffer: int | None = None
    #: Blocks that lie in memory while one is read and converted.
    in_the_making = 2
    by_rows = False
    one_pass = False
    once = False

    @abstractmethod
    def __len__(self) -> int:
        """Number of blocks."""

    @abstractmethod
    def __getitem__(self, i: int) -> Any:
        """Block ``i``: ``(X, y)`` or ``(X, y, sample_weight)``."""

    def rows(self, i: int) -> int | None:
        """Rows of block ``i``, where that is known without reading it.

        Parameters
        ----------
        i : int
            From 0.

        Returns
        -------
        int or None
            ``None`` where it is not known.
        """
        return None

    @property
    def n_rows(self) -> int | None:
        """All rows, where that is known without reading them."""
        if self.one_pass:
            return None
        counts = [self.rows(i) for i in range(len(self))]
        return None if None in counts else sum(count or 0 for count in counts)

    def place(self, i: int) -> str:
        """Where block ``i`` lies, for people: a file and its rows.

        Parameters
        ----------
        i : int
            From 0.

        Returns
        -------
        str
            For messages.
        """
        return f"block {i} of {self.name}"

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        return "the source"

    def take(self, rows: Any) -> Any:
        """Rows by their numbers, in this order, as a block.

        Parameters
        ----------
        rows : (k,) array of int
            Numbers of rows, from 0.

        Returns
        -------
        tuple of arrays
            ``(X, y)`` or ``(X, y, sample_weight)``, as of a block.

        Raises
        ------
        NotImplementedError
            Where it can only be read block by block.
        """
        raise NotImplementedError(f"{self.name} cannot be read row by row")

    def blocks(self) -> Iterator[Any]:
        """All blocks, one after the other.

        Returns
        -------
        iterator of tuples of arrays
            ``(X, y)`` or ``(X, y, sample_weight)`` each.
        """
        return (self[i] for i in range(len(self)))

    def peek(self) -> Any:
        """The first block, which stays the first of :meth:`blocks`.

        Returns
        -------
        tuple of arrays
            ``(X, y)`` or ``(X, y, sample_weight)``.
        """
        return self[0]

    def map(self, function: Callable[..., tuple[Any, ...]], *, same_rows: bool = True) -> Mapped:
        """A source whose blocks are ``function(X, y)``, or ``function(X, y, sample_weight)``.

        Parameters
        ----------
        function : callable
            Gives ``(X, y)`` or ``(X, y, sample_weight)``. It runs in the thread that reads.
        same_rows : bool, default True
            Whether a block keeps its number of rows; a function that leaves rows out says False.

        Returns
        -------
        Source
            Which reads this one.
        """
        from ._views import Mapped

        return Mapped(self, function, same_rows)

    def split(
        self,
        share: float,
        *,
        random_state: int | np.random.Generator | None = None,
        by: Literal["rows", "blocks"] = "rows",
    ) -> tuple[Source, Source]:
        """Set a share of the rows apart: the other rows, and those.

        Parameters
        ----------
        share : float
            Between 0 and 1.
        random_state : int, numpy.random.Generator or None
            Seed of the draws; the same seed gives the same parts.
        by : {"rows", "blocks"}, default "rows"
            Rows are drawn one by one, each with this probability, and both parts read all blocks;
            or whole blocks are drawn, which reads each once and suits files in random order.

        Returns
        -------
        tuple of two sources
            The other rows, and the share.
        """
        from ._views import split

        return split(self, share, random_state, by)

    def held(self, memory: int | str | None = None, buffer: int | None = None) -> Source:
        """Set how much is held at a time, and return the source.

        Parameters
        ----------
        memory : int or str, optional
            Bytes that training holds at most, such as ``"2 GB"``.
        buffer : int, optional
            Blocks whose rows are shuffled together.

        Returns
        -------
        Source
            This one.
        """
        if memory is not None:
            self.memory = bytes_of(memory)
        if buffer is not None:
            self.buffer = numbers.count("buffer", buffer, 1)
        return self

    def __repr__(self) -> str:
        n = self.n_rows
        rows = "" if n is None else f", {n:,} rows"
        blocks = "one pass" if self.one_pass else f"{len(self):,} blocks"
        held = "" if self.buffer is None else f", buffers of {self.buffer} blocks"
        return f"<{self.name}: {blocks}{rows}; memory {self.memory / 2**20:,.0f} MiB{held}>"


class Given(Source):
    """An object with ``len(source)`` and ``source[i]`` that knows nothing else."""

    def __init__(self, blocks: Any) -> None:
        self._blocks = blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, i: int) -> Any:
        return self._blocks[i]

    @property
    def name(self) -> str:
        return f"the {type(self._blocks).__name__}"


def as_source(value: Any) -> Source:
    """The source that an object is, or can be taken for.

    Raises
    ------
    TypeError
        Where it has no blocks.
    """
    if isinstance(value, Source):
        return value
    if hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        if not isinstance(value, np.ndarray) and not hasattr(value, "dtypes"):
            return Given(value)
    elif hasattr(value, "__iter__"):
        from ._batches import Batches

        return Batches(value)
    raise TypeError(
        "y is missing: without it X must be a source of blocks (X, y), with len(X) and X[i], see "
        f"fastmlp.data; got {type(value).__name__}"
    )


def bytes_of(memory: int | str) -> int:
    """A number of bytes, from itself or text such as ``"500 MB"`` or ``"2 GiB"``."""
    if isinstance(memory, str):
        found = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]?i?)b?\s*", memory.lower())
        if found is None or found[2] not in _UNITS:
            raise ValueError(f"memory must be bytes, or text such as '2 GB', got {memory!r}")
        memory = int(float(found[1]) * _UNITS[found[2]])
    return numbers.count("memory", memory, 1)
