"""First derivatives of a network by its inputs, made of the kernels of single layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from .. import _checks
from .._architecture import Architecture
from .._specs import Loss, needs_scores
from .._typing import Array
from ..reference.outputs import times_jacobian
from .activations import activate, activation_backward
from .layers import delta_backward, dense_forward
from .losses import output_delta

#: Numbers of the widest layer of a block of rows, which stays in a core's cache.
_BLOCK = 1 << 18


class Forward:
    """The layers' values of a block of rows."""

    def __init__(self, network: Any, parameters: Array, x: Array, scores: bool) -> None:
        net = network.architecture
        self.names = cast("Any", net.activations)
        self.n_threads = network.n_threads
        self.output = "identity" if scores else net.output
        self.weights, biases = net.views(parameters)
        self.kept: list[Array] = []
        a = x
        for w, b, name in zip(self.weights, biases, self.names, strict=False):
            if needs_scores(name):
                self.kept.append(dense_forward(a, w, b, n_threads=self.n_threads))
                a = activate(self.kept[-1], name, n_threads=self.n_threads)
            else:
                a = dense_forward(a, w, b, name, n_threads=self.n_threads)
                self.kept.append(a)
        self.z = dense_forward(a, self.weights[-1], biases[-1], n_threads=self.n_threads)

    def through_output(self, d: Array) -> Array:
        if self.output == "identity":
            return d
        return times_jacobian(self.output, activate(self.z, self.output), d)

    def times(self, d: Array, matrix: Array) -> Array:
        zero = np.zeros(matrix.shape[1], matrix.dtype)
        return dense_forward(d, matrix, zero, n_threads=self.n_threads)

    def back(self, delta: Array) -> Array:
        """Derivatives by the inputs, from the errors of the output layer."""
        for level in range(len(self.weights) - 1, 0, -1):
            below = self.kept[level - 1], self.names[level - 1]
            delta = delta_backward(delta, self.weights[level], *below, n_threads=self.n_threads)
        return self.times(delta, self.weights[0].T)

    def along(self, z_dot: Array) -> Array:
        """How the outputs move, from how the first layer's pre-activations do."""
        for level, name in enumerate(self.names):
            a_dot = activation_backward(z_dot, self.kept[level], name, n_threads=self.n_threads)
            z_dot = self.times(a_dot, self.weights[level + 1])
        return self.through_output(z_dot)


class Derivatives:
    """See :class:`fastmlp.kernels.reference.Network`."""

    architecture: Architecture
    dtype: np.dtype[Any]
    n_threads: int | None
    _check: Any

    def vjp(
        self,
        parameters: Array,
        x: Array,
        d_outputs: Array,
        *,
        scores: bool = False,
        out: Array | None = None,
    ) -> Array:
        """Derivatives of ``Σ d_outputs ⊙ Y`` by the inputs, ``(n, n_in)``."""
        out = self._checked(parameters, x, d_outputs, "d_outputs", self.architecture.sizes[-1], out)
        for part, rows in self._blocks(parameters, x, scores):
            out[part] = rows.back(rows.through_output(d_outputs[part]))
        return out

    def jvp(
        self,
        parameters: Array,
        x: Array,
        d_x: Array,
        *,
        scores: bool = False,
        out: Array | None = None,
    ) -> Array:
        """How the outputs move where the rows move along ``d_x``, ``(n, n_out)``."""
        out = self._checked(parameters, x, d_x, "d_x", self.architecture.sizes[0], out)
        for part, rows in self._blocks(parameters, x, scores):
            out[part] = rows.along(rows.times(d_x[part], rows.weights[0]))
        return out

    def jacobian(
        self, parameters: Array, x: Array, *, scores: bool = False, out: Array | None = None
    ) -> Array:
        """``∂Y_k / ∂x_i`` of every row, ``(n, n_out, n_in)``."""
        out = self._checked(parameters, x, None, "", 0, out)
        n_in, n_out = self.architecture.sizes[0], self.architecture.sizes[-1]
        for part, rows in self._blocks(parameters, x, scores):
            for k in range(n_out if n_out <= n_in else 0):
                one = np.zeros_like(rows.z)
                one[:, k] = 1
                out[part, k] = rows.back(rows.through_output(one))
            for i in range(n_in if n_in < n_out else 0):
                row = rows.weights[0][i]
                moved = np.ascontiguousarray(np.broadcast_to(row, (len(rows.z), len(row))))
                out[part, :, i] = rows.along(moved)
        return out

    def input_gradients(
        self,
        parameters: Array,
        x: Array,
        target: Array,
        loss: str | Loss,
        *,
        sample_weight: Array | None = None,
        out: Array | None = None,
    ) -> Array:
        """The gradient of each row's loss, times its weight, by its inputs, ``(n, n_in)``."""
        self._check(parameters, x, target, loss, sample_weight)
        out = self._checked(parameters, x, None, "", self.architecture.sizes[-1], out)
        for part, rows in self._blocks(parameters, x, False):
            weight = None if sample_weight is None else sample_weight[part]
            delta = output_delta(
                *(rows.z, target[part], loss, self.architecture.output),
                sample_weight=weight,
                n_threads=self.n_threads,
            )
            out[part] = rows.back(delta)
        return out

    def _checked(
        self, parameters: Array, x: Array, other: Any, name: str, columns: int, out: Array | None
    ) -> Array:
        return _checks.derivative(
            self.architecture, self.dtype, parameters, x, other, name, columns, out
        )

    def _blocks(self, parameters: Array, x: Array, scores: bool) -> Iterator[tuple[slice, Forward]]:
        block = max(64, _BLOCK // max(self.architecture.sizes))
        for begin in range(0, len(x), block):
            part = slice(begin, begin + block)
            yield part, Forward(self, parameters, x[part], scores)

    def hessian_product(self, parameters: Array, direction: Array, rows: int) -> Any:
        """``None``: the kernels of single layers make a product with the Hessian."""
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.flat("direction", direction, self.architecture, self.dtype)
        return None
