"""Ranks with rows of their own: steps that every rank makes, with what it has for each of them.

A step's batch is as many rows as ``batch_size`` says, to which each rank adds in proportion to how
many it has. It goes through its own rows in an order of its own; one whose rows are used up goes on
with none until all are, as Horovod's ``join`` does. Before each step the ranks tell each other how
many rows they add, so nothing has to be known beforehand of how many there are.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from fastmlp.kernels import Architecture, TargetWeights

from .._inputs import sparse, weights
from .._typing import Array
from . import sums
from .trainer import ClusterTrainer


class PartitionedTrainer(ClusterTrainer):
    """A trainer whose ranks are given rows of their own.

    Attributes
    ----------
    over : bool
        Whether rank 0's clock has ended the epoch.
    """

    over = False
    _deadline = math.inf
    _summed, _visited = 0.0, 0
    #: Rows of the ranks before this one in the present batch, and the weight of all of it.
    _first_row, _total = 0, 0.0

    def __init__(self, architecture: Architecture, dtype: Any, *arguments: Any) -> None:
        super().__init__(architecture, dtype, *arguments)
        #: No rows, of the kind that this rank has.
        ends = architecture.sizes[0], architecture.sizes[-1]
        self._nothing: tuple[Any, Array] = (
            np.empty((0, ends[0]), dtype),
            np.empty((0, ends[1]), dtype),
        )

    def begin_epoch(self, deadline: float) -> None:
        """Begin to count, until rank 0's clock is at ``deadline``."""
        self._summed, self._visited, self.over, self._deadline = 0.0, 0, False, deadline

    def end_epoch(self, learning_rate: float | Array, step: int) -> tuple[float, int]:
        """Make the steps of ranks that have more rows; mean loss and rows of all.

        Parameters
        ----------
        learning_rate : float or array
            Of the epoch's steps.
        step : int
            Steps of the epoch that this rank has made.
        """
        rates = np.atleast_1d(learning_rate)
        none = np.empty(0, np.intp)
        with self._cluster.guard():
            while not self.over and self._meet(0, 0.0):
                rate = float(rates[min(step, len(rates) - 1)])
                self._step(*self._nothing, None, none, rate)
                step += 1
        return self._summed / max(self._visited, 1), self._visited

    def run_epoch(
        self,
        x: Any,
        target: Array,
        order: Array | None,
        learning_rate: float | Array,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Visit this rank's rows once, one step a batch; the mean loss of all ranks' meanwhile."""
        batches = self._batches(len(target), order, learning_rate)
        before = self._summed, self._visited
        self._nothing = sparse.part(x, slice(0, 0)), target[:0]
        with self._cluster.guard():
            for rows, rate in batches:
                weight = None if sample_weight is None else sample_weight[rows]
                own = len(rows) if weight is None else weight.sum(dtype=np.float64)
                if not self._meet(len(rows), float(own)):
                    break
                self._step(x, target, sample_weight, rows, rate)
        return (self._summed - before[0]) / max(self._visited - before[1], 1)

    def _meet(self, rows: int, weight: float) -> bool:
        """Tell the ranks what this one adds to the next step; whether there is one."""
        late = bool(self._visited) and time.perf_counter() >= self._deadline
        cluster = self._cluster
        own = np.array([rows, weight, late, self._loaded], np.float64)
        all_of_them = np.empty((cluster.size, len(own)))
        cluster.comm.Allgather(sums.as_bytes(own), sums.as_bytes(all_of_them))
        self.over = bool(all_of_them[0, 2])
        if self.over or not all_of_them[:, 0].any():
            return False
        if all_of_them[0, 3]:
            self._follow()
        self._loaded = False
        self._first_row = int(all_of_them[: cluster.rank, 0].sum())
        self._total = float(all_of_them[:, 1].sum())
        self._of_all = int(all_of_them[:, 0].sum())
        return True

    def _step(self, x: Any, target: Array, weight: Array | None, rows: Array, rate: float) -> float:
        loss = self._shared_step(x, target, weight, rows, rate, self._total)
        self._summed += self._of_all * loss
        self._visited += self._of_all
        return loss


class OwnShuffles:
    """Shuffles of a rank, which differ from those of others and follow from rank 0's generator.

    Parameters
    ----------
    generator : numpy.random.Generator
        The network's, equal on all ranks.
    rank : int
    """

    def __init__(self, generator: np.random.Generator, rank: int) -> None:
        self._generator, self._rank = generator, rank

    def shuffle(self, order: Array) -> None:
        """Write an order of all rows, or blocks, whatever it was before."""
        order[...] = self._next().permutation(len(order))

    def integers(self, high: int) -> int:
        """Draw a whole number below ``high``."""
        return int(self._next().integers(high))

    def _next(self) -> np.random.Generator:
        return np.random.default_rng([int(self._generator.integers(2**63)), self._rank])


def weighed_mean(comm: Any, value: float, weight: float) -> float:
    """Mean of a value over the ranks, each with a weight."""
    found = np.array(comm.allgather((value * weight if weight else 0.0, weight)))
    total, weights = found.sum(axis=0)
    return float(total / weights) if weights else 0.0


def gathered(comm: Any, part: Any) -> Any:
    """What all ranks have, one behind the other."""
    parts = comm.allgather(part)
    if isinstance(part, TargetWeights):
        return weights.concatenated(parts)
    return None if part is None else sparse.concatenated(parts)
