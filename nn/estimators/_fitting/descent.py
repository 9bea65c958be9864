"""Minibatch descent: epochs of the engine, with scikit-learn's draws and stop rules around them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ... import stopping
from ..._inputs import sparse
from ..._typing import Array
from ...callbacks import Callback, ProgressBar, as_callbacks
from ...history import History
from .. import _names
from .._sklearn import compat
from .._sklearn.compat import ConvergenceWarning
from .._sklearn.parameters import dropout_of
from .._sklearn.split import train_and_validation
from .._sklearn.warn import warn
from .optimizer import StochasticOptimizer
from .watching import Rows, Validation, epoch_loss_of_means, note_loss, note_score, start_curves


def fit_stochastic(
    estimator: Any, rows: Rows, held_out: Rows | None, incremental: bool, context: Any
) -> None:
    """Minibatch descent: one epoch for ``incremental``, else up to ``max_iter``.

    Parameters
    ----------
    held_out : Rows or None
        Validation rows that the user gave; with early stopping and without them some of ``rows``
        are set apart.
    context : object of scikit-learn's callback protocol, or None
    """
    early = estimator.early_stopping
    if early and held_out is None:
        rows, held_out = split(estimator, rows)
    start_curves(estimator, watching=held_out is not None)
    optimizer = estimator.__dict__.get("_optimizer") if incremental else None
    if optimizer is None:
        optimizer = estimator._optimizer = StochasticOptimizer(estimator)
    descent = Descent(estimator, optimizer, rows, held_out, incremental)
    descent.run(1 if incremental else estimator.max_iter, incremental, context)


def split(estimator: Any, rows: Rows) -> tuple[Rows, Rows]:
    """Set validation rows apart, drawn as scikit-learn draws them."""
    n, stratum = len(rows.target), estimator._stratum(rows.target)
    fraction = estimator.validation_fraction
    try:
        train, held_out = train_and_validation(n, fraction, estimator._random_state, stratum)
    except ValueError:
        compat.split_error(n, fraction, stratum)
        raise
    return rows.take(train), rows.take(held_out)


class Descent:
    """One run: the engine's trainer, and what is done between its epochs."""

    def __init__(
        self,
        estimator: Any,
        optimizer: StochasticOptimizer,
        rows: Rows,
        held_out: Rows | None,
        incremental: bool,
    ) -> None:
        self.estimator, self.optimizer = estimator, optimizer
        own, self.dtype = estimator._packed(), rows.x.dtype
        # The estimator's own vector where it can be trained in, else one of the right dtype.
        self.flat = own.astype(self.dtype, copy=not estimator._owns_views())
        self.shared = self.flat is own
        self.rows = rows
        self.n = len(rows.target)
        self.batch_size = _batch_size(estimator.batch_size, self.n)
        self.loss = estimator._engine_loss()
        self.rules = stop_rules(estimator)
        self.tracks_norm = any(rule.needs_gradient_norm for rule in self.rules)
        for rule in self.rules:
            rule.check({"loss"} if held_out is None else {"loss", "validation_loss"})
        dropout = dropout_of(estimator, len(estimator.coefs_) - 1)
        self.trainer = optimizer.trainer(
            _names.trainer,
            incremental,
            estimator.backend,
            estimator._architecture(),
            self.dtype,
            self.loss,
            optimizer.rule,
            batch_size=self.batch_size,
            l2=float(estimator.alpha),
            l1=float(estimator.l1),
            l2_over_batch=True,
            dropout=dropout,
            # Drawn only where it is used: the other draws stay scikit-learn's.
            seed=int(estimator._random_state.randint(2**31)) if dropout else 0,
            clip_value=estimator.clip_value,
            clip_norm=estimator.clip_norm,
            max_norm=estimator.max_norm,
            track_gradient_norm=self.tracks_norm,
            n_threads=estimator.n_threads,
        )
        self.trainer.load(self.flat, optimizer.state, optimizer.step)
        self.validation = None
        if held_out is not None:
            self.validation = Validation(estimator, held_out, self.dtype)
        self.history = History()
        self.listeners = listeners(estimator)

    def run(self, epochs: int, incremental: bool, context: Any) -> None:
        """Run epochs until a rule stops them; the estimator is up to date at the end."""
        estimator, optimizer = self.estimator, self.optimizer
        optimizer.plan(estimator.schedule, epochs, -(-self.n // self.batch_size))
        watches = [rule.watch() for rule in self.rules]
        # Someone who looks at the estimator between epochs sees what has been learned so far.
        watched = bool(self.listeners or watches or context or estimator.scoring)
        best: Array | None = None
        estimator.stop_reason_ = "epochs"
        estimator.n_iter_ = 0
        x = sparse.for_engine(self.rows.x, self.dtype)
        order: Array | None = None
        for listener in self.listeners:
            listener.on_train_begin(estimator, self.history)
        try:
            while estimator.n_iter_ < epochs:
                task = context and context.begin_epoch()
                if estimator.shuffle:
                    # Permutations compose, as in scikit-learn: each epoch reorders the last order.
                    permutation = np.arange(self.n, dtype=np.intp)
                    estimator._random_state.shuffle(permutation)
                    order = permutation if order is None else order[permutation]
                estimator.loss_ = self._epoch(x, order)
                if watched or self.validation is not None:
                    self.trainer.store(self.flat)
                    if watched and not self.shared:
                        estimator._write_back(self.flat)
                if self.validation is not None:
                    score, loss = self.validation(self.flat)
                    self.history.validation_loss.append(loss)
                    better = note_score(estimator, score, loss, estimator.early_stopping)
                    if better and estimator.early_stopping:
                        best = self.flat.copy()
                if not estimator.early_stopping:
                    note_loss(estimator, estimator.loss_)
                optimizer.epoch_ends(estimator.t_, self.history)
                if self._stops(watches, task):
                    break
                if incremental:
                    break
                if estimator.n_iter_ == epochs:
                    warn(
                        f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the "
                        "optimization hasn't converged yet.",
                        ConvergenceWarning,
                    )
        except KeyboardInterrupt:
            estimator.stop_reason_ = "interrupted"
            warn("Training interrupted by user.")
        finally:
            self._finish(best, watches)
            for listener in self.listeners:
                listener.on_train_end(estimator, self.history)

    def _epoch(self, x: Any, order: Array | None) -> float:
        """Go once through the rows and note the loss."""
        estimator, optimizer = self.estimator, self.optimizer
        started = time.perf_counter()
        rates = optimizer.rates(estimator.n_iter_)
        if estimator._shows_mean() and (estimator.alpha or estimator.l1):
            loss = epoch_loss_of_means(
                estimator, self.trainer, self.rows, order, rates, self.batch_size
            )
        else:
            loss = self.trainer.run_epoch(
                x, self.rows.target, order, rates, sample_weight=self.rows.weight
            )
            if estimator._shows_mean():
                loss /= estimator.n_outputs_
        self.history.seconds.append(time.perf_counter() - started)
        optimizer.step = self.trainer.step
        estimator.n_iter_ += 1
        estimator.t_ += self.n
        estimator.loss_curve_.append(loss)
        self.history.loss.append(loss)
        self.history.learning_rate.append(optimizer.rate)
        if self.tracks_norm:
            self.history.gradient_norm.append(self.trainer.gradient_norm)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        return loss

    def _stops(self, watches: list[Any], task: Any) -> bool:
        """Whether training is to end now; ``stop_reason_`` says why."""
        estimator = self.estimator
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            what = "Validation score" if estimator.early_stopping else "Training loss"
            message = (
                f"{what} did not improve more than tol={estimator.tol:f} for "
                f"{estimator.n_iter_no_change:g} consecutive epochs."
            )
            if self.optimizer.no_improvement(message, bool(estimator.verbose)):
                estimator.stop_reason_ = "early_stopping" if estimator.early_stopping else "plateau"
                return True
            estimator._no_improvement_count = 0
        for watch, rule in zip(watches, self.rules, strict=True):
            if watch.epoch_ended(self.history, self.flat) is not None:
                estimator.stop_reason_ = rule.reason
                return True
        stop = bool(self.listeners) and self._call_listeners()
        if task is not None and task.end():
            stop = True
        if stop:
            estimator.stop_reason_ = "callback"
        return stop

    def _call_listeners(self) -> bool:
        """Run the callbacks, take over what they changed, return whether one says stop."""
        estimator = self.estimator
        before = self.flat.copy()
        stop = False
        for listener in self.listeners:
            stop = listener.on_epoch_end(estimator, self.history) is True or stop
        now = estimator._packed().astype(self.dtype, copy=False)
        # Compared as bytes, so that NaN equals itself.
        if not np.array_equal(before.view(np.uint8), now.view(np.uint8)):
            self.flat[...] = now
            state = np.empty((len(self.optimizer.rule.slots), now.size), self.dtype)
            self.trainer.store(before, state)
            self.trainer.load(self.flat, state, self.trainer.step)
        return stop

    def _finish(self, best: Array | None, watches: list[Any]) -> None:
        """Give the estimator what was learned, and its optimizer the state to go on from."""
        optimizer = self.optimizer
        optimizer.state = np.empty((len(optimizer.rule.slots), self.flat.size), self.dtype)
        optimizer.step = self.trainer.step
        self.trainer.store(self.flat, optimizer.state)
        if best is not None:
            self.flat[...] = best
        for watch in watches:
            watch.training_ended(self.history, self.flat)
        if not self.shared:
            self.estimator._write_back(self.flat)


def listeners(estimator: Any) -> list[Callback]:
    """The package's callbacks that an estimator asks for, a progress bar among them."""
    found = as_callbacks(estimator.callbacks or ())
    for callback in found:
        if callback.every_batch:
            raise ValueError(f"estimators have no callbacks for batches, got {callback!r}")
    return [ProgressBar(estimator.max_iter), *found] if estimator.progress else found


def stop_rules(estimator: Any) -> list[stopping.StopRule]:
    """The package's stop rules that an estimator asks for, ``max_time`` among them."""
    rules = list(stopping.get(estimator.stop)) if estimator.stop is not None else []
    if estimator.max_time is not None:
        rules.append(stopping.TimeLimit(estimator.max_time))
    return rules


def _batch_size(batch_size: int | str, n: int) -> int:
    if isinstance(batch_size, str):
        return min(200, n)
    if batch_size > n:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
        )
    return min(int(batch_size), n)
