"""Symmetric positive definite systems, by factors ``L Lᵀ`` made block by block.

Whole systems are solved by the live backend, where it has a Cholesky of its own. Elsewhere, and for
who wants the factor, diagonal blocks are LAPACK's, of scipy where it is installed, else of NumPy;
all products are the kernels'. LAPACK alone would hand systems of some hundred equations to the
threads of its BLAS, which wait for each other in loops: where other programs are busy, 200
equations then take 60 to 100 ms of both cores in the place of half a millisecond.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from fastmlp import kernels

from ..._inputs.arrays import all_finite
from ..._typing import Array

#: Equations that LAPACK solves by itself, on one thread; and those of a block of larger systems.
ALONE, BLOCK = 120, 64


@functools.cache
def _lapack() -> Any:
    """LAPACK of scipy, or ``None``."""
    try:
        from scipy.linalg import lapack  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    return lapack


class Factor:
    """``L`` of a positive definite matrix.

    Parameters
    ----------
    matrix : (n, n) float64 array
        Symmetric; it stays as it is.
    n_threads : int, optional
        Of the products.

    Raises
    ------
    numpy.linalg.LinAlgError
        Where the matrix is not positive definite.
    """

    def __init__(self, matrix: Array, n_threads: int | None = None) -> None:
        self._lower, self._n_threads = np.empty_like(matrix), n_threads
        #: Inverses of the diagonal blocks.
        self._inverses: list[Array] = []
        lower = self._lower
        for here in self._blocks():
            column = matrix[here.start :, here]
            if here.start:  # what the columns before take away, in one product
                known = slice(0, here.start)
                column = column - self._product(lower[here.start :, known], lower[here, known].T)
            size = here.stop - here.start
            half, inverse = _of_block(column[:size])
            lower[here, here] = half
            self._inverses.append(inverse)
            if size < len(column):
                lower[here.stop :, here] = self._product(column[size:], inverse.T)

    def solve(self, right: Array) -> Array:
        """``x`` of ``L Lᵀ x = right``, ``(n,)``."""
        x = right.astype(np.float64)
        for here, inverse in zip(self._blocks(), self._inverses, strict=True):
            if here.start:
                known = slice(0, here.start)
                x[here] -= self._product(x[None, known], self._lower[here, known].T)[0]
            x[here] = inverse @ x[here]
        for here, inverse in reversed(list(zip(self._blocks(), self._inverses, strict=True))):
            known = slice(here.stop, len(x))
            if here.stop < len(x):
                x[here] -= self._product(x[None, known], self._lower[known, here])[0]
            x[here] = inverse.T @ x[here]
        return x

    def inverse_diagonal(self) -> Array:
        """Diagonal of ``(L Lᵀ)⁻¹``: sums of the squares of the columns of ``L⁻¹``."""
        diagonal = np.empty(len(self._lower))
        for k, (column, inverse) in enumerate(zip(self._blocks(), self._inverses, strict=True)):
            found = np.zeros((len(self._lower) - column.start, len(inverse)))
            found[: len(inverse)] = inverse
            for here, own in list(zip(self._blocks(), self._inverses, strict=True))[k + 1 :]:
                left = self._lower[here, column.start : here.start]
                sums = self._product(left, found[: here.start - column.start])
                found[here.start - column.start : here.stop - column.start] = -own @ sums
            diagonal[column] = np.square(found).sum(axis=0)
        return diagonal

    def log_determinant(self) -> float:
        """``log det (L Lᵀ)``."""
        return 2.0 * float(np.log(self._lower.diagonal()).sum())

    def _blocks(self) -> Iterator[slice]:
        n = len(self._lower)
        return (slice(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK))

    def _product(self, a: Array, b: Array) -> Array:
        zeros = np.zeros(b.shape[1])
        return kernels.dense_forward(a, b, zeros, n_threads=self._n_threads)


def _of_block(matrix: Array) -> tuple[Array, Array]:
    """``L`` of a small matrix, and ``L⁻¹``."""
    lapack = _lapack()
    if lapack is None:
        half = np.linalg.cholesky(matrix)
        return half, np.tril(np.linalg.inv(half))
    half, info = lapack.dpotrf(matrix, lower=1)
    if info:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    return half, lapack.dtrtri(half, lower=1)[0]


def solve(matrix: Array, right: Array, n_threads: int | None = None) -> Array | None:
    """The solution of ``matrix @ x = right``, or ``None`` where it is not positive definite."""
    if kernels.solves_systems():
        found = kernels.solve_positive(matrix, right, n_threads=n_threads)
        return found if found is not None and all_finite(found) else None
    lapack = _lapack()
    if lapack is not None and len(matrix) <= ALONE:
        _, result, info = lapack.dposv(matrix.T, right, lower=1)  # in LAPACK's order as it is
        return result if info == 0 and all_finite(result) else None
    made = factor(matrix, n_threads)
    result = None if made is None else made.solve(right)
    return result if result is not None and all_finite(result) else None


def factor(matrix: Array, n_threads: int | None = None) -> Factor | None:
    """The factor of a matrix, or ``None`` where it is not positive definite."""
    try:
        return Factor(matrix, n_threads)
    except np.linalg.LinAlgError:
        return None
