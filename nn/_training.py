"""The loop over epochs: everything around the engine's compiled epochs."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .callbacks import Callback
from .history import History

if TYPE_CHECKING:
    from .mlp import MLP
    from .optimizers import Optimizer

Array = np.ndarray[Any, Any]


def train(
    network: MLP,
    trainer: Any,
    optimizer: Optimizer,
    x: Array,
    y: Array,
    *,
    epochs: int,
    generator: np.random.Generator | None,
    sample_weight: Array | None,
    validation_loss: Callable[[], float] | None,
    callbacks: Sequence[Callback],
) -> History:
    """Run epochs and keep the network's parameters and the history up to date.

    Parameters
    ----------
    network : MLP
        Its parameters are written: after each epoch where validation or callbacks look at them,
        and at the end in any case, also where training ends by an exception.
    trainer : fastmlp.kernels trainer
        Fresh; parameters are loaded into it here.
    generator : numpy.random.Generator or None
        Shuffles the rows of each epoch; ``None`` keeps them in order.
    validation_loss : function or None
        Loss on the validation data with the network's present parameters.
    """
    history = History()
    parameters = network.parameters
    order: Array | None = None
    if generator is not None:
        order = np.arange(len(x), dtype=np.intp)
    learning_rate = float(optimizer.learning_rate)
    n_slots = len(optimizer.update_rule().slots)
    trainer.load(parameters)
    try:
        for callback in callbacks:
            callback.on_train_begin(network, history)
        if callbacks:
            trainer.load(parameters)
        for _ in range(epochs):
            if generator is not None and order is not None:
                generator.shuffle(order)
            started = time.perf_counter()
            loss = trainer.run_epoch(x, y, order, learning_rate, sample_weight=sample_weight)
            history.seconds.append(time.perf_counter() - started)
            history.loss.append(loss)
            if validation_loss is not None or callbacks:
                trainer.store(parameters)
            if validation_loss is not None:
                history.validation_loss.append(validation_loss())
            stop = _run_callbacks(callbacks, network, history, trainer, n_slots)
            if not math.isfinite(loss):
                warnings.warn(
                    f"the loss became {loss} in epoch {history.epochs}: training stopped; "
                    "a smaller learning rate or scaled inputs may help",
                    RuntimeWarning,
                    stacklevel=3,
                )
                break
            if stop:
                break
    finally:
        trainer.store(parameters)
        for callback in callbacks:
            callback.on_train_end(network, history)
    return history


def _run_callbacks(
    callbacks: Sequence[Callback], network: MLP, history: History, trainer: Any, n_slots: int
) -> bool:
    """Call all; take over what they changed in the network. Return whether one says stop."""
    if not callbacks:
        return False
    before = network.parameters.copy()
    stop = False
    for callback in callbacks:
        stop = callback.on_epoch_end(network, history) is True or stop
    # Compared as bytes, so that NaN equals itself.
    if not np.array_equal(before.view(np.uint8), network.parameters.view(np.uint8)):
        state = np.empty((n_slots, before.size), before.dtype)
        trainer.store(before, state)
        trainer.load(network.parameters, state, trainer.step)
    return stop
