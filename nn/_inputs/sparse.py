"""Sparse rows: from scipy's matrices to the engine's, which computes on the stored values only."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels

from .._typing import Array


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a matrix or array of ``scipy.sparse``, or the kernels' own."""
    return isinstance(x, kernels.CSR) or (hasattr(x, "tocsr") and hasattr(x, "nnz"))


def for_engine(x: Any, dtype: Any) -> Any:
    """Rows as the engine takes them: an array, or ``kernels.CSR``, of this dtype."""
    if not is_sparse(x):
        return x.astype(dtype, copy=False)
    rows = x if isinstance(x, kernels.CSR) else x.tocsr()
    data = rows.data.astype(dtype, copy=False)
    shape = (int(rows.shape[0]), int(rows.shape[1]))
    return kernels.CSR(data, rows.indices, rows.indptr, shape)


def take(x: Any, rows: Array) -> Any:
    """Some rows of an array, sparse matrix or ``kernels.CSR``, in this order."""
    if isinstance(x, kernels.CSR):
        counts = x.indptr[rows + 1] - x.indptr[rows]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        entries = np.repeat(x.indptr[rows] - indptr[:-1], counts) + np.arange(indptr[-1])
        return kernels.CSR(x.data[entries], x.indices[entries], indptr, (len(rows), x.shape[1]))
    return x.tocsr()[rows] if is_sparse(x) else x[rows]


def part(x: Any, rows: slice) -> Any:
    """Rows that follow each other, of an array or ``kernels.CSR``."""
    if not isinstance(x, kernels.CSR):
        return x[rows]
    start, stop, _ = rows.indices(len(x))
    first, last = int(x.indptr[start]), int(x.indptr[stop])
    entries = slice(first, last)
    indptr = x.indptr[start : stop + 1] - x.indptr[start]
    return kernels.CSR(x.data[entries], x.indices[entries], indptr, (stop - start, x.shape[1]))


def concatenated(parts: list[Any]) -> Any:
    """Rows of several arrays, or of several ``kernels.CSR``, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    if not isinstance(parts[0], kernels.CSR):
        return np.concatenate(parts)
    starts = np.cumsum([0, *(int(x.indptr[-1]) for x in parts)])
    indptr = [x.indptr[:-1] + start for x, start in zip(parts, starts, strict=False)]
    return kernels.CSR(
        np.concatenate([x.data[: x.indptr[-1]] for x in parts]),
        np.concatenate([x.indices[: x.indptr[-1]] for x in parts]),
        np.concatenate([*indptr, starts[-1:]]),
        (sum(len(x) for x in parts), parts[0].shape[1]),
    )
