"""Several epochs in one call of the engine: where nothing has to look at each of them.

Orders and learning rates are known before the epochs are made. What comes out is what epoch by
epoch would come out, to the bit, and so is what an exception leaves behind: the generator stands
where the epoch at hand has put it, and the history ends with the last finished epoch. Where a loss
or the parameters become infinite, the epochs are made again one by one, which finds out in which.
"""

from __future__ import annotations

import math
import time

import numpy as np
from fastmlp import kernels

from .._typing import Array
from .run import Run, position, set_position

#: Seconds of one call, about, and bytes of the orders of all its epochs.
SECONDS, ORDER_BYTES = 0.05, 4 << 20
#: For the first call: multiplications and additions a second, and seconds of a step beside them.
SLOWLY, STEP = 3e9, 2e-6


def possible(run: Run) -> bool:
    """Whether the next epochs of a run may be made in one call."""
    return (
        run.in_memory
        and not run.callbacks
        and not run.watches
        and not run.with_gradient_norm
        and run.shown_loss is None
        and run.history.epochs >= run.alone_until
        and getattr(run.rates, "known_ahead", False)
        and hasattr(run.trainer, "run_epochs")
        and (run.generator is None or isinstance(run.generator, np.random.Generator))
        and _count(run) > 1
    )


def train(run: Run) -> bool:
    """Train for some epochs; return whether all numbers stayed finite.

    Where they did not the run is where it was, and makes as many epochs one by one.
    """
    history, trainer, n = run.history, run.trainer, run.n_rows
    first, count = history.epochs, _count(run)
    parameters = np.empty_like(run.parameters)
    moments, step = run.moments(parameters), trainer.step
    before, order = position(run.generator), run.order
    orders = _orders(run, order, count)
    rates = [run.rates.of_epoch(first + epoch) for epoch in range(count)]
    losses = np.full(count, np.nan)
    started = time.perf_counter()

    def note(done: int) -> None:
        seconds = (time.perf_counter() - started) / max(done, 1)
        history.loss += losses[:done].tolist()
        history.seconds += [seconds] * done
        history.learning_rate += [r if isinstance(r, float) else float(r[-1]) for r in rates[:done]]

    batch, targets = run.batch, run.batch.target
    try:
        trainer.run_epochs(
            batch.x, targets, orders, np.array(rates), sample_weight=batch.weight, out=losses
        )
    except BaseException:
        done = (trainer.step - step) // run.n_steps
        note(done)
        _rewind(run, before, order)
        again = _orders(run, order, min(done + 1, count))
        run.order = None if again is None else again[-1]
        raise
    if all(map(math.isfinite, losses)):
        trainer.store(run.parameters)
        if np.isfinite(run.parameters).all():
            note(count)
            run.order, run.visited = None if orders is None else orders[-1].copy(), n
            run.epoch_seconds = history.seconds[-1]
            return True
        run.parameters[...] = parameters
    _rewind(run, before, order)
    trainer.load(parameters, moments, step)
    run.alone_until = first + count
    return False


def _count(run: Run) -> int:
    """How many epochs the next call makes."""
    n = run.n_rows
    seconds = run.epoch_seconds
    if seconds is None:
        operations = 6.0 * run.parameters.size * n
        seconds = operations / SLOWLY + run.n_steps * STEP
    by_time = int(SECONDS / max(seconds, 1e-9))
    by_memory = ORDER_BYTES // (8 * n) if run.order is not None else by_time
    return max(1, min(run.epochs - run.history.epochs, by_time, by_memory))


def _orders(run: Run, order: Array | None, count: int) -> Array | None:
    """The orders of the next epochs: each reorders the one before."""
    if order is None:
        return None
    if run.generator is None:
        return np.tile(order, (count, 1))
    return kernels.shuffled(run.generator, order, count)


def _rewind(run: Run, before: object, order: Array | None) -> None:
    """Bring the generator and the order back to where they stood."""
    run.order = order
    if run.generator is not None:
        set_position(run.generator, before)
