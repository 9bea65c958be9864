"""Products with rows in compressed sparse form, by loops over their stored entries.

Nothing is ever written out densely: a row costs what it stores, not its width.
"""

from __future__ import annotations

import numpy as np

from .._specs import CSR
from .._typing import Array
from .numerics import sum_of_products


def take(x: Array | CSR, rows: Array) -> Array | CSR:
    """The rows of those numbers, in their order."""
    if not isinstance(x, CSR):
        return x[rows]
    parts = [np.arange(x.indptr[row], x.indptr[row + 1]) for row in rows]
    entries = np.concatenate(parts) if parts else np.empty(0, np.intp)
    indptr = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return CSR(x.data[entries], x.indices[entries], indptr, (len(rows), x.shape[1]))


def places(x: CSR) -> tuple[Array, Array]:
    """Row and column of every stored entry."""
    rows = np.repeat(np.arange(len(x)), np.diff(x.indptr))
    return rows, x.indices[: x.indptr[-1]]


def product(x: Array | CSR, weights: Array) -> Array:
    """``x W``."""
    if not isinstance(x, CSR):
        result: Array = x @ weights
        return result
    out = np.zeros((len(x), weights.shape[1]), weights.dtype)
    for row, (start, stop) in enumerate(zip(x.indptr[:-1], x.indptr[1:], strict=True)):
        out[row] = x.data[start:stop] @ weights[x.indices[start:stop]]
    return out


def transposed_product(x: Array | CSR, delta: Array) -> Array:
    """``xᵀ δ``."""
    if not isinstance(x, CSR):
        return sum_of_products(x, delta)
    out = np.zeros((x.shape[1], delta.shape[1]), np.float64)
    for row, (start, stop) in enumerate(zip(x.indptr[:-1], x.indptr[1:], strict=True)):
        np.add.at(out, x.indices[start:stop], np.outer(x.data[start:stop], delta[row]))
    return out
