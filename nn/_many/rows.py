"""The rows of one network in arrays that all share: taken as they are where that can be."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._inputs import sparse
from .._network.batch import Batch
from .._typing import Array

#: Some rows are visited where they are, unless they are fewer than one in so many: then a copy of
#: them, while the network is trained, is smaller than what each call has to look through.
FEW = 4


def indices(rows: Any, n: int, which: int) -> Array | slice | None:
    """Rows of network ``which``, checked: ``None`` for all of ``n``, a slice, or ``intp`` numbers.

    Raises
    ------
    TypeError, ValueError
        Where they are no rows of the arrays, or none at all.
    """
    name = f"rows of network {which}"
    if rows is None:
        return None
    if isinstance(rows, slice):
        numbers = range(n)[rows]
        if numbers.step != 1:
            return indices(np.arange(n, dtype=np.intp)[rows], n, which)
        if not numbers:
            raise ValueError(f"{name} are none: {rows}")
        return slice(numbers.start, numbers.stop)
    found = np.asarray(rows)
    if found.ndim != 1 or not (found.dtype.kind in "iub" or found.size == 0):
        raise TypeError(
            f"{name} must be a slice, whole numbers or one bool for each row, got an array of "
            f"{found.dtype} with shape {found.shape}"
        )
    if found.dtype.kind == "b":
        if len(found) != n:
            raise ValueError(f"{name} must hold one bool for each of {n} rows, got {len(found)}")
        found = np.flatnonzero(found)
    if not found.size:
        raise ValueError(f"{name} are none: a network needs a row to learn from")
    low, high = int(found.min()), int(found.max())
    if low < 0 or high >= n:
        raise ValueError(f"{name} must lie in 0…{n - 1}, got {low}…{high}")
    found = found.astype(np.intp, copy=False)
    if high - low + 1 == len(found) and np.all(np.diff(found) == 1):
        return slice(low, high + 1)
    return found


def part(batch: Batch, rows: Array | slice | None, copied: bool) -> tuple[Batch, Array | None]:
    """The batch of a network, and which of its rows are visited (``None`` for all).

    Parameters
    ----------
    batch : Batch
        The shared rows.
    copied : bool
        Whether somebody looks at the batch itself, which must then hold no other rows.
    """
    if rows is None:
        return batch, None
    if isinstance(rows, slice):
        weight = None if batch.weight is None else batch.weight[rows]
        part = Batch(sparse.part(batch.x, rows), batch.target[rows], weight, batch.loss)
    elif copied or len(rows) * FEW < len(batch.target):
        part = batch.take(rows)
    else:
        if batch.weight is not None:
            _check_weight(batch.weight[rows])
        return batch, rows
    if part.weight is not None:
        _check_weight(part.weight)
    return part, None


def _check_weight(weight: Array) -> None:
    if not weight.any():
        raise ValueError("sample_weight must not be zero for every row of a network")
