"""Steps that several processes share: each has some shards of a batch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from .. import _checks, _steps
from .._specs import CSR
from .._typing import Array
from . import regularisation
from .numerics import quiet
from .trainer import Trainer


class ShardTrainer(Trainer):
    """A trainer whose steps are made in two halves, between which gradients are exchanged.

    A batch is cut into shards. The first half leaves the sum of the gradients of some of them in
    :attr:`gradient`, added up in a binary tree; the second, once that is the sum of all, makes the
    step. So processes with a subtree each make the same step, to the bit, for any number of them.

    Parameters
    ----------
    architecture, dtype, loss, update_rule, options
        As of :class:`Trainer`; ``batch_size`` are the rows of one call at most.

    Attributes
    ----------
    gradient : (m,) array
        A view of the trainer's memory, in an order of its own, which trainers of one backend,
        architecture and dtype share (after rows of one kind, dense or sparse).
    """

    @property
    def gradient(self) -> Array:
        return self._gradient

    @quiet
    def differentiate(
        self,
        x: Array | CSR,
        target: Array,
        cuts: Sequence[int],
        total: float,
        *,
        sample_weight: Array | None = None,
        position: int = 0,
    ) -> Array:
        """Write the gradient of some shards of a batch, and return the loss of each.

        Nothing else changes. Gradient and losses are sums over the rows, divided by ``total``.

        Parameters
        ----------
        x, target, sample_weight
            The rows of these shards, one behind the other.
        cuts : sequence of int
            Where they are cut, from 0 to their number; see :func:`fastmlp.kernels.shard_groups`.
        total : float
            Rows of the whole batch, or their weight.
        position : int
            Place of the first of these rows in the whole batch, on which dropout depends.

        Returns
        -------
        (len(cuts) - 1,) array of float64
        """
        net, options = self._network, self._options
        _checks.rows(net.architecture, net.dtype, x, target, sample_weight, self._loss)
        _steps.check_shards(cuts, len(x), options.batch_size, isinstance(x, CSR))
        losses = np.zeros(len(cuts) - 1)

        def made(shard: int, first: int, last: int) -> Array:
            part = slice(first, last)
            weight = None if sample_weight is None else sample_weight[part]
            dropout = None
            if options.dropout:
                dropout = regularisation.Dropout(
                    options.dropout, options.seed, self.step + 1, position + first
                )
            gradient = np.empty_like(self._gradient)
            rows = x if isinstance(x, CSR) else x[part]
            losses[shard] = net.backpropagate(
                self._parameters, rows, target[part], self._loss, weight, gradient, dropout, total
            )
            return gradient

        self._gradient[...] = _steps.tree_sum(
            made(shard, *ends) for shard, ends in enumerate(itertools.pairwise(cuts))
        )
        return losses

    @quiet
    def descend(self, learning_rate: float, total: float) -> float:
        """Make the step along :attr:`gradient`; return the penalty before it.

        Parameters
        ----------
        learning_rate : float
            Step size of this step.
        total : float
            Rows of the whole batch, or their weight.

        Returns
        -------
        float
            ``½ l2 Σ W² + l1 Σ |W|`` as the options have it.
        """
        _checks.learning_rates(learning_rate, 1)
        options = self._options
        share = 1.0
        if options.l2_over_batch:
            share = 1 / total if total else 0.0
        penalty = regularisation.penalise(
            self._network.architecture, self._parameters, self._gradient,
            options.l2 * share, options.l1 * share,
        )  # fmt: skip
        self.step += 1
        self._update(learning_rate)
        return penalty
