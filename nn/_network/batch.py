"""Rows with their targets, as a run and what is measured take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._inputs import sparse
from .._typing import Array
from . import blocks

if TYPE_CHECKING:
    from .network import Network


@dataclass(frozen=True)
class Batch:
    """Rows, targets, weights of rows, and the loss that is meant."""

    x: Any
    target: Array
    weight: Array | None
    loss: Any

    @property
    def n_rows(self) -> int:
        """How many there are."""
        return len(self.target)

    def take(self, rows: Array) -> Batch:
        """Some rows, in this order."""
        weight = None if self.weight is None else self.weight[rows]
        return Batch(self.rows(rows), self.target[rows], weight, self.loss)

    def rows(self, chosen: Array) -> Any:
        """Some rows without their targets."""
        return sparse.take(self.x, chosen)

    def predict(self, network: Network) -> Array:
        """Outputs of a network for all rows."""
        return network.predict(self.x)

    def mean_loss(self, network: Network) -> float:
        """Mean loss of a network for all rows."""
        network._connect()
        return blocks.loss(
            network._network, network.parameters, self.x, self.target, self.loss, self.weight
        )
