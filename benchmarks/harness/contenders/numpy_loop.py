"""NumPy by hand: what a careful person writes, with every array of a step allocated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ..problem import Array, Problem, Setting
from ..shapes import CONSTANTS, Shape


def _sigmoid(a: Array) -> None:
    a *= 0.5
    np.tanh(a, out=a)
    a *= 0.5
    a += 0.5


def _relu_backward(delta: Array, a: Array) -> None:
    delta *= a > 0


def _tanh_backward(delta: Array, a: Array) -> None:
    delta *= 1 - a * a


def _sigmoid_backward(delta: Array, a: Array) -> None:
    delta *= a * (1 - a)


#: Activation → (in place forward, in place product with σ').
ACTIVATIONS: dict[str, tuple[Callable[[Array], object], Callable[[Array, Array], None]]] = {
    "relu": (lambda a: np.maximum(a, 0, out=a), _relu_backward),
    "tanh": (lambda a: np.tanh(a, out=a), _tanh_backward),
    "sigmoid": (_sigmoid, _sigmoid_backward),
}


class NumpyByHand:
    """A training loop of plain NumPy calls."""

    epsilon_hat: ClassVar[bool] = False

    @classmethod
    def definition(cls, shape: Shape) -> Shape:
        return shape

    def __init__(self, shape: Shape, problem: Problem, setting: Setting) -> None:
        self._shape, self._problem, self._setting = shape, problem, setting
        dtype = problem.x.dtype
        self._flat = problem.parameters.copy()
        self._gradient = np.empty_like(self._flat)
        self._state = np.zeros((2, len(self._flat)), dtype)
        self._scratch = np.empty_like(self._flat)
        self._weights, self._biases = shape.architecture.views(self._flat)
        self._d_weights, self._d_biases = shape.architecture.views(self._gradient)
        self._a = [np.empty((shape.batch, n), dtype) for n in shape.sizes]
        self._delta = [np.empty((shape.batch, n), dtype) for n in shape.sizes[1:]]
        self._row = np.arange(shape.batch)
        self._step = 0

    def parameters(self) -> Array:
        return self._flat

    def epoch(self) -> float:
        batch, order = self._shape.batch, self._problem.order
        total = 0.0
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            np.take(self._problem.x, rows, axis=0, out=self._a[0], mode="clip")
            total += self._backpropagate(self._problem.target[rows])
            self._update()
        return total / len(order)

    def _backpropagate(self, y: Array) -> float:
        """Write the gradient of the mean loss; returns the sum of the losses of the rows."""
        forward, backward = ACTIVATIONS[self._shape.activation]
        last = len(self._weights) - 1
        for level, (w, b) in enumerate(zip(self._weights, self._biases, strict=True)):
            a = np.matmul(self._a[level], w, out=self._a[level + 1])
            a += b
            if level < last:
                forward(a)
        loss = self._output(self._a[-1], y, self._delta[-1])
        for level in range(last, -1, -1):
            delta = self._delta[level]
            np.matmul(self._a[level].T, delta, out=self._d_weights[level])
            np.add.reduce(delta, axis=0, out=self._d_biases[level])
            if level:
                np.matmul(delta, self._weights[level].T, out=self._delta[level - 1])
                backward(self._delta[level - 1], self._a[level])
        return loss

    def _output(self, z: Array, y: Array, delta: Array) -> float:
        """Loss of the rows from the scores ``z``, and their error divided by the rows."""
        if self._shape.loss == "cross_entropy":
            z -= z.max(axis=1, keepdims=True)
            np.exp(z, out=delta)
            total = delta.sum(axis=1, keepdims=True)
            loss = float(np.log(total).sum() - z[self._row, y].sum())
            delta /= total
            delta[self._row, y] -= 1
        elif self._shape.loss == "binary_cross_entropy":
            loss = float((np.logaddexp(0, z) - y * z).sum())
            _sigmoid(z)
            np.subtract(z, y, out=delta)
        else:
            if self._shape.output == "sigmoid":
                _sigmoid(z)
            np.subtract(z, y, out=delta)
            loss = 0.5 * float(np.vdot(delta, delta))
            if self._shape.output == "sigmoid":
                _sigmoid_backward(delta, z)
        delta *= 1 / len(y)
        return loss

    def _update(self) -> None:
        self._step += 1
        rate, constants = self._setting.learning_rate, CONSTANTS[self._shape.rule]
        gradient, scratch = self._gradient, self._scratch
        if self._shape.rule == "adam":
            m, v = self._state
            beta_1, beta_2 = constants["beta_1"], constants["beta_2"]
            root = (1 - beta_2**self._step) ** 0.5
            m *= beta_1
            m += np.multiply(gradient, 1 - beta_1, out=scratch)
            v *= beta_2
            np.multiply(gradient, gradient, out=scratch)
            scratch *= 1 - beta_2
            v += scratch
            np.sqrt(v, out=scratch)
            scratch += self._setting.epsilon * root
            np.divide(m, scratch, out=scratch)
            scratch *= rate * root / (1 - beta_1**self._step)
            self._flat -= scratch
            return
        gradient *= rate
        if self._shape.rule == "momentum":
            velocity = self._state[0]
            velocity *= constants["momentum"]
            velocity -= gradient
            self._flat += velocity
        else:
            self._flat -= gradient
