"""A call of ``partial_fit`` that is one step: what online learning asks for, row after row.

A call goes through checks of parameters, a run, and what it notes; for one row all of that takes a
hundred times as long as the step. What it has found out is kept here, and where the next call has
rows of the same kind, of an estimator that is as it was, the step alone is made. Numbers are the
same to the bit.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from fastmlp.kernels import active

from ..._inputs import arrays
from ..._training.run import Run
from ..._typing import Array
from .watching import note_losses, too_long

#: Types of parameters that cannot change by themselves.
_UNCHANGING = frozenset((int, float, str, bool, type(None)))


class SingleStep:
    """The step of an estimator with one output on rows of one shape.

    Attributes
    ----------
    ahead : bool
        Whether the trainer has made steps since its moments were copied out last.
    """

    __slots__ = (
        *("ahead", "_trainer", "_optimizer", "_flat", "_shown", "_shape", "_backend"),
        *("_names", "_settings", "_range"),
    )

    def __init__(self, estimator: Any, optimizer: Any, run: Run, settings: dict[str, Any]) -> None:
        self.ahead = False
        self._trainer, self._optimizer = run.trainer, optimizer
        self._flat, self._shown = run.parameters, run.parameters.copy()
        self._shape = run.batch.x.shape
        self._backend = active()
        self._names, self._settings = tuple(settings), tuple(settings.values())
        self._range = arrays.plain_targets(run.batch.loss)

    def take(self, estimator: Any, X: Any, y: Any) -> bool:
        """Make the step, unless something is not as it was; return whether it was made.

        Raises
        ------
        ValueError
            Where parameters are not finite afterwards.
        """
        kept, trainer, optimizer = estimator.__dict__, self._trainer, self._optimizer
        dtype = self._flat.dtype
        if (
            X.__class__ is not np.ndarray
            or y.__class__ is not np.ndarray
            or X.shape != self._shape
            or y.ndim != 1
            or X.dtype is not dtype
            or y.dtype is not dtype
            or kept.get("_flat") is not self._flat
            or tuple(map(kept.get, self._names)) != self._settings
            or kept.get("n_features_in_") != self._shape[1]
            or "feature_names_in_" in kept
            or "_skl_callbacks" in kept
            or trainer.step != optimizer.step
            or active() is not self._backend
            or not estimator._owns_views()
        ):
            return False
        loss = trainer.run_step(
            X, y, optimizer.rate, self._flat, self._shown, None, False, *self._range
        )
        if loss is None:
            return False
        self.ahead = True
        self._note(estimator, loss)
        check_finite(self._flat)
        return True

    def _note(self, estimator: Any, loss: float) -> None:
        """Note what a call notes."""
        optimizer = self._optimizer
        estimator.n_iter_ = 1
        estimator.t_ += self._shape[0]
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        optimizer.step, optimizer.rows_seen = self._trainer.step, estimator.t_
        note_losses(estimator, (loss,))
        optimizer.epochs += 1
        estimator.stop_reason_ = "plateau" if too_long(estimator) else "epochs"

    def moments(self, n_slots: int) -> Array:
        """The optimizer's moments as of the last step."""
        moments = np.empty((n_slots, self._flat.size), self._flat.dtype)
        self._trainer.store(np.empty_like(self._flat), moments)
        self.ahead = False
        return moments


def step_alone(estimator: Any, X: Any, y: Any) -> bool:
    """Make the step that a call of ``partial_fit`` is, where that is all; whether it was."""
    optimizer = estimator.__dict__.get("_optimizer")
    single = None if optimizer is None else optimizer.single
    if single is None:
        return False
    with estimator.__dict__.setdefault("_lock", threading.RLock()):
        done: bool = single is optimizer.single and single.take(estimator, X, y)
        return done


def check_finite(parameters: Array) -> None:
    """Raise for parameters that are not finite, in scikit-learn's words."""
    if not arrays.all_finite(parameters):
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large "
            "values and need to be preprocessed."
        )


def prepare(estimator: Any, optimizer: Any, run: Run, context: Any) -> SingleStep | None:
    """What the next call may do after this run, or ``None`` where there is more to it.

    Parameters
    ----------
    estimator : object
        Whose ``partial_fit`` has made the run.
    optimizer : StochasticOptimizer
        The estimator's.
    run : Run
    context : object of scikit-learn's callback protocol, or None

    Returns
    -------
    SingleStep or None
    """
    draws = run.generator is not None and run.n_rows > 1
    if (
        (context is not None or draws or not optimizer.constant)
        or (not run.in_memory or run.n_rows > run.batch_size or run.batch.weight is not None)
        or not isinstance(run.batch.x, np.ndarray)
        or (run.rules or run.callbacks or run.shown_loss is not None)
        or (estimator.n_outputs_ != 1 or estimator.verbose or estimator.dropout)
        or run.parameters is not estimator.__dict__.get("_flat")
    ):
        return None
    settings = {name: getattr(estimator, name) for name in estimator._get_param_names()}
    for value in settings.values():
        plain = type(value) in _UNCHANGING
        if not plain and not (type(value) is tuple and set(map(type, value)) <= {int}):
            return None
    return SingleStep(estimator, optimizer, run, settings)
