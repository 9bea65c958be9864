"""Second derivatives: ``σ''`` of activations, and of a loss by the values of the output layer.

``kept`` is what the first derivative is computed from: the output ``a``, or the pre-activations
``z`` where that does not determine it. At a kink, and wherever a function is linear, they are 0.

==============  ====================================================================
activation      σ''
==============  ====================================================================
``sigmoid``     a (1 - a) (1 - 2 a)
``tanh``        -2 a (1 - a²)
``elu``         a + 1 below 0
``selu``        a + λ α below 0
``softplus``    s (1 - s) with s = 1 - exp(-a)
``silu``        s (1 - s) (2 + z (1 - 2 s)) with s = sigmoid(z)
``gelu``        φ(z) (2 - z²)
``gelu_tanh``   2 s' + z s'' with s = sigmoid(2 u)
``mish``        2 t' + z t'' with t = tanh(log(1 + exp z))
==============  ====================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CustomActivation, CustomLoss

from .._typing import Array
from . import outputs

_LAMBDA_ALPHA = 1.0507009873554804934193349852946 * 1.6732632423543772848170429916717
_ROOT = math.sqrt(2 / math.pi)
#: Beyond ±this a curvature is 0 in both precisions, and no factor beside it overflows.
_FAR = 1000


def _sigmoid(z: Array) -> Array:
    return kernels.activate(z, "sigmoid")


def _silu(z: Array) -> Array:
    z = np.clip(z, -_FAR, _FAR)
    s = _sigmoid(z)
    result: Array = s * (1 - s) * (2 + z * (1 - 2 * s))
    return result


def _gelu(z: Array) -> Array:
    z = np.clip(z, -_FAR, _FAR)
    result: Array = np.exp(-0.5 * z * z) * (2 - z * z) * z.dtype.type(1 / math.sqrt(2 * math.pi))
    return result


def _gelu_tanh(z: Array) -> Array:
    z = np.clip(z, -_FAR, _FAR)
    square = z * z
    # v = 2 u with u = √(2/π) (z + 0.044715 z³), its first and its second derivative.
    v = 2 * _ROOT * z * (1 + 0.044715 * square)
    v1 = 2 * _ROOT * (1 + 0.134145 * square)
    v2 = 2 * _ROOT * 0.26829 * z
    s = _sigmoid(v)
    s1 = s * (1 - s)
    result: Array = s1 * (2 * v1 + z * (v2 + v1 * v1 * (1 - 2 * s)))
    return result


def _mish(z: Array) -> Array:
    z = np.clip(z, -_FAR, _FAR)
    s = _sigmoid(z)
    t = np.tanh(kernels.activate(z, "softplus"))
    sech = 1 - t * t
    result: Array = sech * s * (2 + z * ((1 - s) - 2 * t * s))
    return result


def _softplus(a: Array) -> Array:
    rest = np.exp(-a)
    result: Array = (1 - rest) * rest
    return result


_SIGMA: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda a: a * (1 - a) * (1 - 2 * a),
    "tanh": lambda a: -2 * a * (1 - a * a),
    "elu": lambda a: np.where(a < 0, a + 1, a.dtype.type(0)),
    "selu": lambda a: np.where(a < 0, a + a.dtype.type(_LAMBDA_ALPHA), a.dtype.type(0)),
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "mish": _mish,
}
#: Of the losses of outputs: first and second derivative by ``a``, of ``r = a - y``.
_OF_OUTPUTS: dict[str, Callable[[Array, Any], tuple[Array, Any]]] = {
    "squared_error": lambda r, c: (r, 1),
    "absolute_error": lambda r, c: (np.sign(r), 0),
    "huber": lambda r, c: (np.clip(r, -c["delta"], c["delta"]), np.abs(r) <= c["delta"]),
    "quantile": lambda r, c: (((r > 0) - c["quantile"] * (r != 0)).astype(r.dtype), 0),
}
#: Activations made of straight lines.
STRAIGHT = ("identity", "hardtanh", "relu", "leaky_relu")


def check(*functions: Any) -> None:
    """Raise ``TypeError`` for a custom activation or loss that is no traceable expression."""
    for function in functions:
        if isinstance(function, (CustomActivation, CustomLoss)):
            from .._graphs import custom

            custom.expression(function)


def of_activation(activation: str | CustomActivation, kept: Array) -> Array | None:
    """``σ''``, of the shape of ``kept``; ``None`` where it is 0 everywhere."""
    if isinstance(activation, CustomActivation):
        from .._graphs import custom

        return custom.second_derivative(activation, kept)
    return None if activation in STRAIGHT else _SIGMA[activation](kept)


def of_loss(tape: Any, target: Array, loss: Any, z_dot: Array) -> Array:
    """The derivative of the output error ``δ^L`` where the scores move along ``z_dot``.

    ``target`` are rows as the loss takes them. For a loss of outputs, of error
    ``J g(a - y)``, this is ``J g' ȧ`` and what the Jacobian's own change adds.
    """
    from .._graphs import custom, networks

    if isinstance(loss, CustomLoss):
        y = networks.dense_target(target, tape.z.shape[1], tape.z.dtype, loss)
        return custom.loss_hessian_product(loss, tape.z, y, z_dot)
    name, constants = loss.name, loss.constants
    if name in ("hinge", "multiclass_hinge"):
        return np.zeros_like(z_dot)
    if name in ("poisson", "binary_cross_entropy"):
        return outputs.times_jacobian(tape.output, tape.a, z_dot)
    y = networks.dense_target(target, tape.z.shape[1], tape.z.dtype, loss)
    if name == "cross_entropy":
        return y.sum(axis=1, keepdims=True) * outputs.times_jacobian("softmax", tape.a, z_dot)
    if name == "squared_hinge":
        return np.where(y * tape.z < 1, 2 * y * y * z_dot, z_dot.dtype.type(0))
    r = tape.a - y
    slope, bend = _OF_OUTPUTS[name](r, constants)
    a_dot = outputs.times_jacobian(tape.output, tape.a, z_dot)
    return outputs.times_jacobian(tape.output, tape.a, bend * a_dot) + outputs.along(
        tape.output, tape.a, a_dot, slope
    )
