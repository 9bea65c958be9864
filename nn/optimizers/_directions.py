"""Search directions of the full-batch optimizers: steepest descent and L-BFGS."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._typing import Array, Penalties
from ..line_search import Found, Phi, armijo, wolfe


class Evidence(NamedTuple):
    """How Bayesian regularisation learns its penalty: see ``optimizers.BayesianRegularization``."""

    penalties: Penalties
    starts: tuple[int, ...]
    trial: int


class Curvature(NamedTuple):
    """How a second-order optimizer goes on: the constants of its damping, and its limit.

    Attributes
    ----------
    name : str
        The optimizer's, for errors.
    initial, up, down : float
        Damping of the first iteration, as a multiple of the matrix's largest diagonal element, and
        its factors after a step that failed, and one that did not.
    max_parameters : int
    evidence : Evidence, optional
        How the penalty is learnt on the way, where it is.
    """

    name: str
    initial: float
    up: float
    down: float
    max_parameters: int
    evidence: Evidence | None = None


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
        """Discard the curvature history.

        Returns ``False`` if the last direction already was the plain gradient.
        """

    def state(self) -> dict[str, Any]:
        """All that was learnt: arrays and numbers, as copies."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state` has given."""


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

    def state(self) -> dict[str, Any]:
        return {"step": self._step}

    def restore(self, state: dict[str, Any]) -> None:
        self._step = float(state["step"])


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

    def state(self) -> dict[str, Any]:
        return {"pairs": [[s.copy(), y.copy(), curvature] for s, y, curvature in self._pairs]}

    def restore(self, state: dict[str, Any]) -> None:
        self._pairs.clear()
        for s, y, curvature in state["pairs"]:
            self._pairs.append((s.copy(), y.copy(), float(curvature)))
