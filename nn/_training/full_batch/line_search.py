"""Descent by line search on the whole batch.

One epoch is one iteration: the direction from the gradient, a line search along it, and there the
next value and gradient, which the engine computes. ``fit`` uses :class:`LineSearchTrainer` where
the optimizer is a :class:`~fastmlp.optimizers.GradientDescent` with a line search or an
:class:`~fastmlp.optimizers.LBFGS`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._typing import Array
from ...optimizers._directions import Method
from .base import Cost, FullBatchTrainer, Rows


class LineSearchTrainer(FullBatchTrainer):
    """Steps along the directions of a method, each of the length that a line search finds.

    Parameters
    ----------
    cost : function
        Value and gradient of the whole cost.
    method : Method
    n_parameters : int
    dtype : float32 or float64
    frozen : (n_parameters,) array of bool, optional
        Parameters that stay.
    """

    def __init__(
        self, cost: Cost, method: Method, n_parameters: int, dtype: Any, frozen: Array | None
    ) -> None:
        super().__init__(n_parameters, dtype, frozen)
        self._cost, self._method = cost, method
        self._flattest = math.inf  # least squared norm of a gradient so far

    def _forget(self) -> None:
        self._flattest = math.inf
        self._method.forget()

    def _learnt(self) -> dict[str, Any]:
        return {"method": self._method.state(), "flattest": self._flattest}

    def _take_over(self, memory: dict[str, Any]) -> None:
        self._method.restore(memory["method"])
        self._flattest = float(memory["flattest"])

    def _evaluate(self, parameters: Array, rows: Rows) -> tuple[float, Array]:
        """Cost and its gradient."""
        gradient = np.empty_like(parameters)
        value = self._cost(parameters, *rows, gradient)
        if self._frozen is not None:
            gradient[self._frozen] = 0
        return value, gradient

    def _iterate(self, value: float, gradient: Array, rows: Rows) -> None:
        self._flattest = min(self._flattest, self.gradient_norm**2)
        while not self._search(value, gradient, rows):
            if not self._method.forget():
                self.stuck = "no step along the search direction lowers the loss"
                break

    def _search(self, value: float, gradient: Array, rows: Rows) -> bool:
        """Search along the method's direction and go there; ``False`` where there is no way."""
        direction = self._method.direction(gradient)
        slope = float(gradient @ direction)
        if not slope < 0:
            return False
        seen: tuple[float, float, Array] = (0.0, value, gradient)

        def phi(step: float) -> tuple[float, float]:
            nonlocal seen
            new, new_gradient = self._evaluate(self._parameters + step * direction, rows)
            seen = (step, new, new_gradient)
            return new, float(new_gradient @ direction)

        epsilon = float(np.finfo(direction.dtype).eps)
        first = self._method.first_step(self.gradient_norm)
        found = self._method.search(phi, value, slope, first, 4 * epsilon * abs(value))
        if found.step == 0:
            return False
        parameters = self._parameters + found.step * direction
        new, new_gradient = seen[1:] if seen[0] == found.step else self._evaluate(parameters, rows)
        flatness = float(new_gradient @ new_gradient)
        if new >= value and flatness >= self._flattest:
            return False  # neither lower nor flatter than ever: rounding is all that is left
        self._flattest = min(self._flattest, flatness)
        self._method.moved(found.step, parameters - self._parameters, new_gradient - gradient)
        self._parameters[...] = parameters
        self._here = new, new_gradient
        self.learning_rate = found.step
        return True
