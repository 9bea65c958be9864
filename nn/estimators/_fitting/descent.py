"""Minibatch descent: epochs of the engine, with scikit-learn's draws and stop rules around them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastmlp import kernels

from ... import schedules, stopping
from ..._training.loop import Hooks, train
from ..._training.run import Run
from ..._typing import Array
from ...callbacks import Callback, ProgressBar, as_callbacks
from .._sklearn import compat
from .._sklearn.compat import ConvergenceWarning
from .._sklearn.parameters import dropout_of
from .._sklearn.split import train_and_validation
from .._sklearn.warn import warn
from . import single_step
from .given import Given
from .optimizer import StochasticOptimizer
from .ranks import speaks
from .sources import SourceRows
from .watching import (
    MeanOverOutputs,
    Rows,
    Validation,
    note_losses,
    note_score,
    plateau_of,
    start_curves,
    too_long,
)

if TYPE_CHECKING:
    from ..._cluster.cluster import Cluster


def fit_stochastic(
    estimator: Any,
    rows: Rows | SourceRows,
    held_out: Rows | SourceRows | None,
    given: Given,
    context: Any,
    cluster: Cluster | None = None,
) -> None:
    """Minibatch descent: ``given.more`` epochs on from where it is, or up to ``max_iter``.

    Parameters
    ----------
    held_out : Rows, SourceRows or None
        Validation rows that the user gave; with early stopping and without them some of ``rows``
        are set apart.
    context : object of scikit-learn's callback protocol, or None
    cluster : Cluster, optional
        The ranks that make this fit together.
    """
    more, kept = given.more, given.epochs is not None
    if estimator.early_stopping and held_out is None and isinstance(rows, Rows):
        rows, held_out = split(estimator, rows)
    start_curves(estimator, watching=held_out is not None)
    optimizer = None if more is None else estimator.__dict__.get("_optimizer")
    if optimizer is None:
        optimizer = estimator._optimizer = StochasticOptimizer(estimator)
    run = new_run(estimator, optimizer, rows, more, cluster)
    if kept and optimizer.order is not None:
        run.order = optimizer.order.copy()
    validation = None
    if held_out is not None:
        validation = held_out.watched(estimator, run.parameters.dtype)
    estimator.n_iter_ = 0
    train(run, EstimatorHooks(estimator, run, optimizer, validation, context, more is not None))
    optimizer.order = run.order if kept else None
    if more is not None and cluster is None:
        optimizer.single = single_step.prepare(estimator, optimizer, run, context)
    if not speaks(cluster):
        return
    if run.history.stop_reason == "interrupted":
        warn("Training interrupted by user.")
    elif run.history.stop_reason == "epochs" and more is None:
        warn(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
        )


def check_watching(estimator: Any, given: bool) -> None:
    """Raise ``ValueError`` where a rule or a schedule looks at what a fit will not record.

    ``given`` says that the user gave validation rows.
    """
    known = {"loss", "validation_loss"} if given or estimator.early_stopping else {"loss"}
    for rule in stop_rules(estimator):
        rule.check(known)
    if estimator.schedule is not None:
        schedules.get(estimator.schedule).check(known)


def new_run(
    estimator: Any,
    optimizer: StochasticOptimizer,
    rows: Rows | SourceRows,
    more: int | None,
    cluster: Cluster | None = None,
) -> Run:
    """A run from the estimator's parameters and the optimizer's state on."""
    own, dtype = estimator._packed(), rows.dtype
    # The estimator's own vector where it can be trained in, else one of the right dtype.
    flat = own.astype(dtype, copy=own is not estimator.__dict__.get("_flat"))
    loss = estimator._engine_loss()
    kind, given = rows.of_run(loss)
    batch_size = _batch_size(estimator.batch_size, rows.n_rows)
    rules = stop_rules(estimator)
    with_norm = any(rule.needs_gradient_norm for rule in rules)
    dropout = dropout_of(estimator, len(estimator.coefs_) - 1)
    trainer = estimator._trainer(
        more is not None,
        estimator._architecture(),
        dtype,
        loss,
        optimizer.rule,
        batch_size=batch_size,
        l2=float(estimator.alpha),
        l1=float(estimator.l1),
        l2_over_batch=True,
        dropout=dropout,
        # Drawn only where it is used: the other draws stay scikit-learn's.
        seed=int(estimator._random_state.randint(2**31)) if dropout else 0,
        clip_value=estimator.clip_value,
        clip_norm=estimator.clip_norm,
        max_norm=estimator.max_norm,
        track_gradient_norm=with_norm,
        n_threads=estimator.n_threads,
        cluster=cluster,
    )
    trainer.halt = estimator.__dict__.get("_halt")
    state, optimizer.single = optimizer.state, None
    # Rows of one call may be float32 and those of the next float64.
    trainer.load(flat, None if state is None else state.astype(dtype, copy=False), optimizer.step)
    epochs = estimator.max_iter if more is None else more
    n_steps = -(-rows.n_rows // batch_size)
    optimizer.plan(estimator.schedule, epochs if more is None else math.inf, n_steps)
    return kind(
        **given,
        trainer=trainer,
        n_slots=len(optimizer.rule.slots),
        parameters=flat,
        batch_size=batch_size,
        epochs=epochs,
        rates=optimizer,
        generator=estimator._random_state if estimator.shuffle else None,
        rules=rules,
        callbacks=listeners(estimator) if speaks(cluster) else [],
        with_gradient_norm=with_norm,
        # Numbers that are not finite are found at the end, and such a generator is nobody else's.
        rewinds=estimator.random_state.__class__ is not int,
        shown_loss=MeanOverOutputs(estimator) if estimator._shows_mean() else None,
        cluster=cluster,
    )


def split(estimator: Any, rows: Rows) -> tuple[Rows, Rows]:
    """Set validation rows apart, drawn as scikit-learn draws them."""
    n, stratum = len(rows.target), estimator._stratum(rows.target)
    fraction = estimator.validation_fraction
    try:
        train, held_out = train_and_validation(n, fraction, estimator._random_state, stratum)
    except ValueError:
        compat.split_error(n, fraction, stratum)
        raise
    rest = rows.take(train)
    if rest.weight is not None and not rest.weight.any():
        raise ValueError(
            "early_stopping sets all rows apart that have a weight: none are left to train on"
        )
    return rest, rows.take(held_out)


class EstimatorHooks(Hooks):
    """Keeps the fitted attributes of an estimator up to date.

    Attributes
    ----------
    best : (n_parameters,) array or None
        Parameters of the best score, with early stopping.
    task : Task or None
        The epoch, for scikit-learn's callbacks.
    alone : bool
        Whether somebody looks at each epoch.
    """

    returns_from_interrupt = True

    def __init__(
        self,
        estimator: Any,
        run: Run,
        optimizer: StochasticOptimizer,
        validation: Validation | None,
        context: Any,
        going_on: bool = False,
    ) -> None:
        #: Whether a plateau ends nothing, as it does not where each epoch is a call.
        self.going_on = going_on
        self.owner, self.optimizer, self.context = estimator, optimizer, context
        self.validation, self.dtype = validation, run.parameters.dtype
        self.shared = run.parameters is estimator.__dict__.get("_flat")
        # Someone who looks at the estimator between epochs sees what has been learned so far.
        self.watched = bool(run.callbacks or run.rules or context or estimator.scoring)
        self.verbose = bool(estimator.verbose) and speaks(run.cluster)
        seen = self.watched or validation is not None or self.verbose
        self.alone = seen or run.cluster is not None
        self.best: Array | None = None
        self.task: Any = None

    def current(self) -> Array:
        packed: Array = self.owner._packed()
        return packed.astype(self.dtype, copy=False)

    def show(self, run: Run) -> None:
        run.show()
        if not self.shared:
            self.owner._write_back(run.parameters)

    def epoch_begins(self, run: Run) -> None:
        self.task = self.context and self.context.begin_epoch()

    def unseen(self, run: Run) -> float:
        return 1 if self.alone or self.owner.early_stopping else math.inf

    def plateau(self, run: Run) -> kernels.Plateau | None:
        if self.going_on and not self.optimizer.adapts:
            return None
        return plateau_of(self.owner)

    def epochs_trained(self, run: Run) -> None:
        estimator, optimizer = self.owner, self.optimizer
        losses = run.history.loss[estimator.n_iter_ :]
        if not losses:
            return
        estimator.n_iter_ += len(losses)
        estimator.t_ += len(losses) * run.n_rows
        estimator.loss_ = losses[-1]
        estimator.loss_curve_ += losses
        note_losses(estimator, losses)
        optimizer.epochs += len(losses)
        optimizer.step, optimizer.rows_seen = run.trainer.step, estimator.t_

    def epoch_trained(self, run: Run, finite: bool) -> None:
        estimator, loss = self.owner, run.history.loss[-1]
        estimator.n_iter_ += 1
        estimator.t_ += run.visited
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        self.optimizer.step = run.trainer.step
        self.optimizer.rows_seen = estimator.t_
        if self.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.watched:
            self.show(run)
        elif self.validation is not None:
            run.show()

    def measure(self, run: Run) -> None:
        estimator = self.owner
        if self.validation is not None:
            score, loss = self.validation(run.parameters)
            run.history.validation_loss.append(loss)
            better = note_score(estimator, score, loss, estimator.early_stopping)
            if self.verbose:
                print(f"Validation score: {score:f}")
            if better and estimator.early_stopping:
                self.best = run.parameters.copy()
        if not estimator.early_stopping:
            note_losses(estimator, [estimator.loss_])

    def judge(self, run: Run) -> tuple[str, str] | None:
        estimator = self.owner
        if not too_long(estimator):
            return None
        what = "Validation score" if estimator.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change:g} consecutive epochs."
        )
        if self.optimizer.no_improvement(message, self.verbose):
            if self.going_on and run.history.epochs < run.epochs:
                return None
            return "early_stopping" if estimator.early_stopping else "plateau", message
        estimator._no_improvement_count = 0
        return None

    def epoch_ends(self, run: Run) -> bool:
        return self.task is not None and self.task.end()

    def finish(self, run: Run, finished: bool) -> None:
        """Give the estimator what was learned, and its optimizer the state to go on from."""
        estimator, optimizer = self.owner, self.optimizer
        self.epochs_trained(run)  # those of a call that was interrupted
        optimizer.step, optimizer.state = run.trainer.step, run.moments(run.parameters)
        if self.best is not None:
            run.parameters[...] = self.best
        for _, watch in run.watches:
            watch.training_ended(run.history, run.parameters)
        if not self.shared:
            estimator._write_back(run.parameters)
        estimator.stop_reason_ = run.history.stop_reason


def listeners(estimator: Any) -> list[Callback]:
    """The package's callbacks that an estimator asks for, a progress bar among them."""
    found = as_callbacks(estimator.callbacks) if estimator.callbacks else []
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
