"""Arrays that begin with a cache line."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array

#: Bytes of a cache line.
LINE = 64


def zeros_at_line(count: int, dtype: Any) -> Array:
    """``count`` zeros, of which the first begins a cache line.

    NumPy's own arrays mostly begin 16 bytes behind one, so that every second vector of 32 bytes,
    and every one of 64, lies in two lines.
    """
    dtype = np.dtype(dtype)
    room = np.zeros(count + LINE // dtype.itemsize, dtype)
    begin = -room.__array_interface__["data"][0] % LINE // dtype.itemsize
    return room[begin : begin + count]
