"""The output layer: products with the Jacobian of its activation, and the derivative of those.

Every output activation's Jacobian is symmetric, so that one product serves both directions. Arrays
are ``(…, n_out)``; ``a`` is the layer's output and may be broadcast.

===========  =================  ==================================  ===============================
output       J                  J d                                 derivative along ȧ, of J d
===========  =================  ==================================  ===============================
identity     I                  d                                   0
sigmoid      diag(a (1 - a))    a (1 - a) d                         ȧ (1 - 2 a) d
exp          diag(a)            a d                                 ȧ d
softmax      diag(a) - a aᵀ     a (d - ⟨a, d⟩)                      ȧ (d - ⟨a, d⟩) - a ⟨ȧ, d⟩
===========  =================  ==================================  ===============================
"""

from __future__ import annotations

import numpy as np

from .._typing import Array


def _inner(x: Array, y: Array) -> Array:
    """``⟨x, y⟩`` of every row, ``(…, 1)``."""
    result: Array = (x * y).sum(axis=-1, keepdims=True)
    return result


def times_jacobian(output: str, a: Array, d: Array) -> Array:
    """``J d``."""
    result = d
    if output == "exp":
        result = a * d
    elif output == "sigmoid":
        result = a * (1 - a) * d
    elif output == "softmax":
        result = a * (d - _inner(a, d))
    return result


def along(output: str, a: Array, a_dot: Array, d: Array) -> Array:
    """The derivative of ``J d`` where ``a`` moves along ``a_dot`` and ``d`` stays."""
    result = np.zeros_like(d)
    if output == "exp":
        result = a_dot * d
    elif output == "sigmoid":
        result = a_dot * (1 - 2 * a) * d
    elif output == "softmax":
        result = a_dot * (d - _inner(a, d)) - a * _inner(a_dot, d)
    return result
