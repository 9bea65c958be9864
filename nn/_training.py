"""The loop over epochs: everything around the engine's compiled epochs."""

from __future__ import annotations

import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ._full_batch import LineSearchTrainer
from .callbacks import Callback
from .history import History

if TYPE_CHECKING:
    from ._plan import Plan
    from .mlp import MLP

Array = np.ndarray[Any, Any]


def train(network: MLP, plan: Plan) -> History:
    """Run a plan and keep the network's parameters and the history up to date.

    The network's parameters are those of the last finished epoch, also during validation and
    callbacks; where an exception ends training, those of the last finished step.

    Warns
    -----
    RuntimeWarning
        Where the loss or a parameter is not finite; the last finite parameters are kept.
    """
    history, parameters, trainer = History(), network.parameters, plan.trainer
    before = parameters.copy()  # those of the epoch before
    watches = plan.watches()
    steps = _Steps(network, plan, history)
    trainer.load(parameters)
    finished = False
    try:
        for callback in plan.callbacks:
            callback.on_train_begin(network, history)
        if plan.callbacks:
            before[...] = parameters
            trainer.load(parameters)
        for epoch in range(plan.epochs):
            finite = steps.run_epoch(epoch)
            if finite:
                before[...] = parameters
                trainer.store(parameters)
            else:
                _stop_at_last_finite(history, parameters, before)
            if not plan.evaluation.empty:
                plan.evaluation.measure(history)
            plan.rates.epoch_ended(history)
            for reason, watch in watches:
                message = watch.epoch_ended(history, parameters) if finite else None
                if message is not None and not history.stop_reason:
                    history.stop_reason, history.stop_message = reason, message
            if _run_callbacks(plan.callbacks, network, history, plan) and not history.stop_reason:
                history.stop_reason = "callback"
                history.stop_message = f"a callback asked for it after epoch {history.epochs}"
            if history.stop_reason:
                break
        else:
            history.stop_reason = "epochs"
            history.stop_message = f"all {plan.epochs} epochs are done"
        if history.stop_reason != "non_finite_loss" and not np.isfinite(parameters).all():
            _stop_at_last_finite(history, parameters, before)
        finished = True
        for _, watch in watches:
            watch.training_ended(history, parameters)
    finally:
        if not finished:
            history.stop_reason = history.stop_reason or "interrupted"
            trainer.store(parameters)
        for callback in plan.callbacks:
            callback.on_train_end(network, history)
    if history.stop_reason == "non_finite_loss":
        warnings.warn(
            f"{history.stop_message}: training stopped; "
            "a smaller learning rate or scaled inputs may help",
            RuntimeWarning,
            stacklevel=3,
        )
    return history


def _stop_at_last_finite(history: History, parameters: Array, before: Array) -> None:
    """Say what is not finite, and go back to the last parameters that are.

    The losses of an epoch are measured before its updates: a finite loss shows that the parameters
    at its beginning were finite, those at its end need a look.
    """
    loss = history.loss[-1]
    broken = f"the loss became {loss}" if not math.isfinite(loss) else "parameters became infinite"
    history.stop_reason = "non_finite_loss"
    history.stop_message = f"{broken} in epoch {history.epochs}"
    if not np.isfinite(parameters).all():
        parameters[...] = before


class _Steps:
    """The steps of each epoch: in the engine, or one by one where somebody looks at each."""

    def __init__(self, network: MLP, plan: Plan, history: History) -> None:
        self.network, self.plan, self.history = network, plan, history
        self.listeners = [callback for callback in plan.callbacks if callback.every_batch]
        self.by_batch = bool(self.listeners) or plan.rates_by_batch
        self.order: Array | None = None
        if plan.generator is not None or self.by_batch:
            self.order = np.arange(len(plan.batch.x), dtype=np.intp)

    def run_epoch(self, epoch: int) -> bool:
        """Train for an epoch and note how it went; return whether its loss is finite."""
        plan, history, trainer, batch = self.plan, self.history, self.plan.trainer, self.plan.batch
        if plan.generator is not None and self.order is not None:
            plan.generator.shuffle(self.order)
        rate = plan.rates.of_epoch(epoch)
        started = time.perf_counter()
        if self.by_batch:
            loss = self._run_batches(rate)
        else:
            loss = trainer.run_epoch(
                batch.x, batch.target, self.order, rate, sample_weight=batch.weight
            )
        history.seconds.append(time.perf_counter() - started)
        history.loss.append(loss)
        if isinstance(trainer, LineSearchTrainer):
            rate = trainer.learning_rate
            if trainer.stuck is not None:
                history.stop_reason, history.stop_message = "line_search", trainer.stuck
        history.learning_rate.append(rate if isinstance(rate, float) else float(rate[-1]))
        if plan.with_gradient_norm:
            history.gradient_norm.append(float(trainer.gradient_norm))
        return math.isfinite(loss)

    def _run_batches(self, rate: float | Array) -> float:
        plan, batch, order, size = self.plan, self.plan.batch, self.order, self.plan.batch_size
        assert order is not None
        starts = range(0, len(order), size)
        rates = np.broadcast_to(rate, len(starts)).tolist()
        total = 0.0
        for number, (start, value) in enumerate(zip(starts, rates, strict=True)):
            rows = order[start : start + size]
            loss = plan.trainer.run_epoch(
                batch.x, batch.target, rows, value, sample_weight=batch.weight
            )
            total += loss * len(rows)
            if self.listeners:
                self._tell(number, loss)
        return total / max(len(order), 1)

    def _tell(self, number: int, loss: float) -> None:
        network, trainer = self.network, self.plan.trainer
        trainer.store(network.parameters)
        seen = network.parameters.copy()
        for callback in self.listeners:
            callback.on_batch_end(network, self.history, number, loss)
        _take_over(network, seen, self.plan)


def _run_callbacks(callbacks: list[Callback], network: MLP, history: History, plan: Plan) -> bool:
    """Call all; take over what they changed in the network. Return whether one says stop."""
    if not callbacks:
        return False
    seen = network.parameters.copy()
    stop = False
    for callback in callbacks:
        stop = callback.on_epoch_end(network, history) is True or stop
    _take_over(network, seen, plan)
    return stop


def _take_over(network: MLP, seen: Array, plan: Plan) -> None:
    """Train on from the network's parameters where they are no longer what callbacks were shown."""
    # Compared as bytes, so that NaN equals itself.
    if np.array_equal(seen.view(np.uint8), network.parameters.view(np.uint8)):
        return
    state = np.empty((plan.n_slots, seen.size), seen.dtype)
    plan.trainer.store(seen, state)
    plan.trainer.load(network.parameters, state, plan.trainer.step)
