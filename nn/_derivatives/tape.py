"""A forward pass over some rows that keeps what derivatives need."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from fastmlp import kernels

from .._typing import Array
from . import arguments

#: Numbers that the largest array of a block of rows holds: its values stay in a core's cache.
_BLOCK = 1 << 18
#: The same for what computes with half a dozen arrays of that size beside each other.
SMALL_BLOCK = 1 << 15


class Point(Protocol):
    """A network at some parameters."""

    @property
    def architecture(self) -> kernels.Architecture: ...
    @property
    def parameters(self) -> Array: ...
    @property
    def n_threads(self) -> int | None: ...


class Tape:
    """The layers' values for some rows.

    Parameters
    ----------
    network : Point
        A network, or what stands for one at other parameters.
    x : (n, n_in) array of the network's dtype
    scores : bool
        Leave out the output activation.

    Attributes
    ----------
    inputs : list of (n, n_in^l) arrays
        What each layer is given, ``a^0 … a^(L-1)``.
    kept : list of (n, n_out^l) arrays
        What ``σ'`` of each hidden layer is computed from: its output, or its pre-activations.
    z : (n, n_out) array
        Scores of the output layer.
    """

    def __init__(self, network: Point, x: Array, scores: bool = False) -> None:
        net = network.architecture
        self.names = net.activations
        self.output = "identity" if scores else net.output
        self.n_threads = network.n_threads
        self.weights, self.biases = net.views(network.parameters)
        self.inputs: list[Array] = [x]
        self.kept: list[Array] = []
        a = x
        for w, b, name in zip(self.weights, self.biases, self.names, strict=False):
            if kernels.needs_scores(name):
                kept = kernels.dense_forward(a, w, b, n_threads=self.n_threads)
                a = kernels.activate(kept, name, n_threads=self.n_threads)
            else:
                kept = a = kernels.dense_forward(a, w, b, name, n_threads=self.n_threads)
            self.kept.append(kept)
            self.inputs.append(a)
        self.z = kernels.dense_forward(
            a, self.weights[-1], self.biases[-1], n_threads=self.n_threads
        )

    def __len__(self) -> int:
        return len(self.z)

    @property
    def top(self) -> int:
        """Index of the output layer."""
        return len(self.weights) - 1

    @cached_property
    def a(self) -> Array:
        """Values of the output layer, ``(n, n_out)``."""
        if self.output == "identity":
            return self.z
        return kernels.activate(self.z, self.output, n_threads=self.n_threads)

    # Products with parts of the chain rule

    def through_output(self, d: Array) -> Array:
        """``J d`` of the output activation; ``d`` is ``(n, n_out)`` or ``(n, k, n_out)``."""
        if self.output == "identity":
            return d
        a = self.a if d.ndim == 2 else self.a[:, None, :]
        return kernels.output_jacobian_product(self.output, a, d)

    def slope(self, layer: int) -> Array:
        """``σ'`` of a hidden layer, ``(n, n_out^l)``."""
        ones = np.ones_like(self.kept[layer])
        return kernels.activation_backward(
            ones, self.kept[layer], self.names[layer], n_threads=self.n_threads
        )

    def times_slope(self, layer: int, d: Array) -> Array:
        """``d ⊙ σ'``, for ``d`` of shape ``(n, n_out^l)``."""
        return kernels.activation_backward(
            d, self.kept[layer], self.names[layer], n_threads=self.n_threads
        )

    def times_weights(self, layer: int, d: Array) -> Array:
        """``d W``, for ``d`` of shape ``(…, n_in^l)``."""
        return self.times(d, self.weights[layer])

    def times_transposed(self, layer: int, d: Array, out: Array | None = None) -> Array:
        """``d Wᵀ``, for ``d`` of shape ``(…, n_out^l)``, in ``(rows, n_in^l)`` of ``out``."""
        return self.times(d, self.weights[layer].T, out)

    def times(self, d: Array, matrix: Array, out: Array | None = None) -> Array:
        """``d M``, for ``d`` of shape ``(…, len(M))``."""
        rows = d.reshape(-1, d.shape[-1])
        zero = np.zeros(matrix.shape[1], matrix.dtype)
        result = kernels.dense_forward(rows, matrix, zero, out=out, n_threads=self.n_threads)
        return result.reshape(*d.shape[:-1], matrix.shape[1])

    def error_below(self, layer: int, delta: Array, out: Array | None = None) -> Array:
        """``(δ Wᵀ) ⊙ σ'``: the error of the hidden layer below ``layer``, of ``(n, …)`` errors."""
        return kernels.delta_backward(
            delta,
            self.weights[layer],
            self.kept[layer - 1],
            self.names[layer - 1],
            out=out,
            n_threads=self.n_threads,
        )


def tapes(
    network: Point, x: Any, scores: bool, numbers_a_row: int, numbers: int = _BLOCK
) -> Iterator[tuple[slice, Tape]]:
    """Blocks of rows, with the forward pass over each."""
    block = max(64, numbers // numbers_a_row)
    for begin in range(0, len(x), block):
        rows = slice(begin, min(begin + block, len(x)))
        yield rows, Tape(network, arguments.dense(x, rows), scores)
