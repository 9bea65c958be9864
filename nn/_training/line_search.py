"""Descent by line search on the whole batch, with the interface of the engine's trainer.

One epoch is one iteration: the direction from the gradient, a line search along it, and there the
next value and gradient, which the engine computes. ``fit`` uses :class:`LineSearchTrainer` where
the optimizer is a :class:`~fastmlp.optimizers.GradientDescent` with a line search or an
:class:`~fastmlp.optimizers.LBFGS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._typing import Array
from ..optimizers._directions import Method

#: ``(parameters, rows, targets, row weights, out) -> cost``, the gradient being written to ``out``.
Cost = Callable[[Array, Array, Array, Array | None, Array], float]


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

    def memory(self) -> dict[str, Any]:
        """A copy of what was learnt from earlier iterations, for :meth:`remember`."""
        here = None if self._here is None else [self._here[0], self._here[1].copy()]
        return {"method": self._method.state(), "here": here, "flattest": self._flattest}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take over what an equal trainer has learnt; :meth:`load` forgets it."""
        self._method.restore(memory["method"])
        here = memory["here"]
        self._here = None if here is None else (float(here[0]), here[1].copy())
        self._flattest = float(memory["flattest"])

    def new_rows(self) -> None:
        """Go on with other rows, for which the cost at the present parameters is not known."""
        self._here = None

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
