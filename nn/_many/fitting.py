"""Training of many networks at once: :func:`fit_many`."""

from __future__ import annotations

import dataclasses
import threading
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from fastmlp.kernels import Halted
from numpy.typing import ArrayLike

from .. import optimizers
from .._inputs import numbers
from .._network.batch import Batch
from .._network.network import Network
from .._training import plan
from .._training.fit import ADVICE, NetworkHooks, carry_out
from .._training.options import Options
from .._training.plan import Settings
from .._training.run import Run, position, set_position
from .._typing import Array
from ..history import History
from ..mlp import MLP
from ..optimizers._full_batch import FullBatch
from . import arguments, progress
from .crew import Crew, threads_of
from .rows import indices, part

#: Multiplications and additions of a step from which it may use threads that are idle.
WORTH_SHARING = 1e6


def fit_many(
    networks: Sequence[MLP],
    X: ArrayLike | Sequence[ArrayLike],
    y: ArrayLike | Sequence[ArrayLike],
    *,
    rows: Sequence[Any] | None = None,
    sample_weight: ArrayLike | Sequence[ArrayLike] | None = None,
    n_threads: int | None = None,
    progress: bool | Callable[[int, int], object] = False,
    max_time: float | None = None,
    **options: Any,
) -> list[History]:
    """Train many networks at once, each as its own ``fit`` would, to the bit.

    The networks are spread over the threads, the one that takes longest first; each is trained by
    one thread, unless fewer networks than threads are left. Their architectures, sizes and types
    may differ.

    Parameters
    ----------
    networks : sequence of k MLP
        Trained in place, each from its present parameters on.
    X, y : array-like, or list of k arrays
        As in :meth:`fastmlp.MLP.fit`: shared by all, or one pair for each network.
    rows : sequence of k, optional
        The rows of ``X`` and ``y`` that each network learns from: a slice, row numbers (which may
        repeat), one bool for each row, or ``None`` for all. Shared arrays are not copied, but for
        few rows of many, and for as long as the network is trained.
    sample_weight : (n,) array-like, or list of k, optional
        Weights of the rows of ``X``.
    n_threads : int, optional
        Threads in all; the networks' own ``n_threads`` do not count here.
    progress : bool or function, default False
        Show how many networks are done; ``progress(done, k)`` is called after each.
    max_time : float, optional
        Seconds after which no network makes a further step.
    **options
        Those of :meth:`fastmlp.MLP.fit`, but ``verbose``: each of them once, or a list with one
        for each network. Where one value may be a sequence itself (``dropout``, ``trainable``,
        ``stop``, ``metrics``, ``callbacks``, ``validation_data``) one for each is written
        ``fastmlp.each([…])``. Callbacks are called in the thread that trains.

    Returns
    -------
    list of History
        One for each network.

    Raises
    ------
    TypeError, ValueError
        Before any network is changed, where an argument does not fit, two networks are the same,
        or several share one random generator, whose draws would depend on who comes first.

    Warns
    -----
    RuntimeWarning
        Once, naming networks whose loss is not finite, which keep their last finite parameters.

    Notes
    -----
    Ctrl-C, an exception of a callback and ``max_time`` leave every network at its last finished
    step, and those that had not begun as they were.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, fit_many, predict_many
    >>> X = np.linspace(-1, 1, 60)[:, None]
    >>> nets = [MLP([1, 8, 1], random_state=seed) for seed in range(4)]
    >>> rates = [0.1, 0.03, 0.01, 0.003]
    >>> histories = fit_many(nets, X, X**2, epochs=30, learning_rate=rates)
    >>> predict_many(nets, X).shape
    (4, 60, 1)
    """
    nets = _networks(networks)
    work = Work(nets, X, y, rows, sample_weight, options)
    threads = threads_of(n_threads)
    if max_time is not None and not 0 < numbers.number("max_time", max_time) < np.inf:
        raise ValueError(f"max_time must be a finite number above 0, got {max_time!r}")
    work.check()
    return work.run(threads, progress, max_time)


def _networks(networks: Any) -> list[Network]:
    """Check that all are networks, and each another one."""
    if isinstance(networks, Network) or not isinstance(networks, Sequence):
        raise TypeError(f"networks must be a list of MLP, got {type(networks).__name__}")
    seen: dict[int, int] = {}
    for i, net in enumerate(networks):
        if not isinstance(net, Network):
            raise TypeError(f"networks must be a list of MLP, got {type(net).__name__} at {i}")
        first = seen.setdefault(id(net), i)
        if first != i:
            raise ValueError(f"networks {first} and {i} are the same object; each is trained once")
    return list(networks)


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
        self.options = arguments.options_of_each(options, k)
        self._x, self._y = X, y
        self._xs = arguments.data_of_each("X", X, k, (2,))
        self._ys = arguments.data_of_each("y", y, k, (1, 2))
        if self._xs is not None and self._ys is None:
            raise ValueError(f"X holds one array for each of {k} networks, and y must, too")
        self._weight = sample_weight
        self._weights = arguments.data_of_each("sample_weight", sample_weight, k, (1,))
        self._rows = arguments.rows_of_each(rows, k)
        self._batches: dict[Hashable, Batch] = {}
        self._known: dict[Hashable, Settings] = {}
        self._records: dict[Hashable, Options] = {}
        self._keys: list[Hashable] = [None] * k
        self._histories = [History() for _ in networks]
        self._lock = threading.Lock()
        self._done = 0

    # What each network gets

    def batch(self, i: int) -> tuple[Batch, Array | None]:
        """The rows of a network: a batch, and which rows of it are visited."""
        shared = self._shared_batch(i)
        given, options = self._rows[i], self.options[i]
        # Weights of classes count those of the rows; metrics and line searches look at all.
        copied = (
            options["class_weight"] is not None
            or bool(options["metrics"])
            or isinstance(optimizers.get(options["optimizer"]), FullBatch)
        )
        batch, rows = part(shared, indices(given, len(shared.target), i), copied)
        return plan.weighed(self.networks[i], batch, options["class_weight"]), rows

    def _shared_batch(self, i: int) -> Batch:
        """The arrays that a network takes its rows from, checked once for all that are alike."""
        net, options = self.networks[i], self.options[i]
        x = self._x if self._xs is None else self._xs[i]
        y = self._y if self._ys is None else self._ys[i]
        weight = self._weight if self._weights is None else self._weights[i]
        spec = net._loss(options["loss"], options["label_smoothing"])
        sizes, own = net.architecture.sizes, [self._xs, self._ys, self._weights]
        alike = all(values is None for values in own)
        key = (sizes[0], sizes[-1], net.dtype, repr(spec))
        if alike and key in self._batches:
            return dataclasses.replace(self._batches[key], loss=spec)
        x, target, weight, _ = net._batch(x, y, spec, weight, training=True)
        batch = Batch(x, target, weight, spec)
        if alike:
            self._batches[key] = batch
        return batch

    def plan(self, i: int) -> tuple[Run, ManyHooks]:
        """The run of a network, for one thread."""
        batch, rows = self.batch(i)
        options = self.options[i]
        run, hooks = plan.on_batch(
            self.networks[i],
            batch,
            options["optimizer"],
            self._record(i),
            rows=rows,
            known=self._settings(i, batch.loss),
            hooks=ManyHooks,
        )
        assert isinstance(hooks, ManyHooks)
        return run, hooks

    def _key(self, i: int) -> Hashable:
        """Equal for networks whose settings are."""
        if self._keys[i] is None:
            net = self.networks[i]
            options = [v if _plain(v) else id(v) for v in self.options[i].values()]
            self._keys[i] = (net.architecture, net.dtype, *options)
        return self._keys[i]

    def _settings(self, i: int, loss: Any) -> Settings:
        """What the options of a network mean, worked out once for all that are alike."""
        known = self._known.get(self._key(i))
        if known is None:
            options = self.options[i]
            known = plan.settings(self.networks[i], loss, options["optimizer"], self._record(i))
            known = self._known[self._key(i)] = known.on_threads(1)
        return known

    def _record(self, i: int) -> Options:
        key = self._key(i)
        if key not in self._records:
            self._records[key] = arguments.record(self.options[i])
        return self._records[key]

    def check(self) -> None:
        """Raise what planning any of the runs would raise, before one of them begins."""
        self._check_generators()
        tried = set()
        for i in range(len(self.networks)):
            try:
                self.batch(i)
                key = self._key(i)
                if key not in tried or self.options[i]["validation_data"] is not None:
                    tried.add(key)
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

    def run(self, n_threads: int, shown: Any, max_time: float | None) -> list[History]:
        """Train all; see :func:`fit_many`."""
        k = len(self.networks)
        with progress.shown(shown, k) as self._tell:
            self._crew = Crew([self.cost(i) for i in range(k)], n_threads, self._train)
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
        self._warn_of_divergence()
        return self._histories

    def _train(self, i: int) -> None:
        run, hooks = self.plan(i)
        hooks.crew = self._crew
        # Those of line searches do not look at it within an epoch.
        run.trainer.halt = self._crew.halt
        self._histories[i] = run.history
        carry_out(run, hooks)
        with self._lock:
            self._done += 1
            self._tell(self._done)

    def _say_that_time_is_over(self, max_time: float) -> None:
        for history in self._histories:
            if history.stop_reason in ("", "interrupted"):
                history.stop_reason = "time_limit"
                history.stop_message = f"the time limit of {max_time:g} s was reached"

    def _warn_of_divergence(self) -> None:
        diverged = [
            f"network {i}: {history.stop_message}"
            for i, history in enumerate(self._histories)
            if history.stop_reason == "non_finite_loss"
        ]
        if diverged:
            more = f"; and {len(diverged) - 5} more networks" if len(diverged) > 5 else ""
            warnings.warn("; ".join(diverged[:5]) + f"{more}: {ADVICE}", RuntimeWarning, 4)


def _plain(value: Any) -> bool:
    """Whether equal values of this kind mean the same option."""
    return value is None or isinstance(value, (bool, int, float, str))
