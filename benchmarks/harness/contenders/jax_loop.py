"""JAX: the whole epoch in one jitted scan, so that Python is entered once per epoch."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ..problem import Array, Problem, Setting
from ..shapes import CONSTANTS, Shape

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}
Layers = list[tuple[Any, Any]]


def _loss(shape: Shape, layers: Layers, x: Any, y: Any) -> Any:
    for w, b in layers[:-1]:
        x = ACTIVATIONS[shape.activation](x @ w + b)
    z = x @ layers[-1][0] + layers[-1][1]
    if shape.loss == "cross_entropy":
        picked = jnp.take_along_axis(z, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - picked)
    if shape.loss == "binary_cross_entropy":
        return jnp.sum(jax.nn.softplus(z) - y * z) / shape.batch
    a = jax.nn.sigmoid(z) if shape.output == "sigmoid" else z
    return 0.5 * jnp.sum(jnp.square(a - y)) / shape.batch


def _update(shape: Shape, epsilon: Any, rate: Any, layers: Any, state: Any, gradient: Any) -> Any:
    """New layers and optimizer state ``(t, slots)``."""
    step, slots = state
    constants, step = CONSTANTS[shape.rule], step + 1
    each = jax.tree.map
    if shape.rule == "adam":
        beta_1, beta_2 = constants["beta_1"], constants["beta_2"]
        first = each(lambda m, g: beta_1 * m + (1 - beta_1) * g, slots[0], gradient)
        second = each(lambda v, g: beta_2 * v + (1 - beta_2) * g * g, slots[1], gradient)
        root = jnp.sqrt(1 - beta_2**step)
        scale = rate * root / (1 - beta_1**step)
        layers = each(
            lambda p, m, v: p - scale * m / (jnp.sqrt(v) + epsilon * root), layers, first, second
        )
        return layers, (step, (first, second))
    if shape.rule == "momentum":
        momentum = constants["momentum"]
        velocity = each(lambda v, g: momentum * v - rate * g, slots[0], gradient)
        return each(jnp.add, layers, velocity), (step, (velocity,))
    return each(lambda p, g: p - rate * g, layers, gradient), (step, ())


def _epoch(shape: Shape) -> Callable[..., Any]:
    @partial(jax.jit, donate_argnums=(0, 1))
    def epoch(
        layers: Layers, state: Any, x: Any, y: Any, batches: Any, epsilon: Any, rate: Any
    ) -> Any:
        def step(carry: Any, rows: Any) -> Any:
            value, gradient = jax.value_and_grad(partial(_loss, shape))(carry[0], x[rows], y[rows])
            return _update(shape, epsilon, rate, *carry, gradient), value

        (layers, state), values = jax.lax.scan(step, (layers, state), batches)
        return layers, state, jnp.mean(values)

    return epoch


class Jax:
    """A pytree of layers, ``value_and_grad``, and an update written out."""

    epsilon_hat: ClassVar[bool] = False

    @classmethod
    def definition(cls, shape: Shape) -> Shape:
        return shape

    def __init__(self, shape: Shape, problem: Problem, setting: Setting) -> None:
        dtype = problem.x.dtype
        if dtype == np.float64 and not jax.config.jax_enable_x64:
            raise RuntimeError("JAX computes float64 only if JAX_ENABLE_X64=1 is set at its import")
        # XLA's thread pool is as large as NPROC says; a number per call does not exist.
        if setting.n_threads is not None and "NPROC" not in os.environ:
            raise RuntimeError("set the thread limits with harness.isolated")
        views = shape.architecture.views(problem.parameters)
        self._layers = [(jnp.array(w), jnp.array(b)) for w, b in zip(*views, strict=True)]
        slots = {"adam": 2, "momentum": 1, "sgd": 0}[shape.rule]
        zeros = tuple(jax.tree.map(jnp.zeros_like, self._layers) for _ in range(slots))
        self._state = (jnp.zeros((), dtype), zeros)
        batches = problem.order.reshape(-1, shape.batch).astype(np.int32)
        self._data = tuple(map(jnp.array, (problem.x, problem.target, batches)))
        self._numbers = tuple(
            jnp.array(value, dtype) for value in (setting.epsilon, setting.learning_rate)
        )
        self._epoch = _epoch(shape)

    def epoch(self) -> float:
        self._layers, self._state, loss = self._epoch(
            self._layers, self._state, *self._data, *self._numbers
        )
        return float(loss)

    def parameters(self) -> Array:
        weights = [np.asarray(w).ravel() for w, _ in self._layers]
        biases = [np.asarray(b) for _, b in self._layers]
        return np.concatenate([*weights, *biases])
