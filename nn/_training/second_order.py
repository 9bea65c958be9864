"""Levenberg–Marquardt and Bayesian regularisation, with the interface of the engine's trainer.

One epoch is one iteration: the Gauss–Newton matrix of all rows, then steps with more and more
damping until one lowers the cost. ``fit`` uses these where the optimizer is a
:class:`~fastmlp.optimizers.LevenbergMarquardt` or
:class:`~fastmlp.optimizers.BayesianRegularization`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from fastmlp import kernels

from .._derivatives import gauss_newton
from .._typing import Array
from ..optimizers._directions import Curvature
from . import cholesky
from .line_search import Cost

#: Damping, as a multiple of the matrix's largest diagonal element, at which a run ends.
_MOST_DAMPING = 1e10
#: Matrices that are held at a time: the sum, the damped one, its factor, a product.
_MATRICES = 4
#: Iterations before the penalty is learnt: of a network that has learnt nothing yet the evidence
#: says that there is nothing to learn.
_FIT_FIRST = 10
#: Smallest damping of all, so that it can rise again.
_LEAST_DAMPING = 1e-20


class _Point(NamedTuple):
    """A network at other parameters, for the matrix."""

    architecture: Any
    parameters: Array
    n_threads: int | None


class DampedTrainer:
    """Levenberg–Marquardt: ``(G + l2 D + λ I) s = -∇C``.

    ``G`` is the generalised Gauss–Newton matrix of the mean loss, ``D`` 1 for weights and 0 for
    biases, ``λ`` the damping.

    Parameters
    ----------
    network : Network
        Its architecture, dtype and number of threads.
    cost : function
        Value and gradient of the whole cost.
    loss : Loss
    damping : Curvature
    l2 : float
    frozen : (n_parameters,) array of bool, optional
        Parameters that stay.

    Attributes
    ----------
    step : int
        Iterations so far.
    gradient_norm : float
        ``‖∇C‖`` at the beginning of the last iteration.
    learning_rate : float
        1 where the last iteration has found a step, else 0.
    curves : dict of float
        What the history records after each epoch: ``damping``.
    stuck : str or None
        Why no further iteration is of use.
    """

    def __init__(
        self,
        network: Any,
        cost: Cost,
        loss: Any,
        damping: Curvature,
        *,
        l2: float = 0.0,
        frozen: Array | None = None,
    ) -> None:
        self._architecture, self._n_threads = network.architecture, network.n_threads
        self._cost, self._loss, self._damping, self._frozen = cost, loss, damping, frozen
        n = self._architecture.n_parameters
        self._parameters = np.zeros(n, network.dtype)
        self._penalty = np.zeros(n)
        self._penalty[: n - sum(self._architecture.sizes[1:])] = l2
        self._lambda = math.nan
        self.step = 0
        self.gradient_norm = self.learning_rate = 0.0
        self.stuck: str | None = None
        #: Value and gradient at the present parameters, where they are known.
        self._here: tuple[float, Array] | None = None

    @property
    def curves(self) -> dict[str, float]:
        return {"damping": self._lambda}

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters in and forget what was learnt from earlier iterations."""
        self._parameters[...] = parameters
        self._here, self.step, self._lambda = None, step, math.nan

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters out."""
        parameters[...] = self._parameters

    def memory(self) -> dict[str, Any]:
        """A copy of what was learnt from earlier iterations, for :meth:`remember`."""
        here = None if self._here is None else [self._here[0], self._here[1].copy()]
        return {"here": here, "damping": self._lambda}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take over what an equal trainer has learnt; :meth:`load` forgets it."""
        here = memory["here"]
        self._here = None if here is None else (float(here[0]), here[1].copy())
        self._lambda = float(memory["damping"])

    def new_rows(self) -> None:
        """Go on with other rows, for which the cost at the present parameters is not known."""
        self._here = None

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
        if not isinstance(x, (np.ndarray, kernels.CSR)):
            raise ValueError("an optimizer of second order needs rows in memory, and X is a source")
        batch = x, target, sample_weight
        value, gradient = self._here or self._evaluate(self._parameters, batch)
        self.gradient_norm = float(np.sqrt(gradient @ gradient))
        self.step += 1
        self.learning_rate = 0.0
        if not math.isfinite(self.gradient_norm + value):
            return math.nan if math.isfinite(value) else value
        if self.gradient_norm == 0:
            self.stuck = "the gradient is zero"
            return value
        point = _Point(self._architecture, self._parameters, self._n_threads)
        matrix = gauss_newton.total(point, x, target, self._loss, sample_weight)
        self._descend(matrix, value, gradient, batch)
        return value

    def _evaluate(self, parameters: Array, batch: Any) -> tuple[float, Array]:
        """Cost and its gradient, in float64."""
        gradient = np.empty_like(parameters)
        x, target, weight = batch
        value = self._cost(parameters, x, target, weight, gradient)
        if self._frozen is not None:
            gradient[self._frozen] = 0
        return value, gradient.astype(np.float64)

    def _descend(self, matrix: Array, value: float, gradient: Array, batch: Any) -> None:
        """Step with more and more damping, until the cost is lower."""
        diagonal = matrix.reshape(-1)[:: len(matrix) + 1]
        diagonal += self._penalty
        self._freeze(matrix)
        largest = max(float(diagonal.max()), _LEAST_DAMPING)
        if math.isnan(self._lambda):
            self._lambda = self._damping.initial * largest
        undamped = diagonal.copy()
        while self._lambda <= _MOST_DAMPING * largest:
            diagonal[...] = undamped + self._lambda
            step = cholesky.solve(matrix, -gradient)
            if step is not None and self._try(step, value, batch):
                self._lambda = max(self._lambda * self._damping.down, _LEAST_DAMPING)
                return
            self._lambda *= self._damping.up
        self.stuck = "no step lowers the loss, however much it is damped"

    def _freeze(self, matrix: Array) -> None:
        """Let parameters that stay take no part."""
        if self._frozen is not None:
            matrix[self._frozen] = 0
            matrix[:, self._frozen] = 0
            matrix[self._frozen, self._frozen] = 1

    def _try(self, step: Array, value: float, batch: Any) -> bool:
        """Go along a step if that lowers the cost."""
        there = (self._parameters + step).astype(self._parameters.dtype)
        if np.array_equal(there, self._parameters):
            return False
        new = self._evaluate(there, batch)
        if not (new[0] < value and np.isfinite(new[1]).all()):
            return False
        self._parameters, self._here = there, new
        self.learning_rate = 1.0
        return True


class EvidenceTrainer(DampedTrainer):
    """Levenberg–Marquardt on ``½ β Σ r² + ½ α ‖θ‖²``, with ``α`` and ``β`` learnt on the way.

    With ``H = β n G + α I`` they are after each step those of the greatest evidence,
    ``γ = p - α tr H⁻¹``, ``α = γ / ‖θ‖²`` and ``β = (m - γ) / Σ r²`` for ``m`` targets. The cost
    that is shown is the mean loss, without a penalty.

    Attributes
    ----------
    curves : dict of float
        ``alpha``, ``beta``, ``effective_parameters`` (``γ``) and ``damping``.
    """

    _alpha = 0.0
    _beta = 1.0
    _effective = math.nan

    @property
    def curves(self) -> dict[str, float]:
        found = {"alpha": self._alpha, "beta": self._beta, "effective_parameters": self._effective}
        return {**super().curves, **found}

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        super().load(parameters, state, step)
        self._alpha, self._beta, self._effective = 0.0, 1.0, math.nan

    def memory(self) -> dict[str, Any]:
        constants = [self._alpha, self._beta, self._effective]
        return {**super().memory(), "constants": constants}

    def remember(self, memory: dict[str, Any]) -> None:
        super().remember(memory)
        self._alpha, self._beta, self._effective = map(float, memory["constants"])

    def _descend(self, matrix: Array, value: float, gradient: Array, batch: Any) -> None:
        if not self._alpha:  # the parameters as they begin, and residuals of that size
            self._begin(value, batch)
        scale = self._beta * len(batch[0])
        matrix *= scale
        self._penalty[...] = self._alpha
        diagonal = matrix.reshape(-1)[:: len(matrix) + 1]
        bare = diagonal.copy()
        theta = self._parameters.astype(np.float64)
        if self._frozen is not None:
            theta[self._frozen] = 0
        whole = scale * value + 0.5 * self._alpha * float(theta @ theta)
        super()._descend(matrix, whole, scale * gradient + self._alpha * theta, batch)
        diagonal[...] = bare
        self._freeze(matrix)
        before = self._alpha, self._beta
        self._learn_constants(matrix / self._beta, batch)
        self._lambda *= self._beta / before[1]
        if self.stuck is not None and not np.allclose(before, (self._alpha, self._beta), rtol=1e-3):
            self.stuck, self._lambda = None, math.nan  # the cost has become another one

    def _try(self, step: Array, value: float, batch: Any) -> bool:
        there = (self._parameters + step).astype(self._parameters.dtype)
        if np.array_equal(there, self._parameters):
            return False
        new = self._evaluate(there, batch)
        length = float(np.square(there, dtype=np.float64).sum())
        whole = self._beta * len(batch[0]) * new[0] + 0.5 * self._alpha * length
        if not (whole < value and np.isfinite(new[1]).all()):
            return False
        self._parameters, self._here = there, new
        self.learning_rate = 1.0
        return True

    def _begin(self, value: float, batch: Any) -> None:
        """Take the first constants from where training begins, with a weak penalty."""
        length = float(np.square(self._parameters, dtype=np.float64).sum())
        self._alpha = 0.01 * len(self._parameters) / max(length, 1e-12)
        self._beta = self._architecture.sizes[-1] / max(2.0 * value, 1e-12)

    def _learn_constants(self, curvature: Array, batch: Any) -> None:
        """Take the ``α`` and ``β`` of the greatest evidence, for the curvature ``JᵀJ``."""
        learning = np.ones(len(curvature), bool) if self._frozen is None else ~self._frozen
        p = int(learning.sum())
        targets = len(batch[0]) * self._architecture.sizes[-1]
        value = self._here[0] if self._here is not None else 0.0
        error = max(2.0 * len(batch[0]) * value, np.finfo(np.float64).tiny)
        length = float(np.square(self._parameters[learning], dtype=np.float64).sum())
        curvature *= self._beta
        curvature.reshape(-1)[:: len(curvature) + 1] += self._alpha
        inside = cholesky.trace_of_inverse(curvature[np.ix_(learning, learning)])
        gamma = float(p) if inside is None else p - self._alpha * inside
        self._effective = min(max(gamma, 0.0), float(p))
        if self.step > _FIT_FIRST:
            self._alpha = max(self._effective, 1e-12) / max(length, 1e-12)
        self._beta = max(targets - self._effective, 1e-3 * targets) / error


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
    n = network.architecture.n_parameters
    if n > method.max_parameters:
        raise ValueError(
            f"{method.name} takes {_MATRICES} matrices of {n} x {n} numbers, "
            f"{_MATRICES * 8 * n * n / 2**30:.2g} GiB, and is for at most max_parameters="
            f"{method.max_parameters} parameters, got {n}; take optimizers.LBFGS()"
        )
    if not method.evidence:
        return DampedTrainer(network, cost, spec, method, **options)
    if spec.name != "squared_error":
        raise ValueError(f"{method.name} needs the loss 'squared_error', got {spec.name!r}")
    if options.get("l2"):
        raise ValueError(f"{method.name} finds the penalty itself: l2 must be 0")
    return EvidenceTrainer(network, cost, spec, method, **options)
