"""What keeps sums of many rows exact, and NumPy quiet about infinities that are results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .._typing import Array

#: Rows that are summed in the arrays' own precision; sums of such blocks are added in float64.
BLOCK = 1024

_Function = TypeVar("_Function", bound=Callable[..., Any])


def quiet(function: _Function) -> _Function:
    """A function that neither warns nor raises where it overflows or meets NaN.

    The engines that run without Python do not either, whatever ``numpy.errstate`` says.
    """

    @functools.wraps(function)
    def silent(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return silent  # type: ignore[return-value]


def sum_of_rows(rows: Array) -> Array:
    """``Σ_i rows_i`` in float64."""
    result: Array = rows.sum(axis=0, dtype=np.float64)
    return result


def sum_of_products(x: Array, delta: Array) -> Array:
    """``xᵀ δ``, a block of rows after the other, so that errors do not grow with their number."""
    if len(x) <= BLOCK or x.dtype == np.float64:
        result: Array = x.T @ delta
        return result
    total = np.zeros((x.shape[1], delta.shape[1]), np.float64)
    for start in range(0, len(x), BLOCK):
        total += x[start : start + BLOCK].T @ delta[start : start + BLOCK]
    return total
