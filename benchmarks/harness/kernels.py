"""Single kernels beside NumPy: each case computes the same numbers in both ways.

``numpy`` is the formula by hand, with results written into arrays that exist; ``matmul``, where the
kernel has a matrix product, is that product and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastmlp import kernels

from .contenders.numpy_loop import ACTIVATIONS

Array = np.ndarray[Any, Any]
Call = Callable[[], Any]

LEARNING_RATE = 1e-6


@dataclass(frozen=True)
class Case:
    """One kernel on given arrays; every call returns what it has computed."""

    flops: int
    numpy: Call
    fastmlp: Call
    inner: int = 1
    matmul: Call | None = None

    def verify(self) -> None:
        """Raise ``AssertionError`` unless both ways give the same numbers."""
        want, got = (np.array(call(), copy=True) for call in (self.numpy, self.fastmlp))
        dtype = want.dtype if want.dtype.itemsize <= got.dtype.itemsize else got.dtype
        tolerance = 16 * math.sqrt(self.inner) * float(np.finfo(dtype).eps)
        largest = float(np.abs(want).max(initial=0))
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * largest)


class Arrays:
    """Inputs for the kernels of one layer: ``rows`` samples, ``n_in`` to ``n_out`` units."""

    def __init__(self, rows: int, n_in: int, n_out: int, dtype: Any) -> None:
        random = np.random.default_rng(0)
        self.dtype = np.dtype(dtype)

        def normal(*shape: int) -> Array:
            return random.standard_normal(shape).astype(dtype)

        self.rows, self.n_in, self.n_out = rows, n_in, n_out
        self.x, self.bias = normal(rows, n_in), normal(n_out)
        self.weights = normal(n_in, n_out) / np.sqrt(n_in).astype(dtype)
        self.delta, self.scores = normal(rows, n_out), normal(rows, n_out)
        self.activations = np.maximum(normal(rows, n_in), 0)
        self.labels = random.integers(n_out, size=rows)
        self.row = np.arange(rows)

    def empty(self, *shape: int) -> Array:
        return np.empty(shape, self.dtype)


def dense_forward(a: Arrays, n_threads: int | None) -> Case:
    out, mine = a.empty(a.rows, a.n_out), a.empty(a.rows, a.n_out)

    def by_hand() -> Array:
        np.matmul(a.x, a.weights, out=out)
        np.add(out, a.bias, out=out)
        return np.maximum(out, 0, out=out)

    return Case(
        2 * a.rows * a.n_in * a.n_out,
        by_hand,
        lambda: kernels.dense_forward(
            a.x, a.weights, a.bias, "relu", out=mine, n_threads=n_threads
        ),
        a.n_in,
        lambda: np.matmul(a.x, a.weights, out=out),
    )


def delta_backward(a: Arrays, n_threads: int | None) -> Case:
    out, mine = a.empty(a.rows, a.n_in), a.empty(a.rows, a.n_in)

    def by_hand() -> Array:
        np.matmul(a.delta, a.weights.T, out=out)
        return np.multiply(out, a.activations > 0, out=out)

    return Case(
        2 * a.rows * a.n_in * a.n_out,
        by_hand,
        lambda: kernels.delta_backward(
            a.delta, a.weights, a.activations, "relu", out=mine, n_threads=n_threads
        ),
        a.n_out,
        lambda: np.matmul(a.delta, a.weights.T, out=out),
    )


def weight_gradient(a: Arrays, n_threads: int | None) -> Case:
    out, mine = a.empty(a.n_in, a.n_out), a.empty(a.n_in, a.n_out)
    scale = a.dtype.type(1 / a.rows)

    def by_hand() -> Array:
        np.matmul(a.x.T, a.delta, out=out)
        return np.multiply(out, scale, out=out)

    return Case(
        2 * a.rows * a.n_in * a.n_out,
        by_hand,
        lambda: kernels.weight_gradient(a.x, a.delta, out=mine, n_threads=n_threads),
        a.rows,
        lambda: np.matmul(a.x.T, a.delta, out=out),
    )


def bias_gradient(a: Arrays, n_threads: int | None) -> Case:
    out, mine = a.empty(a.n_out), a.empty(a.n_out)
    scale = a.dtype.type(1 / a.rows)

    def by_hand() -> Array:
        np.add.reduce(a.delta, axis=0, out=out)
        return np.multiply(out, scale, out=out)

    return Case(
        a.rows * a.n_out,
        by_hand,
        lambda: kernels.bias_gradient(a.delta, out=mine, n_threads=n_threads),
        a.rows,
    )


def activate(a: Arrays, n_threads: int | None) -> Case:
    out, mine = a.empty(a.rows, a.n_out), a.empty(a.rows, a.n_out)
    return Case(
        a.rows * a.n_out,
        lambda: np.tanh(a.scores, out=out),
        lambda: kernels.activate(a.scores, "tanh", out=mine, n_threads=n_threads),
    )


def activation_backward(a: Arrays, n_threads: int | None) -> Case:
    out, mine = a.empty(a.rows, a.n_in), a.empty(a.rows, a.n_in)
    delta = np.random.default_rng(1).standard_normal(out.shape).astype(a.dtype)
    backward = ACTIVATIONS["tanh"][1]
    values = np.tanh(a.x)

    def by_hand() -> Array:
        out[...] = delta
        backward(out, values)
        return out

    return Case(
        3 * a.rows * a.n_in,
        by_hand,
        lambda: kernels.activation_backward(delta, values, "tanh", out=mine, n_threads=n_threads),
    )


def output_delta(a: Arrays, n_threads: int | None) -> Case:
    """Softmax with cross-entropy, class labels."""
    out, mine = a.empty(a.rows, a.n_out), a.empty(a.rows, a.n_out)

    def by_hand() -> Array:
        np.subtract(a.scores, a.scores.max(axis=1, keepdims=True), out=out)
        np.exp(out, out=out)
        np.divide(out, out.sum(axis=1, keepdims=True), out=out)
        out[a.row, a.labels] -= 1
        return out

    return Case(
        4 * a.rows * a.n_out,
        by_hand,
        lambda: kernels.output_delta(
            a.scores, a.labels, "cross_entropy", "softmax", out=mine, n_threads=n_threads
        ),
        a.n_out,
    )


def loss_value(a: Arrays, n_threads: int | None) -> Case:
    """Softmax with cross-entropy, class labels."""
    out = a.empty(a.rows, a.n_out)

    def by_hand() -> Array:
        np.subtract(a.scores, a.scores.max(axis=1, keepdims=True), out=out)
        picked = out[a.row, a.labels]
        total = np.exp(out, out=out).sum(axis=1)
        return np.asarray(np.mean(np.log(total) - picked))

    return Case(
        3 * a.rows * a.n_out,
        by_hand,
        lambda: kernels.loss_value(
            a.scores, a.labels, "cross_entropy", "softmax", n_threads=n_threads
        ),
        a.rows * a.n_out,
    )


def _update(a: Arrays, slots: int) -> tuple[Array, list[Array], list[Array], Array]:
    """A gradient, NumPy's and the kernel's vectors ``[parameters, *state]``, and scratch."""
    first = a.weights.ravel()
    gradient = np.random.default_rng(1).standard_normal(first.shape).astype(a.dtype)
    vectors = [[first.copy(), *(np.zeros_like(first) for _ in range(slots))] for _ in range(2)]
    return gradient, vectors[0], vectors[1], np.empty_like(first)


def sgd_update(a: Arrays, n_threads: int | None) -> Case:
    g, (p,), (q,), scratch = _update(a, 0)

    def by_hand() -> Array:
        np.multiply(g, LEARNING_RATE, out=scratch)
        return np.subtract(p, scratch, out=p)

    def kernel() -> Array:
        kernels.sgd_update(q, g, LEARNING_RATE, n_threads=n_threads)
        return q

    return Case(2 * p.size, by_hand, kernel)


def momentum_update(a: Arrays, n_threads: int | None) -> Case:
    g, (p, v), (q, w), scratch = _update(a, 1)

    def by_hand() -> Array:
        np.multiply(g, LEARNING_RATE, out=scratch)
        np.multiply(v, 0.9, out=v)
        np.subtract(v, scratch, out=v)
        return np.add(p, v, out=p)

    def kernel() -> Array:
        kernels.momentum_update(q, g, w, LEARNING_RATE, 0.9, n_threads=n_threads)
        return q

    return Case(4 * p.size, by_hand, kernel)


def adam_update(a: Arrays, n_threads: int | None) -> Case:
    """As the hundredth step, whose bias corrections are numbers like any other's."""
    g, (p, m, v), (q, m_2, v_2), scratch = _update(a, 2)
    root = math.sqrt(1 - 0.999**100)
    rate = LEARNING_RATE * root / (1 - 0.9**100)

    def by_hand() -> Array:
        np.multiply(m, 0.9, out=m)
        np.multiply(g, 0.1, out=scratch)
        np.add(m, scratch, out=m)
        np.multiply(v, 0.999, out=v)
        np.multiply(g, g, out=scratch)
        np.multiply(scratch, 0.001, out=scratch)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.add(scratch, 1e-8 * root, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, rate, out=scratch)
        return np.subtract(p, scratch, out=p)

    def kernel() -> Array:
        kernels.adam_update(q, g, m_2, v_2, 100, LEARNING_RATE, n_threads=n_threads)
        return q

    return Case(12 * p.size, by_hand, kernel)


#: Name of a kernel → the function that makes its case.
CASES: dict[str, Callable[[Arrays, int | None], Case]] = {
    make.__name__: make
    for make in (
        dense_forward,
        delta_backward,
        weight_gradient,
        bias_gradient,
        activate,
        activation_backward,
        output_delta,
        loss_value,
        sgd_update,
        momentum_update,
        adam_update,
    )
}
