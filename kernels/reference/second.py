"""Sums of second order, ``JᵀJ`` from the layers' inputs and errors, and systems of equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._typing import Array
from .activations import activation_backward
from .numerics import quiet

#: Numbers of a Jacobian that are written down at a time.
_NUMBERS = 1 << 20


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


class SecondOrder:
    """Sums of second order of a whole network, of the functions of single layers."""

    architecture: Any
    dtype: Any
    forward: Any

    @quiet
    def gauss_newton(
        self, parameters: Array, x: Array, target: Array, roots: Array, *, out: Array | None = None
    ) -> tuple[Array, Array]:
        """Gradient and Gauss–Newton matrix of ``½ Σ root² ‖Y - y‖²``, added up in float64.

        Parameters
        ----------
        parameters : (m,) array
            Of a network whose output has no activation; those of the hidden layers give their
            derivatives by their values.
        x : (n, n_in) array
        target : (n, n_out) array
        roots : (n,) array
            Of the weights of the rows.
        out : (m, m) float64 array, optional
            Is added to.

        Returns
        -------
        gradient : (m,) float64 array
        matrix : (m, m) float64 array
        """
        net = self.architecture
        out = _checks.sums_of_squares(net, self.dtype, parameters, x, target, roots, out)
        gradient = np.zeros(net.n_parameters)
        block = self._rows_of_block()
        for start in range(0, len(x), block):
            part = slice(start, start + block)
            sums = self._of_block(parameters, x[part], target[part], roots[part])
            gradient += sums[-1, :-1]
            out += sums[:-1, :-1]
        return gradient, out

    def _rows_of_block(self) -> int:
        """Of how many rows a Jacobian is written down."""
        net = self.architecture
        rows: int = max(1, _NUMBERS // (net.n_parameters * net.sizes[-1]))
        return rows

    def _of_block(self, parameters: Array, x: Array, target: Array, roots: Array) -> Array:
        """``JᵀJ`` of some rows, and behind it ``Jᵀr``."""
        net, weights = self.architecture, self.architecture.views(parameters)[0]
        inputs, kept, z = self.forward(parameters, x)
        errors = [roots[:, None, None] * np.eye(net.sizes[-1], dtype=self.dtype)]
        for level in range(len(weights) - 1, 0, -1):
            ones = np.ones_like(kept[level - 1])
            slope = activation_backward(ones, kept[level - 1], net.activations[level - 1])
            errors.insert(0, (errors[0] @ weights[level].T) * slope[:, None, :])
        return gauss_newton(inputs, errors, roots[:, None] * (z - target))


def solve_positive(matrix: Array, right: Array, *, n_threads: int | None = None) -> Array | None:
    _checks.system(matrix, right, n_threads)
    try:
        lower = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    if not (lower.diagonal() > 0).all():  # NaN, which LAPACK lets through
        return None
    found: Array = np.linalg.solve(lower.T, np.linalg.solve(lower, right))
    return found


def solves_systems() -> bool:
    return False
