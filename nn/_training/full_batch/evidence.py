"""Bayesian regularisation on the whole batch: Levenberg–Marquardt that learns its penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._derivatives import arguments
from ..._derivatives.precisions import SMALLEST, Precisions, groups
from ..._typing import Array
from ...optimizers._directions import Curvature, Evidence
from . import cholesky
from .base import Here, Rows, recalled, remembered
from .curved import Curved
from .second_order import DampedTrainer


@dataclass
class _Descent:
    """Where one descent is, and what it has learnt; arrays in it are replaced, never written to."""

    parameters: Array
    here: Here | None
    damping: float
    alpha: Array
    beta: float
    learns: bool = False
    effective: float = math.nan
    log_evidence: float = -math.inf
    stuck: str | None = None


class EvidenceTrainer(DampedTrainer):
    """Levenberg–Marquardt on ``½ β Σ r² + ½ Σ α_k ‖θ_k‖²``, with ``α`` and ``β`` learnt on the way.

    The formulas are those of :mod:`fastmlp._derivatives.precisions`; ``θ`` are the parameters that
    learn. The cost that is shown is the mean loss, without a penalty.

    Where the network begins the evidence says that there is nothing to learn; where it has learnt
    the noise by heart, that there is no noise. So the constants of a first descent stay as they
    are, with a weak penalty, and after some iterations, each number in ``starts``, another one
    branches off that learns them. All go on side by side, the one of the greatest evidence being
    shown, until that one goes on alone.

    Attributes
    ----------
    curves : dict of float
        Of the descent that is shown: ``alpha`` (of all parameters, ``γ / ‖θ‖²``), ``beta``,
        ``effective_parameters`` (``γ``), ``log_evidence`` and ``damping``.
    """

    def __init__(
        self, network: Any, cost: Curved, damping: Curvature, how: Evidence, **options: Any
    ) -> None:
        super().__init__(network, cost, damping, **options)
        self._how = how
        self._precisions = Precisions(groups(self._architecture, how.penalties)[self._free])
        self._descents: list[_Descent] = []
        #: The one that is shown.
        self._shown: _Descent | None = None
        self._beta = 1.0
        #: The one that goes on.
        self._descent: _Descent | None = None

    @property
    def curves(self) -> dict[str, float]:
        shown, nan = self._shown, math.nan
        alpha, beta, effective, evidence = 0.0, 1.0, nan, nan  # before the first iteration
        if shown is not None:
            length = float(np.square(shown.parameters[self._free], dtype=np.float64).sum())
            alpha = shown.effective / max(length, SMALLEST) if shown.learns else shown.alpha[0]
            beta, effective, evidence = shown.beta, shown.effective, shown.log_evidence
        found = {"alpha": float(alpha), "beta": beta, "effective_parameters": effective}
        found["log_evidence"] = evidence
        return {**super().curves, **found}

    # State

    def _forget(self) -> None:
        super()._forget()
        self._descents, self._shown = [], None

    def new_rows(self) -> None:
        super().new_rows()
        for descent in self._descents:
            descent.here = None

    def _learnt(self) -> dict[str, Any]:
        descents: list[list[Any]] = []
        for d in self._descents:
            numbers = [d.damping, d.beta, d.effective, d.log_evidence]
            alpha, words = d.alpha.tolist(), [int(d.learns), d.stuck]
            descents.append([d.parameters.copy(), remembered(d.here), numbers, alpha, words])
        shown = next((i for i, d in enumerate(self._descents) if d is self._shown), None)
        return {**super()._learnt(), "descents": descents, "shown": shown}

    def _take_over(self, memory: dict[str, Any]) -> None:
        super()._take_over(memory)
        self._descents = []
        for parameters, here, numbers, alpha, (learns, stuck) in memory["descents"]:
            damping, beta, effective, log_evidence = map(float, numbers)
            parameters = parameters.astype(self._parameters.dtype)
            descent = _Descent(parameters, recalled(here), damping, np.array(alpha), beta)
            descent.learns, descent.stuck = bool(learns), stuck
            descent.effective, descent.log_evidence = effective, log_evidence
            self._descents.append(descent)
        shown = memory["shown"]
        self._shown = None if shown is None else self._descents[int(shown)]
        if self._shown is not None:
            self._parameters = self._shown.parameters

    # Iterations

    def _iterate(self, value: float, gradient: Array, rows: Rows) -> None:
        done = self.step - 1
        if not self._descents:
            self._begin(value, rows)
        elif self._shown is not None:
            self._shown.here = self._here  # with the gradient, even where it does not go on
        first = self._descents[0]
        if done in self._how.starts and not first.learns:
            if done == max(self._how.starts):
                first.learns = True
            else:
                self._descents.append(replace(first, learns=True))
        # The one that is shown comes first: its matrix is there already.
        for descent in sorted(self._descents, key=lambda d: d is not self._shown):
            if descent.stuck is None:
                self._go_on(descent, rows)
        if first.stuck is not None and not first.learns:  # it has come to its end before
            first.learns, first.stuck, first.damping = True, None, math.nan
        learning = [d for d in self._descents if d.learns]
        self._shown = max(learning or [first], key=lambda d: d.log_evidence)
        if self.step >= self._how.trial and self._shown.learns:
            self._descents = [self._shown]
        self._parameters, self._here = self._shown.parameters, self._shown.here
        self._lambda = self._shown.damping
        if all(d.stuck is not None for d in self._descents):
            self.stuck = self._shown.stuck

    def _begin(self, value: float, rows: Rows) -> None:
        """Take the first constants from where training begins, with a weak penalty."""
        length = float(np.square(self._parameters[self._free], dtype=np.float64).sum())
        alpha = np.full_like(self._precisions.alpha, 0.01 * len(self._penalty))
        alpha /= max(length, SMALLEST)
        beta = self._targets(rows) / self._n(rows) / max(2.0 * value, SMALLEST)
        self._descents = [_Descent(self._parameters, self._here, math.nan, alpha, beta)]

    def _go_on(self, descent: _Descent, rows: Rows) -> None:
        """One iteration of one descent."""
        self._descent = descent
        self._parameters, self._lambda = descent.parameters, descent.damping
        self._precisions.alpha, self._beta = descent.alpha, descent.beta
        self._here = descent.here or self._evaluate(self._parameters, rows)
        self.stuck = None
        super()._iterate(self._here[0], self._gradient(rows), rows)
        descent.stuck, self.stuck = self.stuck, None
        descent.parameters, descent.here, descent.damping = (
            self._parameters,
            self._here,
            self._lambda,
        )
        descent.alpha, descent.beta = self._precisions.alpha, self._beta

    def _descend(self, matrix: Array, value: float, gradient: Array, rows: Rows) -> None:
        scale = self._beta * self._n(rows)
        matrix *= scale
        alpha = self._penalty[...] = self._precisions.each()
        diagonal = matrix.reshape(-1)[:: len(matrix) + 1]
        bare = diagonal.copy()
        theta = self._parameters[self._free].astype(np.float64)
        whole = self._height(value, self._parameters, rows)
        super()._descend(matrix, whole, scale * gradient + alpha * theta, rows)
        diagonal[...] = bare + alpha
        before = np.append(self._precisions.alpha, self._beta)
        self._learn_constants(matrix, float(bare.max(initial=0.0)), rows)
        self._lambda *= self._beta / before[-1]
        after = np.append(self._precisions.alpha, self._beta)
        if self.stuck is not None and not np.allclose(before, after, rtol=1e-3):
            self.stuck, self._lambda = None, math.nan  # the cost has become another one

    def _height(self, cost: float, parameters: Array, rows: Rows) -> float:
        misfit = self._precisions.misfit(parameters[self._free])
        return self._beta * self._n(rows) * cost + 0.5 * misfit

    def _learn_constants(self, curvature: Array, largest: float, rows: Rows) -> None:
        """Take the ``α`` and ``β`` of the greatest evidence, for ``H`` and the largest of β JᵀJ."""
        descent = self._descent
        assert descent is not None
        factor = cholesky.factor(curvature, self._n_threads)
        if factor is None:
            return
        theta, targets = self._parameters[self._free], self._targets(rows)
        value = self._here[0] if self._here is not None else 0.0
        squares = max(2.0 * self._n(rows) * value, np.finfo(np.float64).tiny)
        effective = self._precisions.effective(factor.inverse_diagonal())
        descent.log_evidence = self._precisions.log_evidence(
            self._beta, targets, squares, theta, factor.log_determinant()
        )
        descent.effective = float(effective.sum())
        if descent.learns:
            self._precisions.learn(effective, theta, largest)
        self._beta = max(targets - descent.effective, 1e-3 * targets) / squares

    def _targets(self, rows: Rows) -> float:
        own = arguments.targets(len(rows[0]), self._architecture.sizes[-1], rows[2])
        return self.of_all(own)

    def _n(self, rows: Rows) -> float:
        """How many rows there are."""
        return self.of_all(len(rows[0]))
