"""Steps of one network over several ranks: gradients of shards, their sum, one update each."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, TrainingOptions, UpdateRule

from .._inputs import sparse
from .._network import blocks
from .._typing import Array
from . import sums
from .cluster import Cluster
from .dropout import loss_and_gradient_with_dropout


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
        self._architecture, self._dtype = architecture, np.dtype(dtype)
        self._net = kernels.network(architecture, dtype, n_threads=options.n_threads)
        self._loss, self._rule, self._options, self._cluster = loss, rule, options, cluster
        n = architecture.n_parameters
        self._parameters = np.zeros(n, dtype)
        self._state = rule.initial_state(n, 0.0, dtype)
        self.step = 0
        self.gradient_norm: float | None = None
        #: Gradients of this rank's shards.
        self._gradients = np.empty((len(cluster.mine), n), dtype)
        #: Whether somebody, such as a callback of rank 0, has set the parameters.
        self._loaded = False

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters in, and optimizer state, by default that before the first step."""
        if state is None:
            state = self._rule.initial_state(len(parameters), 0.0, self._dtype)
        self._parameters[...], self._state[...], self.step = parameters, state, int(step)
        self._loaded = True

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        parameters[...] = self._parameters
        if state is not None:
            state[...] = self._state

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
        size = self._options.batch_size
        order = np.arange(len(target), dtype=np.intp) if order is None else order
        starts = range(0, len(order), size)
        rates = np.broadcast_to(learning_rate, len(starts)).tolist()
        summed = 0.0
        with self._cluster.guard():
            self._take_over()
            for start, rate in zip(starts, rates, strict=True):
                rows = order[start : start + size]
                summed += len(rows) * self._step(x, target, sample_weight, rows, rate)
        return summed / max(len(order), 1)

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
            found = self._cluster.of_first((self._parameters, self._state, self.step))
            self._parameters[...], self._state[...], self.step = found
        self._loaded = False

    def _step(self, x: Any, target: Array, weight: Array | None, rows: Array, rate: float) -> float:
        weights = None if weight is None else weight[rows]
        total = float(len(rows) if weights is None else weights.sum(dtype=np.float64))
        self.step += 1
        try:
            loss, gradient = shared_gradient(
                self._cluster,
                self._gradients,
                len(rows),
                lambda part, out: self._differentiate(x, target, weight, rows, part, out, total),
            )
        except BaseException:
            self.step -= 1
            raise
        penalty, self.gradient_norm = kernels.apply_gradient(
            self._architecture,
            self._rule,
            self._options,
            self._parameters,
            gradient,
            self._state,
            self.step,
            rate,
            total,
        )
        return loss + penalty

    def _differentiate(
        self, x: Any, target: Array, weight: Array | None, rows: Array, part: slice, out: Array,
        total: float,
    ) -> float:  # fmt: skip
        """Loss and gradient of some rows of a batch, as their share of the batch's means."""
        chosen = rows[part]
        weights = None if weight is None else weight[chosen]
        share = float(len(chosen) if weights is None else weights.sum(dtype=np.float64))
        out[...] = 0
        if not share:
            return 0.0
        batch = (sparse.take(x, chosen), target[chosen], self._loss)
        options = self._options
        if options.dropout:
            value = loss_and_gradient_with_dropout(
                self._architecture, self._parameters, *batch, weights, options, self.step,
                part.start, out,
            )  # fmt: skip
        else:
            value, _ = self._net.loss_and_gradient(
                self._parameters, *batch, sample_weight=weights, out=out
            )
        out *= self._dtype.type(share / total)
        return float(value) * (share / total)


def shared_gradient(
    cluster: Cluster, gradients: Array, n: int, differentiate: Any
) -> tuple[float, Array]:
    """Sum of loss and gradient over all shards of ``n`` rows.

    Parameters
    ----------
    gradients : (shards of this rank, n_parameters) array
        Memory for them.
    differentiate : function
        ``differentiate(rows as a slice, out)`` writes a gradient and returns its loss.
    """
    cuts, losses = cluster.cuts(n), np.zeros(len(cluster.mine))
    for k, (shard, out) in enumerate(zip(cluster.mine, gradients, strict=True)):
        losses[k] = differentiate(slice(cuts[shard], cuts[shard + 1]), out)
    gradient = sums.tree(list(gradients))
    loss = sums.tree([losses[k : k + 1] for k in range(len(losses))])
    sums.over_ranks(cluster.comm, gradient)
    sums.over_ranks(cluster.comm, loss)
    return float(loss[0]), gradient


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
    total = float(len(target) if weight is None else weight.sum(dtype=np.float64))

    def differentiate(part: slice, found: Array) -> float:
        weights = None if weight is None else weight[part]
        n = part.stop - part.start
        share = (float(n) if weights is None else float(weights.sum(dtype=np.float64))) / total
        found[...] = 0
        if not share:
            return 0.0
        value, _ = blocks.loss_and_gradient(
            net, parameters, sparse.part(x, part), target[part], loss, weights, found
        )
        found *= found.dtype.type(share)
        return value * share

    gradients = np.empty((len(cluster.mine), parameters.size), parameters.dtype)
    with cluster.guard():
        value, gradient = shared_gradient(cluster, gradients, len(target), differentiate)
    none = slice(0, 0)
    penalty, out[...] = net.loss_and_gradient(
        parameters, sparse.part(x, none), target[none], loss, **penalties
    )
    out += gradient
    return value + float(penalty)
