"""Training of many networks at once: :func:`fit_many`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._cluster.cluster import Cluster
from .._inputs import numbers
from .._network.network import Network
from .._streams.rows import is_source
from ..history import History
from ..mlp import MLP
from . import ranks
from .crew import threads_of
from .of_sources import SourceWork, refuse
from .work import Work


def fit_many(
    networks: Sequence[MLP],
    X: Any,
    y: ArrayLike | Sequence[ArrayLike] | None = None,
    *,
    rows: Sequence[Any] | None = None,
    sample_weight: ArrayLike | Sequence[ArrayLike] | None = None,
    n_threads: int | None = None,
    progress: bool | Callable[[int, int], object] = False,
    max_time: float | None = None,
    lanes: bool | None = None,
    comm: Any = None,
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
    X, y : array-like, or list of k arrays; or a source alone
        As in :meth:`fastmlp.MLP.fit`: shared by all, or one pair for each network. On a source
        networks are trained one after another, each with all threads: memory stays bounded.
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
    lanes : bool, optional
        Whether small networks that make the same steps (equal architectures, options and numbers
        of rows) are trained side by side, one in each lane of the processor's vectors: ``True``
        wherever it can be, ``False`` nowhere, by default where it is faster. Results are the same
        to the bit.
    comm : communicator of mpi4py, optional
        The ranks that share the work, each called with the same arguments: a network is trained by
        one of them, and all end with all networks, to the bit as without a communicator. Networks
        begin as rank 0 has them. Callbacks are called in the rank that trains, ``progress`` shows
        rank 0's share.
    **options
        Those of :meth:`fastmlp.MLP.fit`, but ``verbose`` and ``shards``: each of them once, or a
        list with one for each network. Where one value may be a sequence itself (``dropout``,
        ``trainable``, ``stop``, ``metrics``, ``callbacks``, ``validation_data``) one for each is
        written ``fastmlp.each([…])``. Callbacks are called in the thread that trains.

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

    In lanes are networks on dense rows, with the compiled backend, any named activation and loss,
    any optimizer but Nadam, Ftrl and those that search along lines, and steps of at most 256 rows
    (float64: 128), where nothing looks at an epoch or adds to a step: no callbacks, validation,
    stop rules, metrics, weights of rows, penalties, dropout, clipping or frozen layers. All others
    are trained one after another.
    ``history.seconds`` of a network in a lane is its share of the time.

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
    if y is None and is_source(X):
        refuse(rows=rows, sample_weight=sample_weight, lanes=lanes)
        work: Work = SourceWork(nets, X, options)
    else:
        work = Work(nets, X, y, rows, sample_weight, options)
    threads = threads_of(n_threads)
    if max_time is not None and not 0 < numbers.number("max_time", max_time) < np.inf:
        raise ValueError(f"max_time must be a finite number above 0, got {max_time!r}")
    if lanes is not None and not isinstance(lanes, (bool, np.bool_)):
        raise TypeError(f"lanes must be True, False or None, got {lanes!r}")
    side_by_side = None if lanes is None else bool(lanes)
    cluster = None if comm is None else Cluster(comm, None)
    if cluster is None:
        work.check()
        histories = work.run(threads, progress, max_time, side_by_side)
    else:
        ranks.begin(cluster, work)
        shown = progress if cluster.leads else False
        histories = ranks.train(
            cluster, work, lambda: work.run(threads, shown, max_time, side_by_side)
        )
    if cluster is None or cluster.leads:
        work.warn_of_divergence()
    return histories


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
