"""Levenberg–Marquardt on the whole batch.

One epoch is one iteration: the Gauss–Newton matrix of all rows, then steps with more and more
damping until one lowers the cost. ``fit`` uses these where the optimizer is a
:class:`~fastmlp.optimizers.LevenbergMarquardt` or
:class:`~fastmlp.optimizers.BayesianRegularization`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from fastmlp import kernels

from ..._derivatives import gauss_newton
from ..._network import parameters
from ..._typing import Array
from ...optimizers._directions import Curvature
from . import cholesky
from .base import FullBatchTrainer, Here, Rows
from .curved import Curved

#: Damping, as a multiple of the matrix's largest diagonal element, at which a run ends.
_MOST_DAMPING = 1e10
#: Matrices that are held at a time: the sum, the damped one, its factor, a product.
_MATRICES = 4
#: Smallest damping of all, so that it can rise again.
_LEAST_DAMPING = 1e-20


class DampedTrainer(FullBatchTrainer):
    """Levenberg–Marquardt: ``(G + l2 D + λ I) s = -∇C``.

    ``G`` is the generalised Gauss–Newton matrix of the mean loss, ``D`` 1 for weights and 0 for
    biases, ``λ`` the damping. All of it is of the parameters that learn: others are no unknowns.

    Parameters
    ----------
    network : Network
        Its architecture, dtype and number of threads.
    cost : Curved
        The whole cost, with its gradient and its matrix.
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
        cost: Curved,
        damping: Curvature,
        *,
        l2: float = 0.0,
        learning: Sequence[bool] = (),
    ) -> None:
        self._architecture, self._n_threads = network.architecture, network.n_threads
        self._cost = cost
        #: Of what this process has: that of all ranks, where each has rows of its own.
        self.of_all: Callable[[float], float] = float
        n = self._architecture.n_parameters
        stays = parameters.frozen(self._architecture, learning)
        super().__init__(n, network.dtype, stays)
        self._damping = damping
        #: Where the parameters that learn are.
        self._free: Any = slice(None) if stays is None else np.flatnonzero(~stays)
        penalty = np.zeros(n)
        penalty[: n - sum(self._architecture.sizes[1:])] = l2
        self._penalty = penalty[self._free]
        self._lambda = math.nan
        #: Parameters, and the matrix there, for one iteration.
        self._bent: tuple[Array, Array] | None = None

    @property
    def curves(self) -> dict[str, float]:
        return {"damping": self._lambda}

    def new_rows(self) -> None:
        super().new_rows()
        self._bent = None

    def _forget(self) -> None:
        self._lambda, self._bent = math.nan, None

    def _learnt(self) -> dict[str, Any]:
        return {"damping": self._lambda}

    def _take_over(self, memory: dict[str, Any]) -> None:
        self._lambda = float(memory["damping"])

    def _iterate(self, value: float, gradient: Array, rows: Rows) -> None:
        matrix, self._bent = self._matrix(rows), None
        self._descend(matrix, value, gradient[self._free], rows)

    def _evaluate(self, parameters: Array, rows: Rows) -> Here:
        value, gradient = self._cost.value(parameters, rows)
        return value, None if gradient is None else self._of_free(gradient)

    def _gradient(self, rows: Rows) -> Array:
        assert self._here is not None
        if self._here[1] is None:  # it comes with the matrix
            self._matrix(rows)
        return super()._gradient(rows)

    def _matrix(self, rows: Rows) -> Array:
        """The matrix at the present parameters, where the gradient is known from then on."""
        assert self._here is not None
        value, known = self._here
        if known is None or self._bent is None or self._bent[0] is not self._parameters:
            gradient, matrix = self._cost.bend(self._parameters, rows, known)
            self._here = value, self._of_free(gradient)
            self._bent = self._parameters, matrix
        return self._bent[1]

    def _of_free(self, gradient: Array) -> Array:
        """A gradient in float64, zero for what does not learn."""
        found = gradient.astype(np.float64)
        if self._frozen is not None:
            found[self._frozen] = 0
        return found

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
        if not self._height(new[0], there, rows) < value:
            return False
        if new[1] is not None and not np.isfinite(new[1]).all():
            return False
        self._parameters, self._here = there, new
        self.learning_rate = 1.0
        return True

    def _height(self, cost: float, parameters: Array, rows: Rows) -> float:
        """What is descended, where the cost is known."""
        return cost


def trainer(
    network: Any, loss: Any, method: Curvature, cost: Curved, **options: Any
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
        return DampedTrainer(network, cost, method, **options)
    if spec.name != "squared_error":
        raise ValueError(f"{method.name} needs the loss 'squared_error', got {spec.name!r}")
    if options.get("l2"):
        raise ValueError(f"{method.name} finds the penalty itself: l2 must be 0")
    from . import evidence  # of no use to others

    return evidence.EvidenceTrainer(network, cost, method, method.evidence, **options)
