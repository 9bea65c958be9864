"""The solvers: epochs of the engine with scikit-learn's stop rules, and L-BFGS.

A solver works on ``estimator._flat``, of which ``coefs_`` and ``intercepts_`` are views.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import UpdateRule

from ..optimizers import Adam
from ._compat import ConvergenceWarning
from ._split import train_and_validation

if TYPE_CHECKING:
    from ._base import BaseMLP

Array = np.ndarray[Any, Any]


class StochasticOptimizer:
    """Update rule, present learning rate, and between calls of ``partial_fit`` the state.

    Attributes
    ----------
    learning_rate : float
        Of the next epoch; the schedules change it.
    """

    def __init__(self, estimator: BaseMLP) -> None:
        self.learning_rate = float(estimator.learning_rate_init)
        self._initial_rate = self.learning_rate
        self._power_t = estimator.power_t
        if estimator.solver == "adam":
            self._schedule = "constant"
            self.rule = Adam(
                beta_1=estimator.beta_1,
                beta_2=estimator.beta_2,
                epsilon=estimator.epsilon,
                epsilon_hat=True,
            ).update_rule()
        else:
            self._schedule = estimator.learning_rate
            self.rule = UpdateRule("sgd")
            if estimator.momentum:
                # Not by optimizers.SGD, which refuses the momentum of 1 that is allowed here.
                nesterov = float(estimator.nesterovs_momentum)
                momentum = float(estimator.momentum)
                self.rule = UpdateRule("momentum", {"momentum": momentum, "nesterov": nesterov})
        self.state: Array | None = None
        self.step = 0

    def epoch_ends(self, rows_seen: int) -> None:
        """Follow the inverse scaling schedule, ``η₀ / (rows + 1)^power_t``."""
        if self._schedule == "invscaling":
            self.learning_rate = self._initial_rate / (rows_seen + 1) ** self._power_t

    def no_improvement(self, message: str, verbose: bool) -> bool:
        """Return whether to stop; the adaptive schedule divides its rate by 5 down to 1e-6."""
        stop = True
        end = "Stopping."
        if self._schedule == "adaptive":
            stop = self.learning_rate <= 1e-6
            end = "Learning rate too small. Stopping."
            if not stop:
                self.learning_rate /= 5
                end = f"Setting learning rate to {self.learning_rate:f}"
        if verbose:
            print(f"{message} {end}")
        return stop


def reset(estimator: Any) -> None:
    """Start the curves of a first fit: ``loss_curve_`` and either best loss or best score."""
    for name in ("_optimizer", "loss_curve_"):
        estimator.__dict__.pop(name, None)
    if estimator.solver == "lbfgs":
        return
    estimator.loss_curve_ = []
    estimator._no_improvement_count = 0
    early = estimator.early_stopping
    estimator.best_loss_ = None if early else math.inf
    estimator.validation_scores_ = [] if early else None
    estimator.best_validation_score_ = -math.inf if early else None


def fit_stochastic(
    estimator: Any, x: Array, target: Array, weight: Array | None, incremental: bool
) -> None:
    """Minibatch descent: one epoch for ``incremental``, else up to ``max_iter``."""
    early = estimator.early_stopping
    if not hasattr(estimator, "loss_curve_") or (
        # The other stop rule than in the fit that a warm start goes on from.
        (estimator.validation_scores_ is None) == early
    ):
        reset(estimator)
    optimizer = estimator.__dict__.get("_optimizer") if incremental else None
    if optimizer is None:
        optimizer = estimator._optimizer = StochasticOptimizer(estimator)
    estimator._adopt(estimator._packed().astype(x.dtype, copy=False))
    flat = estimator._flat

    x_val = y_val = weight_val = None
    if early:
        train, held_out = train_and_validation(
            len(x),
            estimator.validation_fraction,
            estimator._random_state,
            estimator._stratum(target),
        )
        x_val, y_val = x[held_out], target[held_out]
        x, target = x[train], target[train]
        if weight is not None:
            weight_val, weight = weight[held_out], weight[train]
    n = len(x)
    trainer = kernels.trainer(
        estimator._architecture(),
        x.dtype,
        estimator._loss_name(),
        optimizer.rule,
        batch_size=_batch_size(estimator.batch_size, n),
        l2=float(estimator.alpha),
        l2_over_batch=True,
    )
    trainer.load(flat, optimizer.state, optimizer.step)
    network = estimator._network(x.dtype)
    best = flat.copy()
    order: Array | None = None
    estimator.n_iter_ = 0
    try:
        while estimator.n_iter_ < estimator.max_iter:
            if estimator.shuffle:
                # Permutations compose, as in scikit-learn: each epoch reorders the last order.
                permutation = np.arange(n, dtype=np.intp)
                estimator._random_state.shuffle(permutation)
                order = permutation if order is None else order[permutation]
            loss = trainer.run_epoch(
                x, target, order, optimizer.learning_rate, sample_weight=weight
            )
            estimator.n_iter_ += 1
            estimator.t_ += n
            estimator.loss_ = loss / estimator._loss_divisor()
            estimator.loss_curve_.append(estimator.loss_)
            if estimator.verbose:
                print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
            if early:
                trainer.store(flat)
                score = estimator._score_outputs(y_val, network.predict(flat, x_val), weight_val)
                if _note_score(estimator, score):
                    best[...] = flat
            else:
                _note_loss(estimator)
            optimizer.epoch_ends(estimator.t_)
            if estimator._no_improvement_count > estimator.n_iter_no_change:
                what = "Validation score" if early else "Training loss"
                message = (
                    f"{what} did not improve more than tol={estimator.tol:f} for "
                    f"{estimator.n_iter_no_change:g} consecutive epochs."
                )
                if optimizer.no_improvement(message, bool(estimator.verbose)):
                    break
                estimator._no_improvement_count = 0
            if incremental:
                break
            if estimator.n_iter_ == estimator.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached "
                    "and the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    finally:
        if incremental:
            optimizer.state = np.empty((len(optimizer.rule.slots), flat.size), flat.dtype)
            optimizer.step = trainer.step
        trainer.store(flat, optimizer.state)
        if early:
            flat[...] = best


def _batch_size(batch_size: int | str, n: int) -> int:
    if isinstance(batch_size, str):
        return min(200, n)
    if batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=5,
        )
    return min(int(batch_size), n)


def _note_loss(estimator: Any) -> None:
    """Count epochs whose loss is not below the best by ``tol``."""
    if estimator.loss_ > estimator.best_loss_ - estimator.tol:
        estimator._no_improvement_count += 1
    else:
        estimator._no_improvement_count = 0
    estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)


def _note_score(estimator: Any, score: float) -> bool:
    """Count epochs whose score is not above the best by ``tol``; return whether it is the best."""
    estimator.validation_scores_.append(score)
    if estimator.verbose:
        print(f"Validation score: {score:f}")
    if score < estimator.best_validation_score_ + estimator.tol:
        estimator._no_improvement_count += 1
    else:
        estimator._no_improvement_count = 0
    if score > estimator.best_validation_score_:
        estimator.best_validation_score_ = score
        return True
    return False


def fit_lbfgs(estimator: Any, x: Array, target: Array, weight: Array | None) -> None:
    """Full-batch L-BFGS of scipy, in float64, on the engine's loss and gradient."""
    try:
        from scipy.optimize import minimize  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise ImportError(
            "solver='lbfgs' needs scipy: pip install scipy, or choose solver='adam'"
        ) from error
    rows = x.astype(np.float64, copy=False)
    if target.dtype.kind == "f":
        target = target.astype(np.float64, copy=False)
    total = float(len(x))
    if weight is not None:
        weight = weight.astype(np.float64)
        total = float(weight.sum())
    l2 = estimator.alpha / total
    network = estimator._network(np.dtype(np.float64))
    name = estimator._loss_name()

    def objective(parameters: Array) -> tuple[float, Array]:
        value: tuple[float, Array] = network.loss_and_gradient(
            parameters, rows, target, name, sample_weight=weight, l2=l2
        )
        return value

    def show(intermediate_result: Any) -> None:
        print(f"loss = {intermediate_result.fun:.8f}")

    result = minimize(
        objective,
        estimator._packed().astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        callback=show if estimator.verbose else None,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
        },
    )
    estimator._adopt(np.ascontiguousarray(result.x, np.float64))
    estimator.n_iter_ = min(int(result.nit), estimator.max_iter)
    data = network.loss(estimator._flat, rows, target, name, sample_weight=weight)
    penalty = 0.5 * l2 * sum(float(np.vdot(w, w)) for w in estimator.coefs_)
    estimator.loss_ = data / estimator._loss_divisor() + penalty
    if result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {estimator.n_iter_} iteration(s) "
            f"(status={result.status}): {result.message}. You might increase the number of "
            f"iterations (max_iter={estimator.max_iter}) or improve it by scaling the data.",
            ConvergenceWarning,
            stacklevel=4,
        )
