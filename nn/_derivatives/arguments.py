"""Arguments of derivatives: checked, and in the shape in which they are computed with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR, TargetWeights

from .._inputs import arrays, numbers
from .._network import blocks
from .._typing import Array

#: Numbers of sparse rows that are unpacked at a time.
UNPACKED = 1 << 18
#: Bytes that an array made of all parameters may take.
MOST_BYTES = 1 << 32


def dense(x: Any, rows: slice) -> Array:
    """Some rows as an array."""
    if not isinstance(x, CSR):
        part: Array = x[rows]
        return part
    out = np.zeros((rows.stop - rows.start, x.shape[1]), x.data.dtype)
    starts = x.indptr[rows.start : rows.stop + 1]
    entries = slice(int(starts[0]), int(starts[-1]))
    of_row = np.repeat(np.arange(len(out)), np.diff(starts))
    np.add.at(out, (of_row, x.indices[entries]), x.data[entries])  # an entry may stand twice
    return out


def blocks_of_rows(
    architecture: kernels.Architecture, x: Any, sweeps: int
) -> Iterator[tuple[slice, Array]]:
    """Blocks of rows, between which Ctrl-C is answered; sparse ones are unpacked.

    ``sweeps`` is how often each row goes through the network.
    """
    block = max(1, blocks.rows_of_block(architecture) // sweeps)
    if isinstance(x, CSR):
        block = min(block, max(64, UNPACKED // x.shape[1]))
    for begin in range(0, len(x), block):
        rows = slice(begin, min(begin + block, len(x)))
        yield rows, dense(x, rows)


def shares(n: int, weight: Array | TargetWeights | None) -> Array:
    """What each row's loss is multiplied by in the mean, ``(n, 1)``, or that of each target.

    ``(n, n_targets)`` in float64 for the latter.
    """
    if isinstance(weight, TargetWeights):
        of_targets: Array = weight.astype(np.float64).products / weight.sum(np.float64)
        return of_targets
    share = np.ones(n) if weight is None else weight.astype(np.float64)
    result: Array = (share / share.sum())[:, None]
    return result


def targets(n: int, n_out: int, weight: Array | TargetWeights | None) -> float:
    """How many targets ``n`` rows have, where some count less than the most of their row."""
    if not isinstance(weight, TargetWeights):
        return float(n * n_out)
    return n * float(shares(n, weight).sum())


def affordable(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The shape; ``MemoryError`` that says how much it takes where that is too much."""
    size = math.prod(shape) * itemsize
    if size > MOST_BYTES:
        raise MemoryError(
            f"an array of shape {shape} takes {size / 2**30:.1f} GiB, and at most "
            f"{MOST_BYTES >> 30} are allowed here"
        )
    return shape


def layer(value: Any, n: int) -> int:
    """The place of a layer, which may be counted from the end."""
    place = numbers.integer("layer", value)
    if not -n <= place < n:
        raise ValueError(f"layer must lie in {-n}…{n - 1}, 0 being the input, got {value}")
    return place % n


def like(value: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array of exactly this shape."""
    array = arrays.numeric(value, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return np.ascontiguousarray(array, dtype)
