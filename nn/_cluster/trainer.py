"""Steps of one network over several ranks: gradients of shards, their sum, one update each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, TrainingOptions, UpdateRule

from .._derivatives import gauss_newton
from .._inputs import sparse
from .._network import blocks
from .._typing import Array
from . import sums
from .cluster import Cluster


class ClusterTrainer:
    """What the training loop takes for a trainer of ``fastmlp.kernels``.

    All ranks hold the same parameters and moments and are given the same rows; each computes the
    gradients of its shards of every batch, and makes the same update with the sum.

    Attributes
    ----------
    step : int
        Updates so far.
    gradient_norm : float or None
        Length of the last step's gradient, with penalties and before clipping.
    """

    def __init__(
        self,
        architecture: Architecture,
        dtype: Any,
        loss: Any,
        rule: UpdateRule,
        options: TrainingOptions,
        cluster: Cluster,
    ) -> None:
        self._options, self._cluster = options, cluster
        most = options.batch_size
        if not cluster.partitioned:
            most = kernels.shard_rows(-(-most // cluster.shards), len(cluster.mine))
        self._trainer = kernels.shard_trainer(
            architecture, dtype, loss, rule, dataclasses.replace(options, batch_size=most)
        )
        self._shape = len(rule.slots), architecture.n_parameters
        self._dtype = np.dtype(dtype)
        #: Sums of calls of the trainer, where a step takes several.
        self._waiting = np.empty((0, 0), dtype)
        #: Whether somebody, such as a callback of rank 0, has set the parameters.
        self._loaded = False

    #: Place in the batch of the first of the rows that this rank is given.
    _first_row = 0

    @property
    def step(self) -> int:
        return self._trainer.step

    @property
    def gradient_norm(self) -> float | None:
        return self._trainer.gradient_norm

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters in, and optimizer state, by default that before the first step."""
        self._trainer.load(parameters, state, step)
        self._loaded = True

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        self._trainer.store(parameters, state)

    def run_epoch(
        self,
        x: Any,
        target: Array,
        order: Array | None,
        learning_rate: float | Array,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Visit the rows once, in ``order``, one step a batch; return the mean loss."""
        batches = self._batches(len(target), order, learning_rate)
        summed = 0.0
        with self._cluster.guard():
            self._take_over()
            for rows, rate in batches:
                summed += len(rows) * self._step(x, target, sample_weight, rows, rate)
        return summed / max(sum(len(rows) for rows, _ in batches), 1)

    def _batches(
        self, n: int, order: Array | None, learning_rate: float | Array
    ) -> list[tuple[Array, float]]:
        """The rows of each step of an epoch, all ``n`` as they come without an order; its rate."""
        size = self._options.batch_size
        order = np.arange(n, dtype=np.intp) if order is None else order
        starts = range(0, len(order), size)
        rates = np.broadcast_to(learning_rate, len(starts)).tolist()
        rows = [order[start : start + size] for start in starts]
        return list(zip(rows, rates, strict=True))

    def run_step(self, x: Any, target: Any, *given: Any) -> None:
        """Leave a step to :meth:`run_epoch`, which the ranks share.

        Raises
        ------
        ValueError
            Where ``target`` holds derivatives of somebody's loss.
        """
        if given[4]:
            raise ValueError("step_delta is for one process; a communicator shares steps with y")

    def _take_over(self) -> None:
        """Begin where rank 0 is, if somebody has changed something there."""
        if self._cluster.of_first(self._loaded):
            self._follow()
        self._loaded = False

    def _follow(self) -> None:
        """Take parameters, moments and the number of steps from rank 0."""
        given = None
        if self._cluster.leads:
            given = np.empty(self._shape[1], self._dtype), np.empty(self._shape, self._dtype)
            self.store(*given)
        found = self._cluster.of_first((given, self.step))
        assert found[0] is not None
        self._trainer.load(*found[0], found[1])

    def _step(self, x: Any, target: Array, weight: Array | None, rows: Array, rate: float) -> float:
        weights = None if weight is None else weight[rows]
        total = float(len(rows) if weights is None else weights.sum(dtype=np.float64))
        return self._shared_step(x, target, weight, rows, rate, total)

    def _shared_step(
        self, x: Any, target: Array, weight: Array | None, rows: Array, rate: float, total: float
    ) -> float:
        """Make the step of a batch of which ``rows`` are known here; its mean loss.

        Parameters
        ----------
        total : float
            Weight of the whole batch.
        """
        trainer, mine = self._trainer, self._cluster.mine
        cuts = self._cluster.cuts(len(rows))[mine.start : mine.stop + 1]
        calls = kernels.shard_groups(cuts, isinstance(x, CSR))
        losses: list[Array] = []

        def made(number: int, call: list[int]) -> Array:
            chosen = rows[call[0] : call[-1]]
            losses.append(
                trainer.differentiate(
                    sparse.take(x, chosen),
                    target[chosen],
                    [cut - call[0] for cut in call],
                    total,
                    sample_weight=None if weight is None else weight[chosen],
                    position=self._first_row + call[0],
                )
            )
            if len(calls) == 1:
                return trainer.gradient
            shape = len(calls).bit_length(), trainer.gradient.size
            if self._waiting.shape != shape:
                self._waiting = np.empty(shape, self._dtype)
            kept: Array = self._waiting[number.bit_count()]
            kept[...] = trainer.gradient
            return kept

        gradient = kernels.tree_sum(made(number, call) for number, call in enumerate(calls))
        if len(calls) > 1:
            trainer.gradient[...] = gradient
        each = np.concatenate(losses)
        loss = kernels.tree_sum(each[k : k + 1] for k in range(len(each)))
        sums.over_ranks(self._cluster.comm, trainer.gradient)
        sums.over_ranks(self._cluster.comm, loss)
        return float(loss[0]) + trainer.descend(rate, total)


def buffers(cluster: Cluster, parameters: Array) -> Array:
    """Memory for the gradients of this rank's shards that are there at the same time."""
    return np.empty((len(cluster.mine).bit_length(), parameters.size), parameters.dtype)


def shared_gradient(
    cluster: Cluster,
    gradients: Array,
    n: int,
    weight: Array | None,
    total: float,
    differentiate: Callable[[slice, Array], float],
) -> tuple[float, Array]:
    """Mean loss and its gradient over all shards of ``n`` rows.

    Parameters
    ----------
    gradients : array
        Of :func:`buffers`.
    weight : (n,) array or None
    total : float
        Sum of the weights, or ``n``.
    differentiate : function
        ``differentiate(rows as a slice, out)`` writes the mean gradient of some rows and returns
        their mean loss.
    """
    cuts, losses = cluster.cuts(n), np.zeros(len(cluster.mine))
    # Means of shards of one size need one division in the end.
    equal = weight is None and n % cluster.shards == 0 and not cluster.partitioned

    def made(k: int, shard: int) -> Array:
        part = slice(cuts[shard], cuts[shard + 1])
        out: Array = gradients[k.bit_count()]
        share = _share(part, weight, total)
        if not share:
            out[...] = 0
            return out
        losses[k] = differentiate(part, out)
        if not equal:
            losses[k] *= share
            out *= out.dtype.type(share)
        return out

    gradient = kernels.tree_sum(made(k, shard) for k, shard in enumerate(cluster.mine))
    loss = kernels.tree_sum(losses[k : k + 1] for k in range(len(losses)))
    sums.over_ranks(cluster.comm, gradient)
    sums.over_ranks(cluster.comm, loss)
    if equal:
        loss /= cluster.shards
        gradient *= gradient.dtype.type(1 / cluster.shards)
    return float(loss[0]), gradient


def _share(part: slice, weight: Array | None, total: float) -> float:
    """Part of all weight that some rows have."""
    rows = part.stop - part.start
    own = float(rows if weight is None else weight[part].sum(dtype=np.float64))
    return own / total if own else 0.0


def full_matrix(
    cluster: Cluster,
    network: Any,
    x: Any,
    target: Array,
    loss: Any,
    weight: Array | None,
    learning: Sequence[bool] = (),
) -> Array:
    """The Gauss–Newton matrix of the mean loss over all rows, in float64.

    Parameters
    ----------
    network : Point
        Architecture, parameters and number of threads.
    learning : sequence of bool
        The layers whose parameters it is of; all by default.
    """
    total = cluster.total(float(len(target) if weight is None else weight.sum(dtype=np.float64)))
    cuts = cluster.cuts(len(target))

    def made(shard: int) -> Array:
        part = slice(cuts[shard], cuts[shard + 1])
        share = _share(part, weight, total)
        if not share:
            return np.zeros((gauss_newton.order(network.architecture, learning),) * 2)
        weights = None if weight is None else weight[part]
        rows = sparse.part(x, part), target[part]
        matrix = gauss_newton.total(network, *rows, loss, weights, learning)
        matrix *= share
        return matrix

    with cluster.guard():
        matrix = kernels.tree_sum(made(shard) for shard in cluster.mine)
        sums.over_ranks(cluster.comm, matrix.reshape(-1))
    return matrix


def full_gradient(
    cluster: Cluster,
    net: Any,
    parameters: Array,
    x: Any,
    target: Array,
    loss: Any,
    weight: Array | None,
    out: Array,
    **penalties: float,
) -> float:
    """Mean loss of all rows with penalties, and its gradient in ``out``.

    Raises
    ------
    ValueError
        Where the rows are those of a source.
    """
    total = cluster.total(float(len(target) if weight is None else weight.sum(dtype=np.float64)))

    def differentiate(part: slice, found: Array) -> float:
        weights = None if weight is None else weight[part]
        value, _ = blocks.loss_and_gradient(
            net, parameters, sparse.part(x, part), target[part], loss, weights, found
        )
        return value

    with cluster.guard():
        value, gradient = shared_gradient(
            cluster, buffers(cluster, parameters), len(target), weight, total, differentiate
        )
    none = slice(0, 0)
    penalty, out[...] = net.loss_and_gradient(
        parameters, sparse.part(x, none), target[none], loss, **penalties
    )
    out += gradient
    return value + float(penalty)
