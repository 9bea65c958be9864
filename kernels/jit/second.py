"""Sums of second order: ``JᵀJ`` as products of pairs of inputs and pairs of errors.

Between layers l and m it is ``Σ (a_l a_mᵀ) ⊗ (D_lᵀ D_m)`` over the rows. The pairs of a block of
rows are two thin matrices, whose product the tiles of a weight's gradient compute; of a layer with
itself only pairs ``i ≤ j`` are needed, and several outputs are summed beforehand. Blocks are added
up in float64, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _checks
from .._typing import Array
from ..reference import second as reference
from ..reference.second import solve_positive as solve_positive
from ..reference.second import solves_systems as solves_systems
from .derivatives import Forward
from .layers import delta_backward, weight_gradient

#: Rows of a block, and pairs of a product: what is multiplied stays in the second-level cache.
_ROWS, _PAIRS = 256, 96
#: Numbers of all layers' errors of the rows that go through a network at a time.
_NUMBERS = 1 << 18

Layer = tuple[Array, Array, int, int]


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
    if not n or not k:
        return out
    for at, lower in enumerate(layers):
        for upper in layers[at:]:
            _add_block(lower, upper, lower is upper, out, n_threads)
    return out


class SecondOrder(reference.SecondOrder):
    """Sums of second order of a whole network: the reference's, of this backend's layers."""

    n_threads: int | None

    def _rows_of_block(self) -> int:
        net = self.architecture
        rows: int = max(1, _NUMBERS // (sum(net.sizes) * net.sizes[-1]))
        return rows

    def _of_block(self, parameters: Array, x: Array, target: Array, roots: Array) -> Array:
        rows = Forward(self, parameters, x, scores=True)
        inputs, of_each = [x, *rows.kept], []  # output, and then layer
        for one in np.eye(target.shape[1], dtype=self.dtype):
            errors = [roots[:, None] * one]
            for level in range(len(rows.weights) - 1, 0, -1):
                given = errors[0], rows.weights[level], inputs[level], rows.names[level - 1]
                errors.insert(0, delta_backward(*given, n_threads=self.n_threads))
            of_each.append(errors)
        each = [np.stack(errors, axis=1) for errors in zip(*of_each, strict=True)]
        residuals = roots[:, None] * (rows.z - target)
        return gauss_newton(inputs, each, residuals, n_threads=self.n_threads)


def _add_block(lower: Layer, upper: Layer, same: bool, out: Array, n_threads: int | None) -> None:
    """Add the block between two layers, and its mirror image."""
    (a, d, *_), (b, e, *_) = lower, upper
    i, j = _pairs(same, a.shape[1] + 1, b.shape[1] + 1)
    p, q = _pairs(same, d.shape[2], e.shape[2])
    total = np.zeros((len(i), len(p)))
    for begin in range(0, len(a), _ROWS):
        rows = slice(begin, begin + _ROWS)
        x, y = _with_one(a[rows]), _with_one(b[rows])
        of_errors = np.zeros((len(x), len(p)), a.dtype)
        for output in range(d.shape[1]):
            of_errors += d[rows, output][:, p] * e[rows, output][:, q]
        for first in range(0, len(i), _PAIRS):
            part = slice(first, first + _PAIRS)
            of_inputs = x[:, i[part]] * y[:, j[part]]
            # The kernel returns means over rows.
            mean = weight_gradient(of_inputs, of_errors, n_threads=n_threads)
            total[part] += mean.astype(np.float64) * len(x)
    rows_, columns = _places(lower)[i][:, p], _places(upper)[j][:, q]
    out[rows_, columns] = value = out[rows_, columns] + total
    out[columns, rows_] = value
    if same:
        rows_, columns = _places(lower)[i][:, q], _places(lower)[j][:, p]
        out[rows_, columns] = out[columns, rows_] = value


def _pairs(same: bool, n: int, m: int) -> tuple[Array, Array]:
    if same:
        first, second = np.triu_indices(n)
    else:
        first, second = (part.ravel() for part in np.indices((n, m)))
    return first, second


def _with_one(a: Array) -> Array:
    return np.concatenate((a, np.ones((len(a), 1), a.dtype)), axis=1)


def _places(layer: Layer) -> Array:
    """Where weights ``(i, j)`` lie, and biases as those of an input that is always 1."""
    a, d, weights, bias = layer
    n_in, n_out = a.shape[1], d.shape[2]
    within = weights + np.arange(n_in * n_out).reshape(n_in, n_out)
    return np.concatenate((within, bias + np.arange(n_out)[None]))
