"""What a fit looks at after each epoch: losses, validation rows, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from fastmlp import kernels

from ..._inputs import sparse
from ..._network import blocks
from ..._network.batch import Batch
from ..._training.run import Run
from ..._typing import Array
from .. import _names
from .._sklearn import compat


class Rows(NamedTuple):
    """Checked samples.

    Attributes
    ----------
    x : (n, n_features) array or sparse matrix
    y : array
        Targets as the user gave them.
    target : array
        Targets as the engine takes them.
    weight : (n,) array or None
    """

    x: Any
    y: Any
    target: Array
    weight: Array | None

    def take(self, rows: Array) -> Rows:
        """Some rows, in this order."""
        weight = None if self.weight is None else self.weight[rows]
        return Rows(sparse.take(self.x, rows), self.y[rows], self.target[rows], weight)

    @property
    def dtype(self) -> Any:
        """What they are computed with in."""
        return self.x.dtype

    @property
    def n_rows(self) -> int:
        """How many there are."""
        return len(self.target)

    def of_run(self, loss: Any) -> tuple[type[Run], dict[str, Any]]:
        """The class of a run, and what it takes for its rows."""
        x = sparse.for_engine(self.x, self.dtype)
        return Run, {"batch": Batch(x, self.target, self.weight, loss)}

    def watched(self, estimator: Any, dtype: Any) -> Validation:
        """What measures them after each epoch."""
        return Validation(estimator, self, dtype)


class Validation:
    """Score and loss of validation rows for the present parameters, from one forward pass."""

    def __init__(self, estimator: Any, rows: Rows, dtype: Any) -> None:
        if rows.weight is not None and not rows.weight.any():
            raise ValueError("the validation rows all have the weight 0: nothing can be measured")
        self._estimator = estimator
        self._rows = rows
        self._x = None if rows.x is None else sparse.for_engine(rows.x, dtype)
        self._network = estimator._network(dtype, "identity")
        self._output = _names.OUTPUTS[estimator.out_activation_]
        self._loss = estimator._engine_loss()
        self._backend = _names.backend(estimator.backend)
        scoring = estimator.scoring
        self._by_loss = scoring == "loss"
        self._scorer = None
        if scoring is not None and not self._by_loss:
            self._scorer = compat.scorer_of(scoring)

    def __call__(self, flat: Array) -> tuple[float, float]:
        """``(score, loss)``; higher scores are better."""
        rows, backend = self._rows, self._backend
        scores = self._scores(flat)
        loss = backend.loss_value(
            scores, rows.target, self._loss, self._output, sample_weight=rows.weight
        )
        if self._by_loss:
            return -loss, loss
        if self._scorer is not None:
            return self._scorer(self._estimator, rows.x, rows.y, rows.weight), loss
        if self._output != "identity":
            scores = backend.activate(scores, self._output)
        score = self._estimator._score_outputs(rows.target, scores, rows.weight)
        return score, loss

    def _scores(self, flat: Array) -> Array:
        return blocks.predict(self._network, flat, self._x)


def start_curves(estimator: Any, watching: bool) -> None:
    """Make the curves that are not there yet: of a first fit, or for rows that are new to watch."""
    have = estimator.__dict__
    have.setdefault("loss_curve_", [])
    have.setdefault("_no_improvement_count", 0)
    have.setdefault("t_", 0)
    if estimator.early_stopping:
        estimator.best_loss_ = None
    elif have.get("best_loss_") is None:
        estimator.best_loss_ = math.inf
    if have.get("validation_scores_") is None:
        estimator.validation_scores_ = [] if watching else None
        estimator.validation_loss_curve_ = [] if watching else None
        estimator.best_validation_score_ = -math.inf if watching else None


def forget_curves(estimator: Any) -> None:
    """Forget what earlier fits have left, for a fit from the beginning."""
    for name in (
        *("_optimizer", "loss_curve_", "_no_improvement_count", "best_loss_"),
        *("validation_scores_", "validation_loss_curve_", "best_validation_score_"),
        "stop_reason_",
    ):
        estimator.__dict__.pop(name, None)


def plateau_of(estimator: Any) -> kernels.Plateau:
    """Epochs without improvement so far, and how many of them end a fit."""
    return kernels.Plateau(
        estimator.best_loss_,
        estimator._no_improvement_count,
        estimator.tol,
        estimator.n_iter_no_change,
    )


def too_long(estimator: Any) -> bool:
    """Whether there have been more epochs without improvement than a fit goes on after."""
    longer: bool = estimator._no_improvement_count > estimator.n_iter_no_change
    return longer


def note_losses(estimator: Any, losses: Sequence[float]) -> None:
    """Count epochs whose loss is not below the best before them by ``tol``."""
    found = plateau_of(estimator).after(losses)
    estimator.best_loss_, estimator._no_improvement_count = found.best, found.worse


def note_score(estimator: Any, score: float, loss: float, count: bool) -> bool:
    """Note a validation score; return whether it is the best.

    With ``count`` epochs are counted whose score is not above the best by ``tol``.
    """
    estimator.validation_scores_.append(score)
    estimator.validation_loss_curve_.append(loss)
    if count:
        if score < estimator.best_validation_score_ + estimator.tol:
            estimator._no_improvement_count += 1
        else:
            estimator._no_improvement_count = 0
    if score > estimator.best_validation_score_:
        estimator.best_validation_score_ = score
        return True
    return False


class MeanOverOutputs:
    """The loss as scikit-learn shows it: the mean over the outputs, plus the penalty.

    The engine adds up outputs, and its loss includes the penalty; to divide the data's part alone
    the penalty of every step has to be known, from the weights before its update.
    """

    def __init__(self, estimator: Any) -> None:
        self._outputs = estimator.n_outputs_
        self._l1, self._l2 = float(estimator.l1), float(estimator.alpha)
        self._n_weights = sum(np.size(w) for w in estimator.coefs_)
        self.by_step = bool(self._l1 or self._l2)

    def of_step(self, loss: float, parameters: Array, batch: Batch) -> float:
        weight = batch.weight
        total = float(len(batch.target) if weight is None else weight.sum(dtype=np.float64))
        weights = parameters[: self._n_weights]
        penalty = self._l1 * float(np.abs(weights).sum(dtype=np.float64))
        penalty += 0.5 * self._l2 * float(np.square(weights, dtype=np.float64).sum())
        penalty = penalty / total if total else 0.0
        return float((loss - penalty) / self._outputs + penalty)

    def of_epoch(self, loss: float) -> float:
        return loss if self.by_step else loss / self._outputs
