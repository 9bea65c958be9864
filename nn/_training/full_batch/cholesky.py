"""Symmetric positive definite systems, by scipy's LAPACK where it is installed, else by NumPy."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..._typing import Array


@functools.cache
def _lapack() -> Any:
    """LAPACK of scipy, or ``None``."""
    try:
        from scipy.linalg import lapack  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    return lapack


def solve(matrix: Array, right: Array) -> Array | None:
    """The solution of ``matrix @ x = right``, or ``None`` where it is not positive definite."""
    lapack = _lapack()
    result: Array
    if lapack is not None:
        _, result, info = lapack.dposv(matrix.T, right, lower=1)  # in LAPACK's order as it is
        return result if info == 0 and np.isfinite(result).all() else None
    try:
        factor = np.linalg.cholesky(matrix)
        result = np.linalg.solve(factor.T, np.linalg.solve(factor, right))
    except np.linalg.LinAlgError:
        return None
    return result if np.isfinite(result).all() else None


def trace_of_inverse(matrix: Array) -> float | None:
    """``tr matrix⁻¹``, or ``None`` where the matrix is not positive definite."""
    lapack = _lapack()
    if lapack is not None:
        factor, info = lapack.dpotrf(matrix, lower=1)
        if info == 0:
            factor, info = lapack.dpotri(factor, lower=1)
        return float(factor.trace()) if info == 0 else None
    try:
        half = np.linalg.inv(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        return None
    return float(np.square(half).sum())
