"""Memory that is reserved piece by piece, in whole cache lines, and then allocated at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._machine.lines import zeros_at_line
from ..._typing import Array
from ..vector.host import LINE


def ceil(a: int, b: int) -> int:
    """``a / b``, rounded up."""
    return -(-a // b)


def address(array: Array) -> int:
    """Where the data of an array begin."""
    return int(array.__array_interface__["data"][0])


class Arena:
    """Pieces of one block of memory.

    Attributes
    ----------
    size : int
        Bytes that are reserved.
    base : int
        Address of the first piece, once memory has been allocated.
    """

    def __init__(self) -> None:
        self.size = self.base = 0

    def take(self, nbytes: int) -> int:
        """Reserve whole lines; the offset at which they begin."""
        begin = self.size
        self.size += ceil(nbytes, LINE) * LINE
        return begin

    def allocate(self) -> None:
        """Allocate what has been reserved, as zeros."""
        self._memory = zeros_at_line(self.size, np.uint8)
        self.base = address(self._memory)

    def view(self, offset: int, dtype: Any, count: int) -> Array:
        """Part of the memory as an array."""
        return np.frombuffer(self._memory, dtype, count, self.base + offset - address(self._memory))

    @property
    def nbytes(self) -> int:
        """Bytes that are allocated."""
        return self._memory.nbytes
