"""Random numbers that depend on nothing but a key and a counter, and dropout made from them.

Philox4x32-10 of J. Salmon, M. Moraes, R. Dror and D. Shaw, "Parallel random numbers: as easy as
1, 2, 3" (SC 2011), with the constants of their library Random123. Which unit of which row drops out
in which step follows from the seed alone: results are equal for any backend, number of threads and
order of computation.
"""

from __future__ import annotations

import math

import numpy as np

from .._typing import Array

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85  # added to the key after each round
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: Array, key: tuple[int, int]) -> Array:
    """Four random words for each counter.

    Parameters
    ----------
    counter : (..., 4) array of uint32
    key : two integers below 2**32

    Returns
    -------
    (..., 4) array of uint32
    """
    c0, c1, c2, c3 = np.moveaxis(counter.astype(np.uint64), -1, 0)
    k0, k1 = key
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c2 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0), (p0 >> _HALF) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) % 2**32, (k1 + _WEYL[1]) % 2**32
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def kept(
    n: int, width: int, p: float, seed: int, step: int, layer: int, first_row: int = 0
) -> Array:
    """Which units are kept by dropout with probability ``p`` of dropping, a bool ``(n, width)``.

    The words of key ``(seed mod 2³², seed div 2³²)`` and counter ``(unit div 4, row, step, layer)``
    belong to four units; one is kept where its word is at least ``⌊p 2³²⌋``. ``row`` is the place
    in the batch, from ``first_row`` on, ``step`` 1 for the first (its lowest 32 bits), ``layer`` 0
    for the input.
    """
    counter = np.empty((n, -(-width // 4), 4), np.uint32)
    counter[..., 0] = np.arange(counter.shape[1])
    counter[..., 1] = np.arange(first_row, first_row + n)[:, None]
    counter[..., 2], counter[..., 3] = step % 2**32, layer
    words = philox(counter, (seed % 2**32, seed // 2**32)).reshape(n, 4 * -(-width // 4))[:, :width]
    result: Array = words >= math.floor(p * 2**32)
    return result
