"""A training run: all that its next step depends on, and how an epoch of steps is made."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np

from .._network.batch import Batch
from .._typing import Array
from ..callbacks import Callback
from ..history import History
from ..stopping import StopRule
from ..stopping._watches import Watch
from .place import Place

if TYPE_CHECKING:
    from .._cluster.cluster import Cluster

T = TypeVar("T")
#: How long a piece of an epoch may run where the clock is to be looked at, in seconds.
PIECE = 0.05


class LearningRates(Protocol):
    """Learning rates of a run, epoch by epoch."""

    def of_epoch(self, epoch: int) -> float | Array:
        """One rate for the whole epoch (counted from 0), or an array with one for each step."""

    def epoch_ended(self, history: History) -> None:
        """Look at the losses, where the rates depend on them."""


class ShownLoss(Protocol):
    """A loss that is shown in the place of the engine's, which is the sum over the outputs."""

    #: Whether it has to be computed after each step.
    by_step: bool

    def of_step(self, loss: float, parameters: Array, batch: Batch) -> float:
        """From the engine's loss of a step and the parameters before it."""

    def of_epoch(self, loss: float) -> float:
        """From the mean over the rows of an epoch."""


@dataclass(eq=False)
class Run:
    """A training run.

    Attributes
    ----------
    batch : Batch
        Training rows.
    trainer : object
        Trainer of ``fastmlp.kernels``, or one with its interface. It holds the parameters as of
        the last step and the optimizer's moments.
    n_slots : int
        Vectors of moments.
    parameters : (n_parameters,) array
        Where what was learned is shown: it is up to date after :meth:`show`.
    batch_size, epochs : int
    rates : LearningRates
    generator : numpy.random.Generator, numpy.random.RandomState or None
        Shuffles the order of the epoch before; ``None`` keeps the rows as they are.
    rules : list of stop rules
    callbacks : list of Callback
    with_gradient_norm : bool
        Whether to record it.
    shown_loss : ShownLoss, optional
    history : History
        Its last entries are those of the last epoch.
    order : (n,) array or None
        Order of the rows in the last epoch.
    watches : list of (reason, Watch)
        Rules at work, from :meth:`start` on, which starts those of ``rules`` where there are none
        yet. Where one has a deadline an epoch is cut into pieces, and ends at the first that is
        later.
    visited : int
        Rows of the last epoch.
    rows : (n,) array of intp, optional
        Rows of the batch that are visited, all by default: a run on some rows of an array that
        many runs share.
    remake : function, optional
        ``remake(n_threads)`` makes an equal trainer for another number of threads.
    cluster : Cluster, optional
        The ranks that make the same run: what depends on clocks and callbacks is rank 0's.
    begun : Place, optional
        How far the first epoch has come elsewhere.
    stride : int
        Steps of an epoch after each of which ``keep`` is called, when ``parameters`` are shown.
    keep : function, optional
    rewinds : bool
        Whether epochs of a call whose numbers are not finite are made again one by one; else the
        run goes on, and nobody looks at the generator after it.
    """

    batch: Batch
    trainer: Any
    n_slots: int
    parameters: Array
    batch_size: int
    epochs: int
    rates: LearningRates
    generator: Any = None
    rules: list[StopRule] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)
    with_gradient_norm: bool = False
    shown_loss: ShownLoss | None = None
    history: History = field(default_factory=History)
    order: Array | None = None
    watches: list[tuple[str, Watch]] = field(default_factory=list)
    visited: int = 0
    rows: Array | None = None
    remake: Callable[[int], Any] | None = None
    cluster: Cluster | None = None
    begun: Place | None = None
    stride: int = 0
    keep: Callable[[Place], None] | None = None
    rewinds: bool = True
    #: Seconds of an epoch where several were made in one call, and the epoch until which none are.
    epoch_seconds: float | None = None
    alone_until: int = 0
    #: Whether all rows lie in memory.
    in_memory: ClassVar[bool] = True

    @property
    def n_rows(self) -> int:
        """Rows of an epoch."""
        return len(self.batch.target if self.rows is None else self.rows)

    def start(self) -> None:
        """Start the stop rules, and look at what the run needs."""
        if self.rules and not self.watches:
            self.watches = [(rule.reason, rule.watch()) for rule in self.rules]
        self.deadline = math.inf
        for _, watch in self.watches:
            watch.training_begins()
            self.deadline = min(self.deadline, watch.deadline)
        self.listeners = [callback for callback in self.callbacks if callback.every_batch]
        self.stride = self.agreed(self.stride)
        self.n_steps = -(-self.n_rows // self.batch_size)
        #: Whether somebody looks after every step.
        self.step_by_step = self.agreed(bool(self.listeners))
        #: For the parameters before a step, where the loss depends on them.
        self.scratch: Array | None = None
        if self.shown_loss is not None and self.shown_loss.by_step:
            self.step_by_step, self.scratch = True, np.empty_like(self.parameters)
        #: Steps that the engine makes in one call.
        self.piece = 1 if self.step_by_step or self.deadline < math.inf else self.n_steps
        if self.order is None and self.rows is not None:
            self.order = self.rows.copy()
        elif self.order is None and self.generator is not None:
            self.order = self.first_order()

    def first_order(self) -> Array | None:
        """What is shuffled, as it is before the first epoch."""
        return np.arange(self.n_rows, dtype=np.intp)

    # State

    def show(self) -> None:
        """Copy what was learned so far to ``parameters``."""
        self.trainer.store(self.parameters)

    def moments(self, parameters: Array | None = None) -> Array:
        """The optimizer's moments as of the last step, ``(n_slots, n_parameters)``.

        The parameters are written to ``parameters``, where that is given.
        """
        moments = np.empty((self.n_slots, self.parameters.size), self.parameters.dtype)
        seen = np.empty_like(self.parameters) if parameters is None else parameters
        self.trainer.store(seen, moments)
        return moments

    def go_on_from(self, parameters: Array) -> None:
        """Change the parameters, keep the moments."""
        self.parameters[...] = parameters
        self.trainer.load(self.parameters, self.moments(), self.trainer.step)

    def use_threads(self, n_threads: int) -> None:
        """Go on with another number of threads, to the bit as before."""
        if self.remake is None:
            return
        trainer, parameters = self.remake(n_threads), np.empty_like(self.parameters)
        moments = self.moments(parameters)
        trainer.load(parameters, moments, self.trainer.step)
        trainer.halt, self.trainer = self.trainer.halt, trainer

    # Steps

    def train_epoch(self, tell: Callable[[int, float], None]) -> bool:
        """Train for an epoch and note how it went; return whether its loss is finite.

        Parameters
        ----------
        tell : function
            ``tell(batch, loss)`` is called after each step where callbacks listen to that.
        """
        history, trainer = self.history, self.trainer
        rate = self.rates.of_epoch(history.epochs)
        self.epoch_began = time.perf_counter()
        loss, rate = self._run_stretches(rate, tell)
        if self.shown_loss is not None:
            loss = self.shown_loss.of_epoch(loss)
        history.seconds.append(time.perf_counter() - self.epoch_began + self.place.seconds)
        history.loss.append(loss)
        found = getattr(trainer, "learning_rate", None)  # by a line search
        last = rate if isinstance(rate, float) else float(rate[-1])
        history.learning_rate.append(last if found is None else found)
        if self.with_gradient_norm:
            history.gradient_norm.append(float(trainer.gradient_norm))
        for name, value in getattr(trainer, "curves", {}).items():
            getattr(history, name).append(value)
        stuck = getattr(trainer, "stuck", None)
        if stuck is not None:
            history.stop("line_search", stuck)
        return math.isfinite(loss)

    def stretches(self) -> Generator[tuple[Batch, Array | None], None, None]:
        """Shuffle, and give the rows of an epoch with their order, as much as lies in memory.

        All but the last make whole steps. Where the epoch has begun elsewhere the first is the one
        in which :attr:`place` lies.
        """
        if self.generator is not None and not self.place.resumed:
            # Permutations compose: each epoch reorders the last order.
            self.generator.shuffle(self.order)
        yield self.batch, self.order

    def _run_stretches(
        self, rate: float | Array, tell: Callable[[int, float], None]
    ) -> tuple[float, float | Array]:
        """Return the mean loss of the rows that were visited, and the last learning rates."""
        whole = self.piece >= self.n_steps and not self.step_by_step and not self.stride
        partitioned = hasattr(self.trainer, "begin_epoch")  # each rank goes through rows of its own
        if partitioned:
            self.trainer.begin_epoch(self.deadline)
        place = self.place = self.begun or Place(batch_size=self.batch_size)
        self.begun = None
        if self.in_memory and whole and not place.resumed and not partitioned:
            if self.generator is not None:  # as `stretches` does, of which there is one
                self.generator.shuffle(self.order)
            batch, self.visited = self.batch, self.n_rows
            return self.trainer.run_epoch(
                batch.x, batch.target, self.order, rate, sample_weight=batch.weight
            ), rate
        last = rate
        with contextlib.closing(self.stretches()) as stretches:
            for batch, order in stretches:
                if not whole or place.skip:
                    loss, n, last = self._run_pieces(batch, order, rate, tell)
                else:
                    n = len(batch.target) if order is None else len(order)
                    last, end = rate, place.step + -(-n // self.batch_size)
                    if isinstance(rate, np.ndarray):
                        last = rate[place.step : end]
                    loss = self.trainer.run_epoch(
                        batch.x, batch.target, order, last, sample_weight=batch.weight
                    )
                    place.step = end
                place.finished(loss, n)
                if self._late():
                    break
        self.visited, loss = place.visited, place.loss
        if partitioned:
            (loss, self.visited), last = self.trainer.end_epoch(rate, place.step), rate
        return loss, last

    def _run_pieces(
        self,
        batch: Batch,
        order: Array | None,
        rate: float | Array,
        tell: Callable[[int, float], None],
    ) -> tuple[float, int, float | Array]:
        """Return the mean loss of the rows that were visited, how many, and the last rates."""
        size, place = self.batch_size, self.place
        if order is None:
            order = np.arange(len(batch.target), dtype=np.intp)
        step, n_steps = place.skip, -(-len(order) // size)
        value, now = rate, time.perf_counter()
        while step < n_steps and not (place.part_rows and self._late(now)):
            steps = min(self.piece, n_steps - step)
            if self.stride:
                steps = min(steps, self.stride - place.step % self.stride)
            rows = order[step * size : (step + steps) * size]
            if isinstance(rate, np.ndarray):
                value = rate[place.step : place.step + steps]
            loss = self._run_piece(batch.take(rows), value)
            place.part += loss * len(rows)
            place.part_rows += len(rows)
            if self.listeners:
                tell(place.step, loss)
            step += steps
            place.skip, place.step = step, place.step + steps
            before, now = now, time.perf_counter()
            if self.stride and place.step % self.stride == 0:
                self._keep(now)
            if self.deadline < math.inf and not self.step_by_step and self.cluster is None:
                wanted = steps * PIECE / max(now - before, 1e-9)
                self.piece = max(1, min(int(wanted), 2 * self.piece, self.n_steps))
        return place.part / max(place.part_rows, 1), place.part_rows, value

    def _keep(self, now: float) -> None:
        """Let those that keep the state within epochs do so, where the place can be found again."""
        if self.keep is None or self.place.where is None:
            return
        self.show()
        seconds = self.place.seconds + now - self.epoch_began
        self.keep(replace(self.place, seconds=seconds))

    def agreed(self, value: T) -> T:
        """The value, or of several ranks that of the first."""
        return value if self.cluster is None else self.cluster.of_first(value)

    def _late(self, now: float | None = None) -> bool:
        if self.deadline == math.inf:
            return False
        late = (time.perf_counter() if now is None else now) >= self.deadline
        over: bool | None = getattr(self.trainer, "over", None)
        return self.agreed(late) if over is None else over

    def _run_piece(self, piece: Batch, rate: float | Array) -> float:
        # The engine looks at all rows that it is given: those of the piece alone.
        trainer, shown = self.trainer, self.shown_loss
        if self.scratch is not None:
            trainer.store(self.scratch)
        loss: float = trainer.run_epoch(
            piece.x, piece.target, None, rate, sample_weight=piece.weight
        )
        if shown is None or self.scratch is None:
            return loss
        return shown.of_step(loss, self.scratch, piece)
