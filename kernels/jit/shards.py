"""Steps that several processes share: :class:`ShardTrainer`."""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _checks, _steps
from .._architecture import Architecture
from .._custom import TargetWeights
from .._options import TrainingOptions
from .._specs import CSR, Loss, UpdateRule
from .._typing import Array
from .compiling.lazy import Task
from .engine.operands import own_structure, set_rates, set_rows, set_weights
from .engine.step_job import StepJob
from .formulas.update_rules import kernel_of
from .memory.arena import address
from .passes.rows_pass import rows_task
from .passes.shards import descend_task, shards_task
from .passes.step_constants import prepare_task
from .passes.weights_pass import bound_task, norm_task, update_task
from .training import CHUNK_SECONDS, LONG_SECONDS, Trainer


class ShardTrainer(Trainer):
    """The same as :class:`fastmlp.kernels.reference.ShardTrainer`."""

    _shards = True

    def __init__(
        self,
        architecture: Architecture,
        dtype: Any,
        loss: str | Loss,
        update_rule: UpdateRule,
        options: TrainingOptions,
    ) -> None:
        super().__init__(architecture, dtype, loss, update_rule, options)
        space, plan = self._space, self._plan
        store = space.stores[1 + self._n_slots]
        size = space.store_bytes // self._dtype.itemsize
        real = ctypes.c_float if self._dtype.itemsize == 4 else ctypes.c_double
        #: See the class; a view of the workspace's memory, which it keeps.
        self.gradient: Array = np.ctypeslib.as_array((real * size).from_address(store))
        plan.shard_sum = store
        plan.sparse.gradient = store + space.layers[0].weights_bytes
        space.use("add")
        self._first_half = StepJob(space, [rows_task, shards_task])

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
        """Write the gradient of some shards of a batch, and return the loss of each."""
        x = own_structure(x)
        _checks.rows(self._architecture, self._dtype, x, target, sample_weight, self._loss)
        _steps.check_shards(cuts, len(x), self._batch_size, isinstance(x, CSR))
        space, plan, places = self._space, self._plan, np.array(cuts, np.int64)
        losses = np.zeros(len(cuts) - 1)
        with self._use.by("differentiate"):
            set_rows(space, x, target)
            set_weights(space, sample_weight, total)
            space.hold(places)
            plan.total, plan.position = float(total), int(position)
            plan.cuts, plan.n_shards = address(places), len(losses)
            plan.steps_before, prepare = plan.steps_made, plan.update.prepare
            plan.update.prepare = 0
            try:
                self._run_half(len(x))
            finally:
                plan.update.prepare, plan.total, plan.position = prepare, 0.0, 0
            of_rows = np.ctypeslib.as_array((ctypes.c_double * len(x)).from_address(plan.losses))
            if sample_weight is not None:
                known = sample_weight
                of_rows = of_rows * (known.rows if isinstance(known, TargetWeights) else known)
            for shard, (first, last) in enumerate(itertools.pairwise(cuts)):
                losses[shard] = of_rows[first:last].sum() / total if total else 0.0
            space.release()
        return losses

    def _run_half(self, rows: int) -> None:
        """Compute gradients of so many rows."""
        space, threads = self._space, self._choice.threads
        space.share(threads)
        self._cut = None  # what run_epoch cuts its steps for
        counts = [space.row_blocks(rows), len(space.blocks)]
        start = time.perf_counter()
        if self._step_seconds > LONG_SECONDS and not self._calls_back and counts[0]:
            piece = max(threads, int(counts[0] * CHUNK_SECONDS / self._step_seconds))
            self._first_half.run_in_pieces(0, 0, counts, piece, threads)
        else:
            self._first_half.counts(counts, counts)
            self._first_half.run(0, 1, 0, threads)
        spent = time.perf_counter() - start
        self._choice.note(1, spent)
        self._step_seconds = max(spent, 1e-7)

    def descend(self, learning_rate: float, total: float) -> float:
        """Make the step along :attr:`gradient`; return the penalty before it."""
        _checks.learning_rates(learning_rate, 1)
        space, plan = self._space, self._plan
        with self._use.by("descend"):
            threads = self._choice.threads
            space.share(threads)
            self._cut = None
            set_weights(space, None)
            set_rates(space, learning_rate)
            plan.n_rows, plan.total, plan.penalty = 0, float(total), 0.0
            plan.steps_before = plan.steps_made
            space.run_once(self._second_half(), threads)
            plan.total = 0.0
            plan.steps_made += 1
            if self._with_norm:
                self.gradient_norm = float(plan.update.gradient_norm)
            return float(plan.penalty)

    def _second_half(self) -> list[tuple[Task, int]]:
        space = self._space
        blocks = len(space.blocks)
        phases = [(prepare_task(kernel_of(self._rule)), 1)]
        if self._with_penalty:  # without rows it sums the penalty
            phases.append((rows_task, 1))
        phases.append((descend_task, blocks))
        if self._with_norm:
            phases += [(norm_task, 1), (update_task, blocks)]
        if self._bounded:
            phases.append((bound_task, len(space.layers)))
        return phases
