"""Descent by line search on the whole batch, with the interface of the engine's trainer.

One epoch is one iteration: the direction from the gradient, a line search along it, and there the
next value and gradient, which the engine computes. ``fit`` uses :class:`LineSearchTrainer` where
the optimizer is a :class:`~fastmlp.optimizers.GradientDescent` with a line search or an
:class:`~fastmlp.optimizers.LBFGS`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .._typing import Array
from ..line_search import Found, Phi, armijo, wolfe

#: ``(parameters, rows, targets, row weights, out) -> cost``, the gradient being written to ``out``.
Cost = Callable[[Array, Array, Array, Array | None, Array], float]


class Method(Protocol):
    """Where to go, and how far to look first."""

    def direction(self, gradient: Array) -> Array:
        """A direction in which the cost falls."""

    def first_step(self, gradient_norm: float) -> float:
        """First trial of the line search."""

    def moved(self, step: float, change: Array, gradient_change: Array) -> None:
        """Learn from a finished iteration."""

    def search(self, phi: Phi, value: float, slope: float, step: float, rounding: float) -> Found:
        """Search along the direction."""

    def forget(self) -> bool:
        """Start anew from the plain gradient; ``False`` where that is what was done already."""


class SteepestDescent:
    """Along ``-∇C``, by Armijo's or Wolfe's conditions.

    Parameters
    ----------
    kind : {"armijo", "wolfe"}
    step : float
        First trial of the first iteration; later ones try the last step, made longer once.
    c1, c2, shrink : float
        Constants of :mod:`fastmlp.line_search`.
    """

    def __init__(self, kind: str, step: float, c1: float, c2: float, shrink: float) -> None:
        self.kind, self.c1, self.c2, self.shrink = kind, c1, c2, shrink
        self._step = self._initial = step

    def direction(self, gradient: Array) -> Array:
        return -gradient

    def first_step(self, gradient_norm: float) -> float:
        return self._step

    def moved(self, step: float, change: Array, gradient_change: Array) -> None:
        self._step = step / self.shrink

    def search(self, phi: Phi, value: float, slope: float, step: float, rounding: float) -> Found:
        if self.kind == "armijo":
            return armijo(phi, value, slope, step=step, c1=self.c1, shrink=self.shrink)
        return wolfe(phi, value, slope, step=step, c1=self.c1, c2=self.c2, tolerance=rounding)

    def forget(self) -> bool:
        first = self._step == self._initial
        self._step = self._initial
        return not first


class QuasiNewton:
    """Along ``-H ∇C``, where ``H`` approximates the inverse Hessian from the last changes: L-BFGS.

    The two-loop recursion of Nocedal and Wright, *Numerical Optimization* (2006), algorithm 7.4,
    with ``H₀ = (s·y / y·y) I``.

    Parameters
    ----------
    memory : int
        Pairs ``(s, y)`` of changes of parameters and gradient that are kept.
    c1, c2 : float
        Constants of the strong Wolfe conditions.
    step : float
        First trial, which is 1 once there is a pair.
    """

    def __init__(self, memory: int, c1: float, c2: float, step: float) -> None:
        self.c1, self.c2, self._initial = c1, c2, step
        self._pairs: deque[tuple[Array, Array, float]] = deque(maxlen=memory)

    def direction(self, gradient: Array) -> Array:
        q = -gradient
        factors = []
        for s, y, curvature in reversed(self._pairs):
            factors.append(float(s @ q) / curvature)
            q -= factors[-1] * y
        if self._pairs:
            _, y, curvature = self._pairs[-1]
            q *= curvature / float(y @ y)
        for (s, y, curvature), factor in zip(self._pairs, reversed(factors), strict=True):
            q += (factor - float(y @ q) / curvature) * s
        return q

    def first_step(self, gradient_norm: float) -> float:
        # The gradient alone says nothing of the scale: at first the parameters move by at most 1.
        return self._initial * (1.0 if self._pairs else min(1.0, 1 / gradient_norm))

    def moved(self, step: float, change: Array, gradient_change: Array) -> None:
        curvature = float(change @ gradient_change)
        # Without this H would not stay positive definite.
        if curvature > np.finfo(change.dtype).eps * float(gradient_change @ gradient_change):
            self._pairs.append((change, gradient_change, curvature))

    def search(self, phi: Phi, value: float, slope: float, step: float, rounding: float) -> Found:
        return wolfe(phi, value, slope, step=step, c1=self.c1, c2=self.c2, tolerance=rounding)

    def forget(self) -> bool:
        had = bool(self._pairs)
        self._pairs.clear()
        return had


class LineSearchTrainer:
    """What the training loop takes for a trainer of ``fastmlp.kernels``.

    Parameters
    ----------
    cost : function
        Value and gradient of the whole cost.
    method : Method
    n_parameters : int
    dtype : float32 or float64
    frozen : (n_parameters,) array of bool, optional
        Parameters that stay.

    Attributes
    ----------
    step : int
        Iterations so far.
    evaluations : int
        Values and gradients computed so far.
    gradient_norm : float
        ``‖∇C‖`` at the beginning of the last iteration.
    learning_rate : float
        The step that the last line search has found.
    stuck : str or None
        Why no further iteration is of use.
    """

    def __init__(
        self, cost: Cost, method: Method, n_parameters: int, dtype: Any, frozen: Array | None
    ) -> None:
        self._cost, self._method, self._frozen = cost, method, frozen
        self._parameters = np.zeros(n_parameters, dtype)
        self._state = np.zeros((0, n_parameters), dtype)
        #: Value and gradient at the present parameters, where they are known.
        self._here: tuple[float, Array] | None = None
        self._flattest = math.inf  # least squared norm of a gradient so far
        self.step = self.evaluations = 0
        self.gradient_norm = self.learning_rate = 0.0
        self.stuck: str | None = None

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters in and forget what was learnt from earlier iterations."""
        self._parameters[...] = parameters
        self._here, self.step, self._flattest = None, step, math.inf
        self._method.forget()

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters out."""
        parameters[...] = self._parameters

    def run_epoch(
        self,
        x: Array,
        target: Array,
        order: Array | None,
        learning_rate: float | Array,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Make one iteration; return the cost before it. Order and learning rate are not used."""

        def evaluate(parameters: Array) -> tuple[float, Array]:
            gradient = np.empty_like(parameters)
            value = self._cost(parameters, x, target, sample_weight, gradient)
            if self._frozen is not None:
                gradient[self._frozen] = 0
            self.evaluations += 1
            return value, gradient

        value, gradient = self._here or evaluate(self._parameters)
        self.gradient_norm = float(np.sqrt(gradient @ gradient))
        self._flattest = min(self._flattest, self.gradient_norm**2)
        self.step += 1
        self.learning_rate = 0.0
        if not math.isfinite(self.gradient_norm + value):
            return math.nan if math.isfinite(value) else value
        if self.gradient_norm == 0:
            self.stuck = "the gradient is zero"
            return value
        while not self._iterate(evaluate, value, gradient):
            if not self._method.forget():
                self.stuck = "no step along the search direction lowers the loss"
                break
        return value

    def _iterate(
        self, evaluate: Callable[[Array], tuple[float, Array]], value: float, gradient: Array
    ) -> bool:
        """Search along the method's direction and go there; ``False`` where there is no way."""
        direction = self._method.direction(gradient)
        slope = float(gradient @ direction)
        if not slope < 0:
            return False
        seen: tuple[float, float, Array] = (0.0, value, gradient)

        def phi(step: float) -> tuple[float, float]:
            nonlocal seen
            new, new_gradient = evaluate(self._parameters + step * direction)
            seen = (step, new, new_gradient)
            return new, float(new_gradient @ direction)

        epsilon = float(np.finfo(direction.dtype).eps)
        first = self._method.first_step(self.gradient_norm)
        found = self._method.search(phi, value, slope, first, 4 * epsilon * abs(value))
        if found.step == 0:
            return False
        parameters = self._parameters + found.step * direction
        new, new_gradient = seen[1:] if seen[0] == found.step else evaluate(parameters)
        flatness = float(new_gradient @ new_gradient)
        if new >= value and flatness >= self._flattest:
            return False  # neither lower nor flatter than ever: rounding is all that is left
        self._flattest = min(self._flattest, flatness)
        self._method.moved(found.step, parameters - self._parameters, new_gradient - gradient)
        self._parameters[...] = parameters
        self._here = new, new_gradient
        self.learning_rate = found.step
        return True
