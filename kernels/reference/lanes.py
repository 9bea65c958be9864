"""Several networks of one architecture in one trainer: here one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .. import _checks, _epochs
from .._architecture import Architecture
from .._options import TrainingOptions
from .._specs import Loss, UpdateRule
from .._typing import Array
from .trainer import Trainer


def lanes(
    architecture: Architecture,
    dtype: Any,
    loss: str | Loss,
    update_rule: UpdateRule,
    options: TrainingOptions,
) -> int:
    """How many networks are trained side by side, see :func:`fastmlp.kernels.lanes`: one."""
    return 1


class LaneTrainer:
    """Minibatch descent on several networks of one architecture, all of which make the same steps.

    Each of them gets what a :class:`Trainer` of its own would give, to the bit. Their rows, orders
    and learning rates differ; how many rows there are, the options and the update rule do not.

    Parameters
    ----------
    architecture, dtype, loss, update_rule, options
        As of :class:`Trainer`.
    count : int
        How many networks, at most what :func:`fastmlp.kernels.lanes` says where that is above 1.

    Attributes
    ----------
    step : int
        Updates that each network has made.
    halt : (1,) int32 array or None
        What another thread halts all of them with, see :class:`fastmlp.kernels.Halted`.
    """

    #: What trains one network.
    _trainer: ClassVar[type] = Trainer

    def __init__(
        self,
        architecture: Architecture,
        dtype: Any,
        loss: str | Loss,
        update_rule: UpdateRule,
        options: TrainingOptions,
        count: int,
    ) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self._architecture, self._dtype, self._options = architecture, dtype, options
        self._trainers = [
            self._trainer(architecture, dtype, loss, update_rule, options) for _ in range(count)
        ]
        self.step = 0
        self._halt: Array | None = None

    @property
    def halt(self) -> Array | None:
        return self._halt

    @halt.setter
    def halt(self, value: Array | None) -> None:
        self._halt = _epochs.switch(value)

    def load(self, which: int, parameters: Array, state: Array | None = None) -> None:
        """Copy the parameters of a network in, and its state; without one it starts anew."""
        self._network(which).load(parameters, state, self.step)

    def store(self, which: int, parameters: Array, state: Array | None = None) -> None:
        """Copy the parameters of a network out (and its state), as of the last finished step."""
        self._network(which).store(parameters, state)

    def _network(self, which: int) -> Any:
        if not 0 <= which < len(self._trainers):
            raise ValueError(f"there are {len(self._trainers)} networks, got number {which}")
        return self._trainers[which]

    def run_epochs(
        self,
        xs: Sequence[Array],
        targets: Sequence[Array],
        orders: Sequence[Array | None],
        learning_rates: Sequence[Array],
        *,
        out: Array | None = None,
    ) -> Array:
        """Visit the rows of every network once for each of its orders.

        Parameters
        ----------
        xs, targets : sequences of arrays
            Of each network; they may be the same array.
        orders : sequence of (n_epochs, m) arrays of intp, or of None
            As of :meth:`Trainer.run_epochs`; all have one shape, or all are ``None``.
        learning_rates : sequence of (n_epochs,) or (n_epochs, n_steps) arrays of float64
        out : (count, n_epochs) array of float64, optional
            Receives the losses of finished epochs, also where an exception ends the call.

        Returns
        -------
        (count, n_epochs) array of float64
            Mean losses of the epochs.
        """
        size, count = self._options.batch_size, len(self._trainers)
        out = _epochs.check_lanes(
            *(self._architecture, self._dtype, count, size),
            *(xs, targets, orders, learning_rates, out),
        )
        for order, x in zip(orders, xs, strict=True):
            if order is not None:
                _checks.order(order.reshape(-1), len(x))
        for epoch in range(out.shape[1]):
            if _epochs.halted(self._halt):
                raise _epochs.Halted
            for i, one in enumerate(self._trainers):
                order, rate = orders[i], learning_rates[i][epoch]
                out[i, epoch] = one.run_epoch(
                    xs[i],
                    targets[i],
                    None if order is None else order[epoch],
                    rate if learning_rates[i].ndim == 2 else float(rate),
                )
            self.step = int(self._trainers[0].step)
        return out
