"""Second derivatives of activations and losses: built-in ones, and those of users' expressions."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CustomActivation, CustomLoss

from .._typing import Array


def check(*functions: Any) -> None:
    """Raise ``TypeError`` for a custom activation or loss that is no traceable expression."""
    for function in functions:
        if isinstance(function, (CustomActivation, CustomLoss)):
            from .._graphs import custom

            custom.expression(function)


def of_activation(activation: str | CustomActivation, kept: Array) -> Array | None:
    """``σ''``, of the shape of ``kept``; ``None`` where it is 0 everywhere."""
    if isinstance(activation, str):
        return kernels.activation_curvature(kept, activation)
    from .._graphs import custom

    return custom.second_derivative(activation, kept)


def bend(activation: str | CustomActivation) -> tuple[float, float] | None:
    """``(b, c)`` where ``σ'' = (b + c σ) σ'``, else ``None``."""
    return kernels.activation_bend(activation) if isinstance(activation, str) else None


def of_loss(
    z: Array, output: str, target: Array, loss: Any, z_dot: Array, factors: Array | None = None
) -> Array:
    """The derivative of the output error ``δ^L`` where the scores move along ``z_dot``.

    ``factors`` are those of targets, ``(n, n_targets)``.
    """
    if isinstance(loss, CustomLoss):
        from .._graphs import custom

        y = kernels.dense_target(target, z.shape[1], z.dtype, loss)
        bent = custom.loss_hessian_product(loss, z, y, z_dot)
        if factors is None:
            return bent
        each = np.repeat(factors, z_dot.shape[1] // factors.shape[1], axis=1)
        return np.where(each == 0, z_dot.dtype.type(0), each * bent)
    return kernels.output_delta_along(z, target, loss, output, z_dot, factors)
