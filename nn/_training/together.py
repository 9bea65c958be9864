"""Several epochs in one call of the engine: where nothing has to look at each of them.

Learning rates are known before the epochs are made, and each epoch shuffles the order of the one
before, until all are made or a plateau is reached. What comes out is what epoch by epoch would come
out, to the bit, and so is what an exception leaves behind: the generator stands where the epoch at
hand has put it, and the history ends with the last finished epoch. Where a loss or the parameters
become infinite, the epochs are made again one by one, which finds out in which.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from fastmlp import kernels

from .._inputs.arrays import all_finite
from .._typing import Array
from .positions import position, set_position
from .run import Run

if TYPE_CHECKING:
    from .options import Options
    from .plan import Settings

#: Seconds of one call, about, and bytes of the orders of all its epochs.
SECONDS, ORDER_BYTES = 0.05, 4 << 20
#: For the first call: multiplications and additions a second, and seconds of a step beside them.
SLOWLY, STEP = 1e10, 2e-6
#: Those whose draws :func:`fastmlp.kernels.shuffled` makes.
_GENERATORS = (np.random.Generator, np.random.RandomState)


def nothing_looks(known: Settings, options: Options) -> bool:
    """Whether options ask for steps alone: nothing that a run of them makes looks at an epoch."""
    watching = (options.callbacks, options.validation_data, options.metrics, options.verbose)
    return (
        not known.searches
        and known.subset is None
        and known.cluster is None
        and not (known.stop or known.with_norm)
        and all(value is None or value in ((), [], 0) for value in watching)
    )


def foreseeable(run: Run) -> bool:
    """Whether nothing that an epoch leads to changes what the next one is."""
    return (
        run.in_memory
        and not run.callbacks
        and not run.watches
        and not run.with_gradient_norm
        and run.shown_loss is None
        and run.history.epochs >= run.alone_until
        and getattr(run.rates, "known_ahead", False)
        and (run.generator is None or isinstance(run.generator, _GENERATORS))
    )


def at_once(run: Run, most: float) -> int:
    """How many of the coming epochs, at most ``most``, are made in one call; 1 for one by one."""
    if most > 1 and foreseeable(run) and hasattr(run.trainer, "run_epochs"):
        return int(min(how_many(run), most))
    return 1


class Piece:
    """Epochs of a run that one call makes: what it needs, what comes out, and the way back.

    Attributes
    ----------
    orders : (count, n) array, Shuffle or None
        What the trainer takes; arrays are made by :func:`draw`, for several pieces together.
    rates : (count,) or (count, n_steps) float64 array
    losses : (count,) array
        NaN for epochs that have not been made.
    """

    def __init__(
        self, run: Run, count: int, draw: bool = True, plateau: kernels.Plateau | None = None
    ) -> None:
        self.run, self._count, self.plateau = run, count, plateau
        self._step, self._order, first = run.trainer.step, run.order, run.history.epochs
        if run.rewinds:
            self._parameters = np.empty_like(run.parameters)
            self._moments, self._position = run.moments(self._parameters), position(run.generator)
        if getattr(run.rates, "fixed", False):
            self.rates = np.empty(count)
            self.rates.fill(run.rates.of_epoch(first))
        else:
            self.rates = np.array([run.rates.of_epoch(first + epoch) for epoch in range(count)])
        self.orders = _orders(run, count) if draw else None
        self.losses = np.empty(count)  # the trainer fills them with NaN before it begins

    def _note(self, done: int, seconds: float) -> None:
        history, rates = self.run.history, self.rates[:done]
        history.loss += self.losses[:done].tolist()
        history.seconds += [seconds] * done
        history.learning_rate += (rates if rates.ndim == 1 else rates[:, -1]).tolist()

    def interrupted(self, seconds: float) -> None:
        """Leave the run at the trainer's last finished step, after so many seconds."""
        run = self.run
        done = (run.trainer.step - self._step) // run.n_steps
        self._note(done, seconds / max(done, 1))
        drawn_ahead = run.generator is not None and isinstance(self.orders, np.ndarray)
        if run.rewinds and drawn_ahead and self._order is not None:
            self._rewind()
            count = min(done + 1, self._count)
            run.order = kernels.shuffled(run.generator, self._order, count)[-1]
        else:
            run.order = self._last_order()

    def finish(self, seconds: float) -> bool:
        """Note the epochs, where all numbers stayed finite; else leave the run as it was before."""
        run, done = self.run, self._count
        if self.plateau is not None:
            done = (run.trainer.step - self._step) // run.n_steps
        if run.rewinds and not self._stayed_finite(done):
            self._rewind()
            run.alone_until = run.history.epochs + done
            return False
        self._note(done, seconds / done)
        run.order = self._last_order()
        run.visited, run.epoch_seconds = run.n_rows, run.history.seconds[-1]
        return True

    def _last_order(self) -> Array | None:
        """The order of the last epoch that has begun."""
        if isinstance(self.orders, kernels.Shuffle):
            return self.orders.order
        return None if self.orders is None else self.orders[-1].copy()

    def _stayed_finite(self, done: int) -> bool:
        """Whether all numbers did; the run's parameters are then those that were learned."""
        run = self.run
        if not all_finite(self.losses[:done]):
            return False
        run.trainer.store(run.parameters)
        if all_finite(run.parameters):
            return True
        run.parameters[...] = self._parameters
        return False

    def load(self) -> None:
        """Let the run's trainer begin where this piece has begun."""
        self.run.trainer.load(self._parameters, self._moments, self._step)

    def _rewind(self) -> None:
        """Bring the generator and the order back to where they stood."""
        self.run.order = self._order
        if self.run.generator is not None:
            set_position(self.run.generator, self._position)


def draw(pieces: Sequence[Piece], count: int) -> None:
    """Draw the orders of pieces of ``count`` epochs with equal numbers of rows, in one call."""
    runs = [piece.run for piece in pieces]
    if all(run.order is None for run in runs):
        return
    last = [np.arange(run.n_rows) if run.order is None else run.order for run in runs]
    generators = [run.generator for run in runs]
    found = (
        [np.tile(order, (count, 1)) for order in last]
        if None in generators
        else kernels.shuffled_each(generators, last, count)
    )
    for piece, orders in zip(pieces, found, strict=True):
        piece.orders = orders


def train(run: Run, count: int, plateau: kernels.Plateau | None = None) -> bool:
    """Train for ``count`` epochs; return whether all numbers stayed finite.

    Where they did not the run is where it was, and makes as many epochs one by one. Epochs end
    where the plateau is reached.
    """
    piece, batch = Piece(run, count, plateau=plateau), run.batch
    arrays = batch.x, batch.target, piece.orders, piece.rates
    started = time.perf_counter()
    try:
        run.trainer.run_epochs(
            *arrays, sample_weight=batch.weight, plateau=plateau, out=piece.losses
        )
    except BaseException:
        piece.interrupted(time.perf_counter() - started)
        raise
    finite = piece.finish(time.perf_counter() - started)
    if not finite:
        piece.load()
    return finite


def how_many(run: Run) -> int:
    """How many epochs the next call makes."""
    n = run.n_rows
    seconds = run.epoch_seconds
    if seconds is None:
        operations = 6.0 * run.parameters.size * n
        seconds = operations / SLOWLY + run.n_steps * STEP
    by_time = int(SECONDS / max(seconds, 1e-9))
    by_memory = ORDER_BYTES // (8 * n) if run.order is not None else by_time
    return max(1, min(run.epochs - run.history.epochs, by_time, by_memory))


def _orders(run: Run, count: int) -> Array | kernels.Shuffle | None:
    """The orders of the next epochs: each reorders the one before."""
    if run.order is None:
        return None
    if run.generator is None:
        return np.tile(run.order, (count, 1))
    # What a run may go back to is kept.
    return kernels.Shuffle(run.generator, run.order.copy() if run.rewinds else run.order)
