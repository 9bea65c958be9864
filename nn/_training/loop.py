"""The loop over epochs, the same for :class:`fastmlp.MLP` and the estimators.

:func:`train` carries a :class:`~fastmlp._training.run.Run` out. What its owner adds (where
parameters are shown, what is measured, own reasons to stop) are :class:`Hooks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp import kernels

from .._typing import Array
from ..callbacks import Callback
from . import together
from .run import Run


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
        """Run before an epoch's order is drawn, or the orders of several."""

    def epoch_trained(self, run: Run, finite: bool) -> None:
        """Run after the steps; ``finite`` tells about the epoch's loss."""
        self.show(run)

    def unseen(self, run: Run) -> float:
        """How many of the coming epochs may be made in one call.

        Nothing below but ``judge`` and ``finish`` has to run after each of them, and before the
        last one nothing would stop but the plateau.
        """
        return 1

    def plateau(self, run: Run) -> kernels.Plateau | None:
        """A plateau at which ``judge`` would stop, where epochs are made in one call."""
        return None

    def epochs_trained(self, run: Run) -> None:
        """Run in the place of ``epoch_trained`` after some epochs that were made in one call."""

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


def train(run: Run, hooks: Hooks) -> None:
    """Run epochs until all are done, or something says stop; ``run.history`` says what.

    The run begins with what its trainer has been loaded with. Callbacks may change the owner's
    parameters at any time: training goes on from what they leave, with the moments kept.
    """
    run.start()
    history, finished = run.history, False
    try:
        _call(run, hooks, run.callbacks, "on_train_begin")
        while history.epochs < run.epochs and not history.stop_reason:
            hooks.epoch_begins(run)
            count = together.at_once(run, hooks.unseen(run))
            if count > 1 and together.train(run, count, hooks.plateau(run)):
                hooks.epochs_trained(run)
                _judge(run, hooks)
                continue
            finite = run.train_epoch(lambda batch, loss: _tell(run, hooks, batch, loss))
            hooks.epoch_trained(run, finite)
            hooks.measure(run)
            run.rates.epoch_ended(history)
            _judge(run, hooks)
        all_done(run)
        finished = True
    except KeyboardInterrupt:
        if not hooks.returns_from_interrupt:
            raise
    finally:
        end(run, hooks, finished)


def end(run: Run, hooks: Hooks, finished: bool = True) -> None:
    """Do what comes after the last epoch of a run; without a reason to stop it was interrupted."""
    run.history.stop("interrupted", "")
    hooks.finish(run, finished)
    for callback in run.callbacks:
        callback.on_train_end(hooks.owner, run.history)


def all_done(run: Run) -> None:
    """Note that a run ends because no epoch is left."""
    run.history.stop("epochs", f"all {run.epochs} epochs are done")


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
    answers = _call(run, hooks, run.callbacks, "on_epoch_end")
    if hooks.epoch_ends(run) or any(map(says_stop, answers)):
        history.stop("callback", f"a callback asked for it after epoch {history.epochs}")
    history.stop_reason, history.stop_message = run.agreed(
        (history.stop_reason, history.stop_message)
    )


def says_stop(answer: Any) -> bool:
    """Whether a callback has returned ``True``, Python's or NumPy's."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


def _tell(run: Run, hooks: Hooks, batch: int, loss: float) -> None:
    """Show the callbacks that listen to every step what it has led to."""
    hooks.show(run)
    _call(run, hooks, run.listeners, "on_batch_end", batch, loss)


def _call(
    run: Run, hooks: Hooks, callbacks: Sequence[Callback], method: str, *arguments: Any
) -> list[Any]:
    """Call a method of callbacks, and go on from the parameters that they leave."""
    if not callbacks:
        return []
    seen = hooks.current().copy()
    answers = [getattr(c, method)(hooks.owner, run.history, *arguments) for c in callbacks]
    now = hooks.current()
    # Compared as bytes, so that NaN equals itself.
    if not np.array_equal(seen.view(np.uint8), now.view(np.uint8)):
        run.go_on_from(now)
    return answers
