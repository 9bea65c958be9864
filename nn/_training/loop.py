"""The loop over epochs, the same for :class:`fastmlp.MLP` and the estimators.

:func:`train` carries a :class:`~fastmlp._training.run.Run` out. What its owner adds (where
parameters are shown, what is measured, own reasons to stop) are :class:`Hooks`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._typing import Array
from .run import Run, State


class Hooks:
    """What the owner of a run adds to the loop, in the order in which it happens.

    Attributes
    ----------
    owner : object
        What callbacks are shown: a network or an estimator.
    returns_from_interrupt : bool
        Whether Ctrl-C ends training like a stop rule, instead of passing through.
    """

    owner: Any
    returns_from_interrupt = False

    def current(self) -> Array:
        """The owner's parameters as they are now, in the dtype of the run."""
        raise NotImplementedError

    def show(self, run: Run) -> None:
        """Bring the owner's parameters up to date."""
        run.show()

    def epoch_begins(self, run: Run) -> None:
        """Run before an epoch's order is drawn."""

    def epoch_trained(self, run: Run, finite: bool) -> None:
        """Run after the steps; ``finite`` tells about the epoch's loss."""
        self.show(run)

    def measure(self, run: Run) -> None:
        """Measure what was learned."""

    def judge(self, run: Run) -> tuple[str, str] | None:
        """A reason of the owner's own to stop, and its words."""
        return None

    def epoch_ends(self, run: Run) -> bool:
        """Run after the callbacks; whether somebody asked for training to stop."""
        return False

    def finish(self, run: Run, finished: bool) -> None:
        """Run once, also where an exception ends training (``finished`` is false then)."""


def train(run: Run, hooks: Hooks, state: State | None = None) -> None:
    """Run epochs until all are done, or something says stop; ``run.history`` says what.

    The run begins with what its trainer has been loaded with, or goes on from a ``state`` of an
    equal run. Callbacks may change the owner's parameters at any time: training goes on from what
    they leave, with the optimizer's moments kept.
    """
    run.start()
    if state is not None:
        run.resume(state)
    history, owner = run.history, hooks.owner
    finished = False
    try:
        if run.callbacks:
            _listen(run, hooks, lambda: [c.on_train_begin(owner, history) for c in run.callbacks])
        while history.epochs < run.epochs and not history.stop_reason:
            hooks.epoch_begins(run)
            finite = run.train_epoch(lambda batch, loss: _tell(run, hooks, batch, loss))
            hooks.epoch_trained(run, finite)
            hooks.measure(run)
            run.rates.epoch_ended(history)
            _judge(run, hooks)
        history.stop("epochs", f"all {run.epochs} epochs are done")
        finished = True
    except KeyboardInterrupt:
        if not hooks.returns_from_interrupt:
            raise
    finally:
        history.stop("interrupted", "")
        hooks.finish(run, finished)
        for callback in run.callbacks:
            callback.on_train_end(owner, history)


def _judge(run: Run, hooks: Hooks) -> None:
    """Ask the rules, the owner and the callbacks whether to stop; the first reason counts."""
    history = run.history
    own = hooks.judge(run)
    if own is not None:
        history.stop(*own)
    if history.stop_reason != "non_finite_loss":
        for reason, watch in run.watches:
            message = watch.epoch_ended(history, run.parameters)
            if message is not None:
                history.stop(reason, message)
    stops = [False]
    if run.callbacks:
        stops = _listen(
            run,
            hooks,
            lambda: [says_stop(c.on_epoch_end(hooks.owner, history)) for c in run.callbacks],
        )
    if hooks.epoch_ends(run) or any(stops):
        history.stop("callback", f"a callback asked for it after epoch {history.epochs}")


def says_stop(answer: Any) -> bool:
    """Whether a callback has returned ``True``, Python's or NumPy's."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


def _tell(run: Run, hooks: Hooks, batch: int, loss: float) -> None:
    """Show the callbacks that listen to every step what it has led to."""
    hooks.show(run)
    _listen(
        run,
        hooks,
        lambda: [c.on_batch_end(hooks.owner, run.history, batch, loss) for c in run.listeners],
    )


def _listen(run: Run, hooks: Hooks, call: Callable[[], list[Any]]) -> list[Any]:
    """Call callbacks, and go on from the parameters that they leave."""
    seen = hooks.current().copy()
    answers = call()
    now = hooks.current()
    # Compared as bytes, so that NaN equals itself.
    if not np.array_equal(seen.view(np.uint8), now.view(np.uint8)):
        run.go_on_from(now)
    return answers
