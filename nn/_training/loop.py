"""The loop over epochs: everything around the engine's compiled epochs."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from .._typing import Array
from ..callbacks import Callback
from ..history import History
from .steps import Steps, take_over

if TYPE_CHECKING:
    from ..mlp import MLP
    from .plan import Plan


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
    steps = Steps(network, plan, history, watches)
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


def _run_callbacks(callbacks: list[Callback], network: MLP, history: History, plan: Plan) -> bool:
    """Call all; take over what they changed in the network. Return whether one says stop."""
    if not callbacks:
        return False
    seen = network.parameters.copy()
    stop = False
    for callback in callbacks:
        stop = callback.on_epoch_end(network, history) is True or stop
    take_over(network, seen, plan)
    return stop
