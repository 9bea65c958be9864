"""Levenberg–Marquardt on the whole batch.

One epoch is one iteration: the Gauss–Newton matrix of all rows, then steps with more and more
damping until one lowers the cost. ``fit`` uses these where the optimizer is a
:class:`~fastmlp.optimizers.LevenbergMarquardt` or
:class:`~fastmlp.optimizers.BayesianRegularization`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from fastmlp import kernels

from ..._derivatives import gauss_newton
from ..._network import parameters
from ..._typing import Array
from ...optimizers._directions import Curvature
from . import cholesky
from .base import Cost, FullBatchTrainer, Rows

#: Damping, as a multiple of the matrix's largest diagonal element, at which a run ends.
_MOST_DAMPING = 1e10
#: Matrices that are held at a time: the sum, the damped one, its factor, a product.
_MATRICES = 4
#: Smallest damping of all, so that it can rise again.
_LEAST_DAMPING = 1e-20


class _Point(NamedTuple):
    """A network at other parameters, for the matrix."""

    architecture: Any
    parameters: Array
    n_threads: int | None


class DampedTrainer(FullBatchTrainer):
    """Levenberg–Marquardt: ``(G + l2 D + λ I) s = -∇C``.

    ``G`` is the generalised Gauss–Newton matrix of the mean loss, ``D`` 1 for weights and 0 for
    biases, ``λ`` the damping. All of it is of the parameters that learn: others are no unknowns.

    Parameters
    ----------
    network : Network
        Its architecture, dtype and number of threads.
    cost : function
        Value and gradient of the whole cost.
    loss : Loss
    damping : Curvature
    l2 : float
    learning : sequence of bool
        Which layers learn; all of them by default.

    Attributes
    ----------
    curves : dict of float
        What the history records after each epoch: ``damping``.
    """

    def __init__(
        self,
        network: Any,
        cost: Cost,
        loss: Any,
        damping: Curvature,
        *,
        l2: float = 0.0,
        learning: Sequence[bool] = (),
    ) -> None:
        self._architecture, self._n_threads = network.architecture, network.n_threads
        #: Computes the matrix; several ranks share it.
        self.matrix: Callable[..., Array] = gauss_newton.total
        #: Of what this process has: that of all ranks, where each has rows of its own.
        self.of_all: Callable[[float], float] = float
        n = self._architecture.n_parameters
        stays = parameters.frozen(self._architecture, learning)
        super().__init__(cost, n, network.dtype, stays)
        self._loss, self._damping, self._learning = loss, damping, tuple(learning)
        #: Where the parameters that learn are.
        self._free: Any = slice(None) if stays is None else np.flatnonzero(~stays)
        penalty = np.zeros(n)
        penalty[: n - sum(self._architecture.sizes[1:])] = l2
        self._penalty = penalty[self._free]
        self._lambda = math.nan

    @property
    def curves(self) -> dict[str, float]:
        return {"damping": self._lambda}

    def _forget(self) -> None:
        self._lambda = math.nan

    def _learnt(self) -> dict[str, Any]:
        return {"damping": self._lambda}

    def _take_over(self, memory: dict[str, Any]) -> None:
        self._lambda = float(memory["damping"])

    def _iterate(self, value: float, gradient: Array, rows: Rows) -> None:
        x, target, weight = rows
        point = _Point(self._architecture, self._parameters, self._n_threads)
        matrix = self.matrix(point, x, target, self._loss, weight, self._learning)
        self._descend(matrix, value, gradient[self._free], rows)

    def _evaluate(self, parameters: Array, rows: Rows) -> tuple[float, Array]:
        value, gradient = super()._evaluate(parameters, rows)
        return value, gradient.astype(np.float64)

    def _descend(self, matrix: Array, value: float, gradient: Array, rows: Rows) -> None:
        """Step with more and more damping, until the cost is lower."""
        diagonal = matrix.reshape(-1)[:: len(matrix) + 1]
        diagonal += self._penalty
        largest = max(float(diagonal.max(initial=0.0)), _LEAST_DAMPING)
        if math.isnan(self._lambda):
            self._lambda = self._damping.initial * largest
        undamped = diagonal.copy()
        while self._lambda <= _MOST_DAMPING * largest:
            diagonal[...] = undamped + self._lambda
            step = cholesky.solve(matrix, -gradient, self._n_threads)
            if step is not None and self._try(step, value, rows):
                self._lambda = max(self._lambda * self._damping.down, _LEAST_DAMPING)
                return
            self._lambda *= self._damping.up
        self.stuck = "no step lowers the loss, however much it is damped"

    def _try(self, step: Array, value: float, rows: Rows) -> bool:
        """Go along a step if that lowers what is descended."""
        there = self._parameters.copy()
        there[self._free] = there[self._free] + step
        if np.array_equal(there, self._parameters):
            return False
        new = self._evaluate(there, rows)
        if not (self._height(new[0], there, rows) < value and np.isfinite(new[1]).all()):
            return False
        self._parameters, self._here = there, new
        self.learning_rate = 1.0
        return True

    def _height(self, cost: float, parameters: Array, rows: Rows) -> float:
        """What is descended, where the cost is known."""
        return cost


def trainer(
    network: Any, loss: Any, method: Curvature, cost: Cost, **options: Any
) -> DampedTrainer:
    """The trainer of an optimizer; options as of :class:`DampedTrainer`.

    Raises
    ------
    ValueError
        For a loss without curvature, or a network of too many parameters, which says what memory
        that would take.
    """
    spec = kernels.Loss.of(loss)
    gauss_newton.check(spec)
    n = gauss_newton.order(network.architecture, options.get("learning", ()))
    if n > method.max_parameters:
        raise ValueError(
            f"{method.name} takes {_MATRICES} matrices of {n} x {n} numbers, "
            f"{_MATRICES * 8 * n * n / 2**30:.2g} GiB, and is for at most max_parameters="
            f"{method.max_parameters} parameters, got {n}; take optimizers.LBFGS()"
        )
    if method.evidence is None:
        return DampedTrainer(network, cost, spec, method, **options)
    if spec.name != "squared_error":
        raise ValueError(f"{method.name} needs the loss 'squared_error', got {spec.name!r}")
    if options.get("l2"):
        raise ValueError(f"{method.name} finds the penalty itself: l2 must be 0")
    from . import evidence  # of no use to others

    return evidence.EvidenceTrainer(network, cost, spec, method, method.evidence, **options)
