"""Trainers whose epoch is one iteration on all rows, with the interface of the engine's trainer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._typing import Array

#: ``(parameters, rows, targets, row weights, out) -> cost``, the gradient being written to ``out``.
Cost = Callable[[Array, Array, Array, Array | None, Array], float]
#: Rows, targets and row weights.
Rows = tuple[Any, Array, Array | None]
#: Cost and gradient of some parameters, the latter where it has come with the former.
Here = tuple[float, "Array | None"]


def remembered(here: Here | None) -> list[Any] | None:
    """A copy for a memory; ``None`` where it has to be evaluated once more."""
    return None if here is None or here[1] is None else [here[0], here[1].copy()]


def recalled(memory: Any) -> Here | None:
    """What :func:`remembered` has given."""
    return None if memory is None else (float(memory[0]), memory[1].copy())


class FullBatchTrainer:
    """What the training loop takes for a trainer of ``fastmlp.kernels``.

    A subclass says in :meth:`_evaluate` what is descended, in :meth:`_iterate` what an iteration
    is, and in :meth:`_forget`, :meth:`_learnt` and :meth:`_take_over` what it learns from one for
    the next.

    Parameters
    ----------
    n_parameters : int
    dtype : float32 or float64
    frozen : (n_parameters,) array of bool, optional
        Parameters that stay.

    Attributes
    ----------
    step : int
        Iterations so far.
    gradient_norm : float
        ``‖∇C‖`` at the beginning of the last iteration.
    learning_rate : float
        Length of the last iteration's step as a multiple of its direction, 0 where there was none.
    stuck : str or None
        Why no further iteration is of use.
    """

    def __init__(self, n_parameters: int, dtype: Any, frozen: Array | None) -> None:
        self._frozen = frozen
        self._parameters = np.zeros(n_parameters, dtype)
        #: Value and gradient at the present parameters, where they are known.
        self._here: Here | None = None
        self.step = 0
        self.gradient_norm = self.learning_rate = 0.0
        self.stuck: str | None = None

    # State

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters in and forget what was learnt from earlier iterations."""
        self._parameters[...] = parameters
        self._here, self.step = None, step
        self._forget()

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters out."""
        parameters[...] = self._parameters

    def memory(self) -> dict[str, Any]:
        """A copy of what was learnt from earlier iterations, for :meth:`remember`."""
        return {"here": remembered(self._here), **self._learnt()}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take over what an equal trainer has learnt; :meth:`load` forgets it."""
        self._here = recalled(memory["here"])
        self._take_over(memory)

    def new_rows(self) -> None:
        """Go on with other rows, for which the cost at the present parameters is not known."""
        self._here = None

    # Iterations

    def run_epoch(
        self,
        x: Any,
        target: Array,
        order: Array | None,
        learning_rate: float | Array,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Make one iteration; return the cost before it. Order and learning rate are not used."""
        rows = x, target, sample_weight
        self._here = self._here or self._evaluate(self._parameters, rows)
        value, self.learning_rate = self._here[0], 0.0
        self.step += 1
        if not math.isfinite(value):
            self.gradient_norm = math.nan
            return value
        gradient = self._gradient(rows)
        self.gradient_norm = float(np.sqrt(gradient @ gradient))
        if not math.isfinite(self.gradient_norm):
            return math.nan
        if self.gradient_norm == 0:
            self.stuck = "the gradient is zero"
        else:
            self._iterate(value, gradient, rows)
        return value

    def _evaluate(self, parameters: Array, rows: Rows) -> Here:
        """Cost, and its gradient where that comes with it."""
        raise NotImplementedError

    def _gradient(self, rows: Rows) -> Array:
        """Gradient of the cost at the present parameters."""
        assert self._here is not None
        assert self._here[1] is not None
        return self._here[1]

    def _iterate(self, value: float, gradient: Array, rows: Rows) -> None:
        """Go to parameters of lower cost, or say in ``stuck`` why there are none."""
        raise NotImplementedError

    # What is learnt

    def _forget(self) -> None:
        """Begin as on the first iteration."""

    def _learnt(self) -> dict[str, Any]:
        """A copy of what is kept from one iteration to the next."""
        return {}

    def _take_over(self, memory: dict[str, Any]) -> None:
        """Go on with what :meth:`_learnt` of an equal trainer has given."""
