"""One fit over the ranks of a communicator: what they compare, and what is rank 0's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fastmlp import kernels

from ..._cluster.agreement import of_rows, without_addresses
from ..._cluster.cluster import Cluster
from ..._inputs import sparse
from ..._network.batch import Batch
from ..._streams.stream import StreamBatch
from ..._training.positions import position, set_position
from .sources import SourceRows

if TYPE_CHECKING:
    from .watching import Rows

T = TypeVar("T")
#: Shards of a batch, as of ``MLP.fit``.
SHARDS = 8
#: Parameters that ranks may set as they like: rank 0's count, or none has an influence on results.
FREE = ("callbacks", "n_threads", "pickle_optimizer", "progress", "random_state", "verbose")


def cluster_of(comm: Any) -> Cluster | None:
    """The ranks of a communicator; ``None`` for this process alone."""
    return None if comm is None else Cluster(comm, SHARDS)


def speaks(cluster: Cluster | None) -> bool:
    """Whether this process prints, warns and calls callbacks."""
    return cluster is None or cluster.leads


def of_first(cluster: Cluster | None) -> Callable[[T], T]:
    """A function that gives what rank 0 has, of one process what it has itself."""
    return (lambda value: value) if cluster is None else cluster.of_first


def read(
    cluster: Cluster | None,
    estimator: Any,
    first_pass: bool,
    rows: Callable[[], tuple[Rows | SourceRows, Rows | SourceRows | None]],
) -> tuple[Rows | SourceRows, Rows | SourceRows | None]:
    """Training and validation rows, the same on all ranks, as the parameters are.

    Raises
    ------
    RuntimeError
        Where another rank could not read its rows.
    ValueError
        Where ranks disagree, naming on what.
    """
    if cluster is None:
        return rows()

    def words(found: tuple[Rows | SourceRows, Rows | SourceRows | None]) -> list[str]:
        params = {k: v for k, v in estimator.get_params().items() if k not in FREE}
        params["classes"] = getattr(estimator, "classes_", None)
        params["rows seen before"] = 0 if first_pass else estimator.t_
        said = [without_addresses(f"{name}={value!r}") for name, value in params.items()]
        told = zip(("the rows", "the validation rows"), map(_told, found), strict=True)
        return [*said, *(f"{name} {what}" for name, what in told)]

    return cluster.together(rows, words)


def begin(cluster: Cluster | None, estimator: Any) -> None:
    """Draw from where rank 0's generator stands."""
    if cluster is None:
        return
    estimator._random_state = as_first(cluster, estimator._random_state, estimator.random_state)


def as_first(cluster: Cluster, state: Any, given: Any) -> Any:
    """What draws as rank 0's generator ``state`` does; of the parameter that it was made of.

    That is the own one, but for NumPy's (``None`` was given), of which rank 0 lends a copy.
    """
    if given is None:
        first = cluster.of_first(state)
        return state if cluster.leads else first
    set_position(state, cluster.of_first(position(state)))
    return state


def train(cluster: Cluster | None, estimator: Any, fit: Callable[[], None]) -> None:
    """Fit; what raises in one rank ends all, and in the end all have rank 0's parameters."""
    if cluster is None:
        fit()
        return
    backend = estimator.backend
    with (
        cluster.guard(),
        contextlib.nullcontext() if backend is None else kernels.use_backend(backend),
    ):
        fit()
        estimator._write_back(cluster.of_first(estimator._packed()))


def _told(rows: Rows | SourceRows | None) -> str:
    if rows is None:
        return "none"
    if isinstance(rows, SourceRows):
        return of_rows(StreamBatch.of(rows.stream))
    x = sparse.for_engine(rows.x, rows.dtype)
    return of_rows(Batch(x, rows.target, rows.weight, None))
