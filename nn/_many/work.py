"""What many networks are to learn from and how, and the training of all of them."""

from __future__ import annotations

import dataclasses
import threading
import warnings
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any

import numpy as np
from fastmlp.kernels import CSR, Halted

from .. import optimizers
from .._network.batch import Batch
from .._network.network import Network
from .._training import plan
from .._training.fit import ADVICE, NetworkHooks, carry_out
from .._training.options import Options
from .._training.plan import Settings
from .._training.positions import position, set_position
from .._training.run import Run
from .._typing import Array
from ..history import History
from ..optimizers._full_batch import FullBatch
from . import arguments, lanes, progress
from .crew import Crew
from .rows import indices, part

#: Multiplications and additions of a step from which it may use threads that are idle.
WORTH_SHARING = 1e6


class ManyHooks(NetworkHooks):
    """Those of one network, which uses idle threads where fewer networks than threads are left."""

    crew: Crew
    threads = 1

    def epoch_begins(self, run: Run) -> None:
        if self.crew.halt[0]:
            raise Halted
        threads = self.crew.threads_for_each()
        if threads > self.threads and 6.0 * run.parameters.size * run.batch_size > WORTH_SHARING:
            self.threads = threads
            run.use_threads(threads)


class Work:
    """The networks and what each of them is to learn from, and how."""

    def __init__(
        self,
        networks: list[Network],
        X: Any,
        y: Any,
        rows: Any,
        sample_weight: Any,
        options: dict[str, Any],
    ) -> None:
        k = len(networks)
        self.networks = networks
        self.options, self._several = arguments.options_of_each(options, k)
        self._x, self._y = X, y
        self._xs = arguments.data_of_each("X", X, k, (2,))
        self._ys = arguments.data_of_each("y", y, k, (1, 2))
        if self._xs is not None and self._ys is None:
            raise ValueError(f"X holds one array for each of {k} networks, and y must, too")
        self._weight = sample_weight
        self._weights = arguments.data_of_each("sample_weight", sample_weight, k, (1, 2))
        self._rows = arguments.rows_of_each(rows, k)
        self._own_arrays = any(v is not None for v in (self._xs, self._ys, self._weights))
        self._arrays: dict[Hashable, Batch] = {}
        self._kinds: dict[Hashable, int] = {}
        self._kind_of: list[int | None] = [None] * k
        # Of networks that are alike:
        self._batches: dict[int, Batch] = {}
        self._known: dict[int, Settings] = {}
        self._records: dict[int, Options] = {}
        self._idle: dict[Hashable, list[Any]] = {}
        self._shapes: list[tuple[int, int, bool]] = [(0, 0, False)] * k
        self._histories = [History() for _ in networks]
        self._lock = threading.Lock()
        self._done = 0
        #: Those that this process trains.
        self.mine: Sequence[int] = range(k)

    # What each network gets

    def batch(self, i: int) -> tuple[Batch, Array | None]:
        """The rows of a network: a batch, and which rows of it are visited."""
        shared = self._shared_batch(i)
        given, options = self._rows[i], self.options[i]
        # Weights of classes count those of the rows; metrics and line searches look at all.
        copied = (
            options["class_weight"] is not None
            or bool(options["metrics"])
            or _takes_all(options["optimizer"])
        )
        batch, rows = part(shared, indices(given, len(shared.target), i), copied)
        return plan.weighed(self.networks[i], batch, options["class_weight"]), rows

    def _shared_batch(self, i: int) -> Batch:
        """The arrays that a network takes its rows from, checked once for all that are alike."""
        kind = self.kind(i)
        if kind in self._batches:
            return self._batches[kind]
        net, options = self.networks[i], self.options[i]
        x = self._x if self._xs is None else self._xs[i]
        y = self._y if self._ys is None else self._ys[i]
        weight = self._weight if self._weights is None else self._weights[i]
        spec = net._loss(*(options[n] for n in ("loss", "label_smoothing", "missing_targets")))
        sizes = net.architecture.sizes
        key = (sizes[0], sizes[-1], net.dtype, repr(spec))
        if not self._own_arrays and key in self._arrays:
            batch = dataclasses.replace(self._arrays[key], loss=spec)
        else:
            x, target, weight, _ = net._batch(x, y, spec, weight, training=True)
            batch = Batch(x, target, weight, spec)
        if not self._own_arrays:
            self._arrays[key] = self._batches[kind] = batch
        return batch

    def data(self) -> dict[str, list[Any]]:
        """Arrays as they were given: one of each kind, or one for each network."""
        return {
            "rows X": [self._x] if self._xs is None else self._xs,
            "targets y": [self._y] if self._ys is None else self._ys,
            "weights": [self._weight] if self._weights is None else self._weights,
            "rows of each network": self._rows,
        }

    def shape_of(self, i: int) -> tuple[int, int, bool]:
        """Rows of a network, dimensions of targets, whether rows are dense and of equal weight."""
        return self._shapes[i]

    def settings_of(self, i: int) -> Settings:
        """What the options of a network mean, which has been checked."""
        return self._known[self.kind(i)]

    def plan(self, i: int, trainer: Any = None) -> tuple[Run, ManyHooks]:
        """The run of a network, for one thread; its trainer, where it has none of its own."""
        batch, rows = self.batch(i)
        options = self.options[i]
        run, hooks = plan.on_batch(
            self.networks[i],
            batch,
            options["optimizer"],
            self.record_of(i),
            rows=rows,
            known=self._settings(i, batch.loss),
            hooks=ManyHooks,
            trainer=trainer,
        )
        assert isinstance(hooks, ManyHooks)
        return run, hooks

    def kind(self, i: int) -> int:
        """A number that networks share which are alike: architecture, type and options."""
        kind = self._kind_of[i]
        if kind is None:
            net, options = self.networks[i], self.options[i]
            given = [options[name] for name in self._several]
            key = (net.architecture, net.dtype, *[v if _plain(v) else id(v) for v in given])
            kind = self._kind_of[i] = self._kinds.setdefault(key, len(self._kinds))
        return kind

    def _settings(self, i: int, loss: Any) -> Settings:
        """What the options of a network mean, worked out once for all that are alike."""
        known = self._known.get(self.kind(i))
        if known is None:
            options = self.options[i]
            known = plan.settings(self.networks[i], loss, options["optimizer"], self.record_of(i))
            known = self._known[self.kind(i)] = known.on_threads(1)
        return known

    def record_of(self, i: int) -> Options:
        """The options of a network as the training loop takes them."""
        kind = self.kind(i)
        if kind not in self._records:
            self._records[kind] = arguments.record(self.options[i])
        return self._records[kind]

    def check(self) -> None:
        """Raise what planning any of the runs would raise, before one of them begins."""
        self._check_generators()
        tried = set()
        for i in range(len(self.networks)):
            try:
                batch, rows = self.batch(i)
                n = len(batch.target if rows is None else rows)
                plain = batch.weight is None and not isinstance(batch.x, CSR)
                self._shapes[i] = n, batch.target.ndim, plain
                kind = self.kind(i)
                if kind not in tried or self.options[i]["validation_data"] is not None:
                    tried.add(kind)
                    self._try(i)
            except (TypeError, ValueError) as error:
                error.add_note(f"in network {i}")
                raise

    def _try(self, i: int) -> None:
        """Plan a run, and leave the network's generator where it stood."""
        generator = self.networks[i]._generator
        before = position(generator)
        try:
            self.plan(i)
        finally:
            set_position(generator, before)

    def _check_generators(self) -> None:
        holders: dict[int, int] = {}
        for i, net in enumerate(self.networks):
            draws = self.options[i]["shuffle"] or self.options[i]["dropout"]
            first = holders.setdefault(id(net._generator), i)
            if draws and first != i:
                raise ValueError(
                    f"networks {first} and {i} share one random generator, whose draws would "
                    "depend on which is trained first: make them with numbers as random_state, or "
                    "with generator.spawn(k)"
                )

    def cost(self, i: int) -> float:
        """About how long a network takes, in any unit."""
        options, net, rows = self.options[i], self.networks[i], self._rows[i]
        x = self._x if self._xs is None else self._xs[i]
        whole = x.shape[0] if hasattr(x, "shape") else len(x)
        n = len(range(whole)[rows]) if isinstance(rows, slice) else whole
        if rows is not None and not isinstance(rows, slice):
            n = np.count_nonzero(rows) if np.asarray(rows).dtype.kind == "b" else len(rows)
        size = n if isinstance(options["batch_size"], str) else options["batch_size"]
        return float(options["epochs"] * (n * net.parameters.size * 1e-9 + n / size * 2e-6))

    # Training

    def run(
        self, n_threads: int, shown: Any, max_time: float | None, side_by_side: bool | None
    ) -> list[History]:
        """Train all; see :func:`fastmlp.fit_many`."""
        jobs = lanes.grouped(self, n_threads, side_by_side)
        costs = [sum(map(self.cost, job)) for job in jobs]
        with progress.shown(shown, len(self.mine)) as self._tell:
            self._crew = Crew(
                costs,
                n_threads,
                lambda j: self._train(jobs[j]),
                lambda j: f"network {jobs[j][0]}" + (" and others" if len(jobs[j]) > 1 else ""),
            )
            timer = None
            if max_time is not None:
                timer = threading.Timer(max_time, self._crew.halt.fill, [1])
                timer.daemon = True
                timer.start()
            try:
                self._crew.run()
            finally:
                if timer is not None:
                    timer.cancel()
        if self._crew.halt[0] and max_time is not None:
            self._say_that_time_is_over(max_time)
        return self._histories

    def _train(self, job: Sequence[int]) -> None:
        """Train one network, or several side by side."""
        idle = self._idle_for(job)
        together = (_taken(idle) or lanes.trainer_for(self, job)) if len(job) > 1 else None
        pairs = []
        for place, i in enumerate(job):
            own = _taken(idle) if together is None else lanes.Lane(together, place)
            run, hooks = self.plan(i, own)
            hooks.crew = self._crew
            # Those of line searches do not look at it within an epoch.
            run.trainer.halt = self._crew.halt
            self._histories[i] = run.history
            pairs.append((run, hooks))
        if together is None:
            carry_out(*pairs[0])
            if pairs[0][1].threads == 1:
                idle.append(pairs[0][0].trainer)
        else:
            lanes.carry_out_together(pairs, together, self._crew.halt)
            idle.append(together)
        with self._lock:
            for _ in job:
                self._done += 1
                self._tell(self._done)

    def _idle_for(self, job: Sequence[int]) -> list[Any]:
        """Trainers of networks that are done, which serve those that are alike."""
        first = job[0]
        known = self.settings_of(first)
        if known.searches or known.engine.dropout:  # a seed of dropout is part of a trainer
            return []
        key = self.kind(first), known.batch_size(self.shape_of(first)[0]), len(job)
        return self._idle.setdefault(key, [])

    def _say_that_time_is_over(self, max_time: float) -> None:
        for history in self._histories:
            if history.stop_reason in ("", "interrupted"):
                history.stop_reason = "time_limit"
                history.stop_message = f"the time limit of {max_time:g} s was reached"

    def warn_of_divergence(self) -> None:
        """Name the networks whose numbers did not stay finite, to the caller of ``fit_many``."""
        diverged = [
            f"network {i}: {history.stop_message}"
            for i, history in enumerate(self._histories)
            if history.stop_reason == "non_finite_loss"
        ]
        if diverged:
            more = f"; and {len(diverged) - 5} more networks" if len(diverged) > 5 else ""
            warnings.warn("; ".join(diverged[:5]) + f"{more}: {ADVICE}", RuntimeWarning, 3)


def _taken(idle: list[Any]) -> Any:
    """One of them, or ``None``: another thread may have been the first to take it."""
    try:
        return idle.pop()
    except IndexError:
        return None


def _takes_all(optimizer: Any) -> bool:
    """Whether steps look at all rows."""
    if isinstance(optimizer, str):
        return _name_takes_all(optimizer)
    return isinstance(optimizers.get(optimizer), FullBatch)


@cache
def _name_takes_all(name: str) -> bool:
    return isinstance(optimizers.get(name), FullBatch)


def _plain(value: Any) -> bool:
    """Whether equal values of this kind mean the same option."""
    return value is None or isinstance(value, (bool, int, float, str))
