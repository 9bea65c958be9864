"""What optimizers that take all rows need of a source: sums over its blocks.

On several ranks block ``i`` belongs to shard ``i mod shards``, so that each rank reads the blocks
of its shards alone; the shards are added up in the tree of :func:`fastmlp.kernels.tree_sum`, which
gives the same bits for 1, 2, 4 and 8 ranks. A source of fewer blocks than ranks leaves some idle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels

from .._cluster import sums
from .._derivatives import gauss_newton
from .._network.batch import Batch
from .._typing import Array
from .stream import Stream, weight_of

if TYPE_CHECKING:
    from .._cluster.cluster import Cluster
    from .._derivatives.tape import Point


def _over_blocks(
    stream: Stream, cluster: Cluster | None, add_up: Callable[[Iterable[Batch]], Array]
) -> Array:
    """The vector that ``add_up`` gives for blocks, of all blocks of all ranks."""
    if cluster is None:
        return add_up(stream.blocks())
    # Of ranks with sources of their own each goes through all of its blocks.
    stride = 1 if cluster.partitioned else cluster.shards

    def of_shard(shard: int) -> Iterable[Batch]:
        places = range(0 if cluster.partitioned else shard, len(stream.source), stride)
        return (stream.block(i) for i in places)

    with cluster.guard():
        summed = kernels.tree_sum(add_up(of_shard(shard)) for shard in cluster.mine)
        sums.over_ranks(cluster.comm, summed)
    return summed


def _mean(summed: Array) -> Array:
    """Weighted sums, behind which their weights stand, as means."""
    found: Array = summed[:-1] / (summed[-1] or 1.0)
    return found


def loss_and_gradient(
    net: Any,
    parameters: Array,
    stream: Stream,
    loss: Any,
    out: Array,
    cluster: Cluster | None,
    **penalties: float,
) -> float:
    """Mean loss of all rows with penalties, and its gradient, added up in float64."""

    def add_up(blocks: Iterable[Batch]) -> Array:
        summed = np.zeros(parameters.size + 2)  # gradient, loss, weights
        for batch in blocks:
            share = weight_of(batch)
            if share:
                value, gradient = net.loss_and_gradient(
                    parameters, batch.x, batch.target, batch.loss, sample_weight=batch.weight
                )
                summed[:-2] += share * gradient.astype(np.float64)
                summed[-2:] += share * float(value), share
        return summed

    mean = _mean(_over_blocks(stream, cluster, add_up))
    out[...] = mean[:-1]
    sizes = net.architecture.sizes
    none = np.empty((0, sizes[0]), parameters.dtype), np.empty((0, sizes[-1]), parameters.dtype)
    penalty, gradient = net.loss_and_gradient(parameters, *none, loss, **penalties)
    out += gradient
    return float(mean[-1]) + float(penalty)


def matrix(
    point: Point, stream: Stream, loss: Any, cluster: Cluster | None, learning: Sequence[bool] = ()
) -> Array:
    """The Gauss–Newton matrix of the mean loss over all rows, in float64.

    Where not all layers are ``learning`` it is that of the parameters of those which are.
    """
    n = gauss_newton.order(point.architecture, learning)

    def add_up(blocks: Iterable[Batch]) -> Array:
        summed = np.zeros(n * n + 1)
        for batch in blocks:
            share = weight_of(batch)
            if share:
                found = gauss_newton.total(
                    point, batch.x, batch.target, loss, batch.weight, learning
                )
                found *= share
                summed[:-1] += found.reshape(-1)
                summed[-1] += share
        return summed

    return _mean(_over_blocks(stream, cluster, add_up)).reshape(n, n)
