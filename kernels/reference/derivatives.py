"""First derivatives of a network by its inputs: sweeps of errors back, and of tangents along."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from .._architecture import Architecture
from .._specs import Loss
from .._typing import Array
from . import activations, losses, outputs
from .hessian import HessianProduct, is_bent
from .numerics import quiet


class Derivatives:
    """What a network offers of its derivatives, for rows in arrays.

    With ``scores=True`` the outputs are those before the output activation.
    """

    architecture: Architecture
    dtype: np.dtype[Any]
    forward: Any
    check: Any

    @quiet
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
        out = self._derivative(
            parameters, x, d_outputs, "d_outputs", self.architecture.sizes[-1], out
        )
        _, kept, z = self.forward(parameters, x)
        out[...] = self._back(parameters, kept, self._through_output(z, d_outputs, scores))
        return out

    @quiet
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
        out = self._derivative(parameters, x, d_x, "d_x", self.architecture.sizes[0], out)
        weights, _ = self.architecture.views(parameters)
        _, kept, z = self.forward(parameters, x)
        along = d_x
        for level, w in enumerate(weights[:-1]):
            along = self._slope(level).backward(along @ w, kept[level])
        out[...] = self._through_output(z, along @ weights[-1], scores)
        return out

    @quiet
    def jacobian(
        self, parameters: Array, x: Array, *, scores: bool = False, out: Array | None = None
    ) -> Array:
        """``∂Y_k / ∂x_i`` of every row, ``(n, n_out, n_in)``."""
        out = self._derivative(parameters, x, None, "", 0, out)
        _, kept, z = self.forward(parameters, x)
        for k in range(self.architecture.sizes[-1]):
            one = np.zeros_like(z)
            one[:, k] = 1
            out[:, k] = self._back(parameters, kept, self._through_output(z, one, scores))
        return out

    @quiet
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
        self.check(parameters, x, target, loss, sample_weight)
        out = self._derivative(parameters, x, None, "", self.architecture.sizes[-1], out)
        _, kept, z = self.forward(parameters, x)
        delta = losses.output_delta(
            z, target, loss, self.architecture.output, sample_weight=sample_weight
        )
        out[...] = self._back(parameters, kept, delta)
        return out

    def _derivative(
        self, parameters: Array, x: Array, other: Any, name: str, columns: int, out: Array | None
    ) -> Array:
        return _checks.derivative(
            self.architecture, self.dtype, parameters, x, other, name, columns, out
        )

    def _slope(self, level: int) -> activations.Activation:
        return activations.of(self.architecture.activations[level])

    def _through_output(self, z: Array, d: Array, scores: bool) -> Array:
        """``J d`` of the output activation at the scores ``z``."""
        output = "identity" if scores else self.architecture.output
        return outputs.times_jacobian(output, activations.apply(z, output), d)

    def _back(self, parameters: Array, kept: list[Array], delta: Array) -> Array:
        """Derivatives by the inputs, from the errors of the output layer."""
        weights, _ = self.architecture.views(parameters)
        for level in range(len(weights) - 1, 0, -1):
            below = self._slope(level - 1)
            delta = below.backward(delta @ weights[level].T, kept[level - 1])
        return delta @ weights[0].T

    def hessian_product(self, parameters: Array, direction: Array, rows: int) -> Any:
        """The passes of a product with the Hessian, over ``rows`` rows at a time.

        ``None`` where a backend has none for the activations of the hidden layers; the kernels of
        single layers then make the product.
        """
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.flat("direction", direction, self.architecture, self.dtype)
        if not is_bent(self.architecture):
            return None
        return HessianProduct(self, parameters, direction, rows)
