"""Many networks over the ranks of a communicator: each is trained by one of them, all get it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .._cluster.agreement import without_addresses
from .._cluster.cluster import Cluster, fingerprint
from .._inputs import sparse
from .._network.network import Network
from ..history import History

if TYPE_CHECKING:
    from .work import Work

K = TypeVar("K")
#: Options of which each rank has its own: objects, which look alike in no two processes.
FREE = ("callbacks",)


def begin(cluster: Cluster, work: Work) -> None:
    """Check on all ranks, compare, take networks as rank 0 has them, and say who trains which.

    Raises
    ------
    RuntimeError
        Where the arguments of another rank do not fit.
    ValueError
        Where ranks disagree, naming on what.
    """
    cluster.together(lambda: work.check(), lambda _: _words(work))
    states = cluster.of_first([(net.parameters, _position(net)) for net in work.networks])
    for net, state in zip(work.networks, states, strict=True):
        _set(net, *state)
    work.mine = shares([work.cost(i) for i in range(len(work.networks))], cluster.size)[
        cluster.rank
    ]


def shares(costs: Sequence[float], size: int) -> list[list[int]]:
    """What each of ``size`` ranks does: the dearest first, each to the one with the least work."""
    loads, found = np.zeros(size), [list[int]() for _ in range(size)]
    for i in sorted(range(len(costs)), key=lambda i: -costs[i]):
        rank = int(loads.argmin())
        loads[rank] += costs[i]
        found[rank].append(i)
    return [sorted(jobs) for jobs in found]


def train(cluster: Cluster, work: Work, run: Callable[[], list[History]]) -> list[History]:
    """Train this rank's networks; then all ranks have all of them.

    What raises in one rank ends all.
    """
    nets = work.networks
    with cluster.guard():
        histories = run()
        own = {i: (nets[i].parameters, _position(nets[i]), histories[i]) for i in work.mine}
        for i, (parameters, position, history) in exchanged(cluster, own).items():
            if i not in own:
                _set(nets[i], parameters, position)
                histories[i] = history
    return histories


def spread(
    cluster: Cluster, costs: Sequence[float], do: Callable[[list[int]], list[Any]]
) -> list[Any]:
    """What jobs lead to, each of which is done by one rank, on all ranks.

    Parameters
    ----------
    costs : sequence of float
        About what each job costs.
    do : function
        ``do(jobs)`` does those of the numbers ``jobs`` and returns what comes out of each.
    """
    with cluster.guard():
        mine = shares(costs, cluster.size)[cluster.rank]
        found = exchanged(cluster, dict(zip(mine, do(mine), strict=True)))
    return [found[job] for job in range(len(costs))]


def exchanged(cluster: Cluster, own: dict[K, Any]) -> dict[K, Any]:
    """What belongs to each job, of all ranks; this rank's objects stay its own."""
    found: dict[K, Any] = {}
    for others in cluster.comm.allgather(own):
        found |= others
    return found | own


def _position(net: Network) -> Any:
    return net._generator.bit_generator.state


def _set(net: Network, parameters: Any, position: Any) -> None:
    net.parameters[...], net._generator.bit_generator.state = parameters, position


def _words(work: Work) -> list[str]:
    """Networks, options and rows in words that are equal where these are."""
    nets = work.networks
    said = [f"{len(nets)} networks, {_alike(net.architecture for net in nets)}"]
    for name in sorted(set(work.options[0] if nets else ()) - {*FREE}):
        said.append(f"{name}={_alike(options[name] for options in work.options)}")
    said += [f"the {name} {_alike(values)}" for name, values in work.data().items()]
    return said


def _alike(values: Any) -> str:
    """The value of all, or a checksum of several values."""
    words = [word(value) for value in values]
    return words[0] if len(set(words)) == 1 else f"of each with checksum {fingerprint(words)}"


def word(value: Any) -> str:
    """A value in words that are equal where it is."""
    if isinstance(value, (tuple, list)) and any(hasattr(part, "shape") for part in value):
        return ", ".join(map(word, value))
    if sparse.is_sparse(value):
        return f"sparse rows of shape {value.shape} ({fingerprint(np.asarray(value.data))})"
    return fingerprint(value) if hasattr(value, "dtype") else without_addresses(f"{value!r}")
