"""Sums of second order, ``JᵀJ`` from the layers' inputs and errors, and systems of equations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _checks
from .._typing import Array
from .numerics import quiet


@quiet
def gauss_newton(
    inputs: Sequence[Array],
    errors: Sequence[Array],
    residuals: Array | None = None,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    layers, out = _checks.gauss_newton(inputs, errors, residuals, out, n_threads)
    n, k, _ = layers[0][1].shape
    jacobian = np.empty((n * k, len(out)))
    for a, delta, weights, bias in layers:
        n_in, n_out = a.shape[1], delta.shape[2]
        products = a.astype(np.float64)[:, None, :, None] * delta[:, :, None, :]
        jacobian[:, weights : weights + n_in * n_out] = products.reshape(n * k, n_in * n_out)
        jacobian[:, bias : bias + n_out] = delta.reshape(n * k, n_out)
    out += jacobian.T @ jacobian
    return out


def solve_positive(matrix: Array, right: Array) -> Array | None:
    _checks.system(matrix, right)
    try:
        lower = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    if not (lower.diagonal() > 0).all():  # NaN, which LAPACK lets through
        return None
    found: Array = np.linalg.solve(lower.T, np.linalg.solve(lower, right))
    return found


def most_equations() -> int:
    return 0
