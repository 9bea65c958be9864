"""Products with the Hessian of a loss: every quantity of the two passes, and how it moves.

A product with the Hessian is the derivative of the gradient along a direction ``(V, c)`` of the
parameters (Pearlmutter, *Fast exact multiplication by the Hessian*, 1994), marked by a dot:

    ż^l = ȧ^(l-1) W^l + a^(l-1) V^l + c^l,              ȧ^l = ż^l ⊙ σ'(z^l)
    d^l = δ^(l+1) (W^(l+1))ᵀ,                           δ^l = d^l ⊙ σ'
    ḋ^l = δ̇^(l+1) (W^(l+1))ᵀ + δ^(l+1) (V^(l+1))ᵀ,      δ̇^l = ḋ^l ⊙ σ' + d^l ⊙ σ'' ⊙ ż^l
    (H v)_W = (ȧ^(l-1))ᵀ δ^l + (a^(l-1))ᵀ δ̇^l,          (H v)_b = Σ δ̇^l

The errors of the scores, ``δ^L`` and ``δ̇^L``, are the caller's: of any loss.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .. import _checks
from .._architecture import Architecture
from .._typing import Array
from . import activations
from .numerics import quiet


class HessianProduct:
    """The passes of a network and one direction of its parameters, over some rows at a time.

    Parameters
    ----------
    network : Network
        With activations of this package, whose ``σ'' = (b + c σ) σ'``.
    parameters, direction : (n_parameters,) arrays
        Flat.
    rows : int
        Rows of a call at most.
    """

    def __init__(self, network: Any, parameters: Array, direction: Array, rows: int) -> None:
        self._net, self._dtype, self._most = network.architecture, network.dtype, rows
        self._weights, self._biases = self._net.views(parameters)
        self._v, self._c = self._net.views(direction)
        self._a: list[Array] = []
        self._a_dot: list[Array] = []
        self._rows = 0

    @quiet
    def forward(self, x: Array) -> tuple[Array, Array]:
        """Scores of at most ``rows`` rows and how they move, ``(n, n_out)`` each."""
        _checks.array("x", x, (f"at most {self._most}", self._net.sizes[0]), self._dtype)
        if not 0 < len(x) <= self._most:
            raise ValueError(f"x must have from 1 to {self._most} rows, got {len(x)}")
        self._a, self._a_dot, self._rows = [x], [np.zeros_like(x)], len(x)
        for layer, (w, b) in enumerate(zip(self._weights, self._biases, strict=True)):
            a, a_dot = self._a[-1], self._a_dot[-1]
            z, z_dot = a @ w + b, a_dot @ w + a @ self._v[layer] + self._c[layer]
            if layer == len(self._weights) - 1:
                break
            name = self._net.activations[layer]
            self._a.append(activations.apply(z, name))
            self._a_dot.append(activations.activation_backward(z_dot, self._a[-1], name))
        return z, z_dot

    @quiet
    def back(self, delta: Array, delta_dot: Array) -> Array:
        """The product, flat, from the errors of the last rows' scores and how those move."""
        for name, given in (("delta", delta), ("delta_dot", delta_dot)):
            _checks.array(name, given, (self._rows, self._net.sizes[-1]), self._dtype)
        if not self._rows:
            raise ValueError("back follows forward, which has seen no rows yet")
        product = np.empty(self._net.n_parameters, self._dtype)
        weights, biases = self._net.views(product)
        for layer in range(len(weights) - 1, -1, -1):
            a, a_dot = self._a[layer], self._a_dot[layer]
            weights[layer][...] = a_dot.T @ delta + a.T @ delta_dot
            biases[layer][...] = delta_dot.sum(axis=0)
            if layer == 0:
                break
            name = self._net.activations[layer - 1]
            d = delta @ self._weights[layer].T
            d_dot = delta_dot @ self._weights[layer].T + delta @ self._v[layer].T
            delta = activations.activation_backward(d, a, name)
            b, c = cast("tuple[float, float]", activations.bend_of(name))
            delta_dot = activations.activation_backward(d_dot, a, name) + (b + c * a) * d * a_dot
        return product


def is_bent(architecture: Architecture) -> bool:
    """Whether all hidden activations are such."""
    names = architecture.activations
    return all(isinstance(name, str) and activations.bend_of(name) is not None for name in names)
