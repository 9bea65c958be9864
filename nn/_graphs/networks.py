"""A network with its loss as a computation graph, and its gradients checked by it.

The formulas are written for tracing, apart from the kernels' and without any derivative: those come
from the graph's own rules. Those of activations and of losses of outputs stand in
``fastmlp.activations`` and ``fastmlp.losses``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from fastmlp.kernels import (
    Architecture,
    CustomActivation,
    CustomLoss,
    Loss,
    TargetWeights,
    loss_spec,
)

from .. import activations, losses
from .._typing import Array
from ..autodiff import Graph, label
from ..autodiff._node import Node, variable


def _cross_entropy(z: Any, y: Any) -> Any:
    log_sum = np.logaddexp.reduce(z, axis=1)
    if not np.allclose(y.value.sum(axis=1), 1):
        log_sum = log_sum * np.sum(y, axis=1)
    return log_sum - np.sum(y * z, axis=1)


#: Losses of one output each, of scores and targets; a row's is their sum.
OF_ONE_SCORE: dict[str, Callable[[Any, Any], Any]] = {
    "poisson": lambda z, y: (
        np.exp(z) - y * z + np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0)), 0.0) - y
    ),
    "binary_cross_entropy": lambda z, y: np.logaddexp(0.0, z) - y * z,
    "hinge": lambda z, y: _positive(1 - y * z),
    "squared_hinge": lambda z, y: np.square(_positive(1 - y * z)),
}


def _positive(x: Any) -> Any:
    return np.where(x > 0, x, 0.0)


def graph(
    net: Architecture,
    parameters: Array,
    x: Array,
    target: Array,
    weight: Array | TargetWeights | None,
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
    if isinstance(weight, TargetWeights):
        factors = weight.factors.astype(dtype)
        of_rows = np.sum(
            _losses_of_targets(z, y, factors.shape[1], loss, net.output) * factors, axis=1
        )
        weight = weight.rows
    else:
        of_rows = _losses(z, y, target, loss, net.output)
    if weight is None:
        mean = np.mean(of_rows)
    else:
        total = np.asarray(weight.sum(dtype=np.float64), dtype)
        mean = np.sum(of_rows * weight.astype(dtype)) / total
    return Graph(
        [rows, *(p for pair in zip(weights, biases, strict=True) for p in pair), y],
        [label(mean, "loss")],
    )


def _activation(activation: str | CustomActivation) -> Callable[[Any], Any]:
    if isinstance(activation, str):
        return activations.named(activation).expression
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
        if loss.outputs_a_target:
            targets = z.shape[1] // loss.outputs_a_target
            return np.sum(_losses_of_targets(z, y, targets, loss, output), axis=1)
        value = f(z, y)
        return np.sum(value, axis=1) if value.ndim == 2 else value
    if loss.name == "multiclass_hinge":
        return _multiclass_hinge(z, target)
    if loss.name == "cross_entropy":
        return _cross_entropy(z, y)
    return np.sum(of_each_output(loss, output)(z, y), axis=1)


def _losses_of_targets(z: Any, y: Node, targets: int, loss: Any, output: str) -> Any:
    """Loss of every target, ``(n, targets)``."""
    if not isinstance(loss, CustomLoss):
        return of_each_output(loss, output)(z, y)
    shape = -1, z.shape[1] // targets
    value = loss.function.f(np.reshape(z, shape), np.reshape(y, shape))  # type: ignore[attr-defined]
    return np.reshape(value, (-1, targets))


def of_each_output(loss: Loss, output: str) -> Callable[[Any, Any], Any]:
    """``(z, y) -> (n, n_out)`` of a loss that is a sum over outputs; ``ValueError`` for others."""
    if loss.name in OF_ONE_SCORE:
        return OF_ONE_SCORE[loss.name]
    if loss.name in ("cross_entropy", "multiclass_hinge"):
        raise ValueError(f"{loss.name} is no sum over outputs")
    of_residual = _of_outputs(loss)
    if output == "identity":
        return lambda z, y: of_residual(z - y)
    activation = _activation(output)
    return lambda z, y: of_residual(label(activation(z), "a") - y)


def _of_outputs(loss: Loss) -> Callable[[Any], Any]:
    described: Any = losses.get(loss)
    f: Callable[[Any], Any] = described.expression
    return f


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
