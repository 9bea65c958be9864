"""A network with its loss as a computation graph, and its gradients checked by it.

The formulas are those of the table of activations and losses in ``kernels/reference``, written a
second time for tracing, and without any derivative: those come from the graph's own rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from fastmlp.kernels import Architecture, CustomActivation, CustomLoss, loss_spec

from .._typing import Array
from ..autodiff import Graph, label
from ..autodiff._node import Node, apply, variable

_ROOT = math.sqrt(2 / math.pi)
_LAMBDA, _ALPHA = 1.0507009873554804934, 1.6732632423543772848

#: σ(z), with np.where at kinks, so that the derivative there is the kernels'.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "hardtanh": lambda z: np.where(np.abs(z) < 1, z, np.sign(z)),
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "selu": lambda z: _LAMBDA * np.where(z > 0, z, _ALPHA * np.expm1(z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "silu": lambda z: z * (1 / (1 + np.exp(-z))),
    "gelu": lambda z: z * apply("normal_distribution", z),
    "gelu_tanh": lambda z: 0.5 * z * (1 + np.tanh(_ROOT * (z + 0.044715 * z**3))),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "exp": np.exp,
    "softmax": lambda z: np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)),
}


def _cross_entropy(z: Any, y: Any) -> Any:
    log_sum = np.logaddexp.reduce(z, axis=1)
    if not np.allclose(y.value.sum(axis=1), 1):
        log_sum = log_sum * np.sum(y, axis=1)
    return log_sum - np.sum(y * z, axis=1)


Constants = Mapping[str, float]
#: Losses of each output, of ``r = a - y``.
OF_OUTPUTS: dict[str, Callable[[Any, Constants], Any]] = {
    "squared_error": lambda r, c: 0.5 * np.square(r),
    "absolute_error": lambda r, c: np.abs(r),
    "huber": lambda r, c: np.where(
        np.abs(r) <= c["delta"], 0.5 * np.square(r), c["delta"] * (np.abs(r) - 0.5 * c["delta"])
    ),
    "quantile": lambda r, c: np.where(
        r > 0, (1 - c["quantile"]) * r, np.where(r < 0, -c["quantile"] * r, 0.0)
    ),
}
#: Losses of each row, of scores and targets.
OF_SCORES: dict[str, Callable[[Any, Any], Any]] = {
    "poisson": lambda z, y: np.sum(
        np.exp(z) - y * z + np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0)), 0.0) - y, axis=1
    ),
    "binary_cross_entropy": lambda z, y: np.sum(np.log1p(np.exp(z)) - y * z, axis=1),
    "cross_entropy": _cross_entropy,
    "hinge": lambda z, y: np.sum(_positive(1 - y * z), axis=1),
    "squared_hinge": lambda z, y: np.sum(np.square(_positive(1 - y * z)), axis=1),
}


def _positive(x: Any) -> Any:
    return np.where(x > 0, x, 0.0)


def graph(
    net: Architecture,
    parameters: Array,
    x: Array,
    target: Array,
    weight: Array | None,
    loss: Any,
) -> Graph:
    """The graph of the mean loss over rows, in the parameters' dtype; see :meth:`MLP.graph`."""
    dtype = parameters.dtype
    rows = variable(x.astype(dtype), "X")
    arrays = net.views(parameters)
    weights = [variable(w, f"W{i}") for i, w in enumerate(arrays[0], 1)]
    biases = [variable(b, f"b{i}") for i, b in enumerate(arrays[1], 1)]
    y = variable(dense_target(target, net.sizes[-1], dtype, loss), "y")
    a: Any = rows
    for i, name in enumerate(net.activations, 1):
        z = label(a @ weights[i - 1] + biases[i - 1], f"z{i}")
        a = _activation(name)(z)
        if a is not z:
            label(a, f"a{i}")
    z = label(a @ weights[-1] + biases[-1], f"z{len(weights)}")
    losses = _losses(z, y, target, loss, net.output)
    if weight is None:
        mean = np.mean(losses)
    else:
        total = np.asarray(weight.sum(dtype=np.float64), dtype)
        mean = np.sum(losses * weight.astype(dtype)) / total
    return Graph(
        [rows, *(p for pair in zip(weights, biases, strict=True) for p in pair), y],
        [label(mean, "loss")],
    )


def _activation(activation: str | CustomActivation) -> Callable[[Any], Any]:
    if isinstance(activation, str):
        return ACTIVATIONS[activation]
    f: Callable[[Any], Any] | None = getattr(activation.function, "f", None)
    if f is None:
        raise TypeError(f"activation {activation.name!r} is no expression that can be traced")
    return f


def _losses(z: Any, y: Node, target: Array, loss: Any, output: str) -> Any:
    """Loss of every row."""
    if isinstance(loss, CustomLoss):
        f = getattr(loss.function, "f", None)
        if f is None:
            raise TypeError(f"loss {loss.name!r} is no expression that can be traced")
        value = f(z, y)
        return np.sum(value, axis=1) if value.ndim == 2 else value
    if loss.name == "multiclass_hinge":
        return _multiclass_hinge(z, target)
    if loss.name in OF_SCORES:
        return OF_SCORES[loss.name](z, y)
    a = label(ACTIVATIONS[output](z), "a") if output != "identity" else z
    return np.sum(OF_OUTPUTS[loss.name](a - y, loss.constants), axis=1)


def _multiclass_hinge(z: Any, target: Array) -> Any:
    """``max(0, 1 + max_{j≠k} z_j - z_k)``; several largest share the derivative."""
    k = target if target.ndim == 1 else target.argmax(axis=1)
    chosen = np.eye(z.shape[1], dtype=bool)[k]
    rivals = np.max(np.where(chosen, -np.inf, z), axis=1)
    return _positive(1 + rivals - np.sum(np.where(chosen, z, 0.0), axis=1))


def dense_target(target: Array, n_out: int, dtype: Any, loss: Any) -> Array:
    """Targets as a matrix: labels as rows, smoothed where the loss says so."""
    y = target.astype(dtype)
    if target.ndim == 1:
        y = np.eye(n_out, dtype=dtype)[target]
        y = y + (1 - y) * loss_spec(loss).low
    smoothing = loss.constants.get("label_smoothing", 0.0)
    if not smoothing:
        return y
    share = y.sum(axis=1, keepdims=True) / n_out if loss_spec(loss).exclusive else 0.5
    smooth: Array = (1 - smoothing) * y + smoothing * share
    return smooth
