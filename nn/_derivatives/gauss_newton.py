"""The generalised Gauss–Newton matrix of a loss: ``Σ Jᵀ H J`` over rows, without storing J.

``J`` is the Jacobian of the scores by the parameters and ``H = Rᵀ R`` the curvature of the loss by
the scores, so that the matrix is ``Σ (R J)ᵀ (R J)``; the rows of ``R J`` are errors back from the
rows of ``R``. For squared error and an output without activation that is ``Jᵀ J``.

=========================  ================================================================
loss                       R, for scores z and outputs a
=========================  ================================================================
``squared_error``          the Jacobian of the output activation
``huber``                  the same, for outputs whose error is within delta; else 0
``cross_entropy``          rows ``√(a_k Σ y) (e_k - a)``
``binary_cross_entropy``   ``diag √(a (1 - a))``
``poisson``                ``diag √a``
``squared_hinge``          ``diag (√2 y)`` within the margin; else 0
=========================  ================================================================

Schraudolph, *Fast curvature matrix-vector products for second-order gradient descent*, 2002.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from fastmlp import kernels

from .._typing import Array
from .first import output_jacobian
from .tape import Tape

#: Losses whose curvature the matrix is made of; the others have none, or none that is known.
CURVED = (
    "squared_error",
    "huber",
    "cross_entropy",
    "binary_cross_entropy",
    "poisson",
    "squared_hinge",
)
#: Columns of the matrix that are computed together; what is left of their diagonal is symmetric.
_PANEL = 96


def check(loss: Any) -> None:
    """Raise ``ValueError`` for a loss without curvature."""
    if loss.name not in CURVED:
        raise ValueError(
            f"second-order training needs a loss with curvature, one of {CURVED}, got {loss.name!r}"
        )


def root(tape: Tape, target: Array, loss: Any) -> Array:
    """``R`` of every row, ``(n, n_out, n_out)``."""
    n_out, name = tape.z.shape[1], loss.name
    if name == "squared_error":
        return output_jacobian(tape)
    y = kernels.dense_target(target, n_out, tape.z.dtype, loss)
    if name == "huber":
        within = np.abs(tape.a - y) <= loss.constants["delta"]
        bounded: Array = output_jacobian(tape) * within[:, :, None]
        return bounded
    one = np.eye(n_out, dtype=tape.z.dtype)
    if name == "cross_entropy":
        a, mass = tape.a, y.sum(axis=1, keepdims=True)
        rows: Array = np.sqrt(a * mass)[:, :, None] * (one - a[:, None, :])
        return rows
    if name == "squared_hinge":
        diagonal = np.where(y * tape.z < 1, math.sqrt(2) * y, 0).astype(tape.z.dtype)
    else:
        diagonal = np.sqrt(tape.a * (1 - tape.a) if name == "binary_cross_entropy" else tape.a)
    rooted: Array = diagonal[:, :, None] * one
    return rooted


def add(tape: Tape, error: Array, out: Array, places: Any) -> None:
    """Add the rows' ``(R J)ᵀ (R J)`` to the upper triangle of ``out`` (and to some of the lower).

    ``error`` is ``R``, each row's multiplied by the root of the row's share of the loss.
    ``places`` are the slices of weights and biases within the vector of parameters.
    """
    n, k, _ = error.shape
    rows = np.empty((n * k, len(out)), tape.z.dtype)
    block = rows.reshape(n, k, len(out))
    for layer in range(tape.top, -1, -1):
        weights, bias = places[layer]
        product = tape.inputs[layer][:, None, :, None] * error[:, :, None, :]
        block[:, :, weights] = product.reshape(n, k, -1)
        block[:, :, bias] = error
        if layer:
            error = tape.times_transposed(layer, error)
            error *= tape.slope(layer - 1)[:, None, :]
    for begin in range(0, len(out), _PANEL):
        panel = rows[:, begin : begin + _PANEL]
        # The kernel returns means over rows.
        mean = kernels.weight_gradient(panel, rows[:, begin:], n_threads=tape.n_threads)
        out[begin : begin + _PANEL, begin:] += mean.astype(out.dtype) * (n * k)


def symmetric(matrix: Array) -> Array:
    """Copy the upper triangle to the lower one, in place."""
    lower = np.tril_indices(len(matrix), -1)
    matrix[lower] = matrix.T[lower]
    return matrix
