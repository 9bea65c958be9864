"""The steps of an epoch: all of them in the engine, or in pieces where somebody looks between."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .._typing import Array
from ..history import History
from ..stopping._watches import Watch
from .line_search import LineSearchTrainer

if TYPE_CHECKING:
    from ..mlp import MLP
    from .plan import Plan


#: How long a piece of an epoch may run where the clock is to be looked at, in seconds.
PIECE = 0.05


class Steps:
    """Runs a plan's epochs and notes in the history how they went.

    Parameters
    ----------
    watches : sequence of (reason, Watch)
        Stop rules at work. Where one has a deadline an epoch is cut into pieces, and ends at the
        first that is later.
    """

    def __init__(
        self, network: MLP, plan: Plan, history: History, watches: Sequence[tuple[str, Watch]]
    ) -> None:
        self.network, self.plan, self.history = network, plan, history
        self.listeners = [callback for callback in plan.callbacks if callback.every_batch]
        self.deadline = min((watch.deadline for _, watch in watches), default=math.inf)
        self.n_steps = -(-len(plan.batch.x) // plan.batch_size)
        #: Steps that the engine makes in one call.
        self.piece = self.n_steps
        if self.listeners or plan.rates_by_batch or self.deadline < math.inf:
            self.piece = 1
        self.order: Array | None = None
        if plan.generator is not None or self.piece < self.n_steps:
            self.order = np.arange(len(plan.batch.x), dtype=np.intp)

    def run_epoch(self, epoch: int) -> bool:
        """Train for an epoch and note how it went; return whether its loss is finite."""
        plan, history, trainer, batch = self.plan, self.history, self.plan.trainer, self.plan.batch
        if plan.generator is not None and self.order is not None:
            plan.generator.shuffle(self.order)
        rate = plan.rates.of_epoch(epoch)
        started = time.perf_counter()
        if self.piece < self.n_steps or self.listeners:
            loss, rate = self._run_pieces(rate)
        else:
            loss = trainer.run_epoch(
                batch.x, batch.target, self.order, rate, sample_weight=batch.weight
            )
        history.seconds.append(time.perf_counter() - started)
        history.loss.append(loss)
        if isinstance(trainer, LineSearchTrainer):
            rate = trainer.learning_rate
            if trainer.stuck is not None:
                history.stop_reason, history.stop_message = "line_search", trainer.stuck
        history.learning_rate.append(rate if isinstance(rate, float) else float(rate[-1]))
        if plan.with_gradient_norm:
            history.gradient_norm.append(float(trainer.gradient_norm))
        return math.isfinite(loss)

    def _run_pieces(self, rate: float | Array) -> tuple[float, float]:
        """Return the mean loss of the rows that were visited, and the last learning rate."""
        plan, batch, size = self.plan, self.plan.batch, self.plan.batch_size
        order = self.order
        if order is None:
            order = np.arange(len(batch.x), dtype=np.intp)
        step, visited, total, now = 0, 0, 0.0, time.perf_counter()
        value = rate
        while step < self.n_steps and (now < self.deadline or not visited):
            rows = order[step * size : (step + self.piece) * size]
            if not isinstance(rate, float):
                value = rate[step : step + self.piece]
                if plan.rates_by_batch:
                    value = float(value[0])
            loss = plan.trainer.run_epoch(
                batch.x, batch.target, rows, value, sample_weight=batch.weight
            )
            total += loss * len(rows)
            visited += len(rows)
            if self.listeners:
                self._tell(step, loss)
            step += self.piece
            before, now = now, time.perf_counter()
            if self.deadline < math.inf and not (self.listeners or plan.rates_by_batch):
                wanted = self.piece * PIECE / max(now - before, 1e-9)
                self.piece = max(1, min(int(wanted), 2 * self.piece, self.n_steps))
        last = value if isinstance(value, float) else float(value[-1])
        return total / max(visited, 1), last

    def _tell(self, batch: int, loss: float) -> None:
        network, trainer = self.network, self.plan.trainer
        trainer.store(network.parameters)
        seen = network.parameters.copy()
        for callback in self.listeners:
            callback.on_batch_end(network, self.history, batch, loss)
        take_over(network, seen, self.plan)


def take_over(network: MLP, seen: Array, plan: Plan) -> None:
    """Train on from the network's parameters where they are no longer what callbacks were shown."""
    # Compared as bytes, so that NaN equals itself.
    if np.array_equal(seen.view(np.uint8), network.parameters.view(np.uint8)):
        return
    state = np.empty((plan.n_slots, seen.size), seen.dtype)
    plan.trainer.store(seen, state)
    plan.trainer.load(network.parameters, state, plan.trainer.step)
