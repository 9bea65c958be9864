"""Minibatch descent: :class:`Trainer`, the two-pass engine."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from .. import _checks, _epochs, _steps
from .._architecture import Architecture
from .._options import TrainingOptions
from .._specs import CSR, Loss, UpdateRule
from .._typing import Array
from .compiling.lazy import Task
from .engine.functions import set_rule
from .engine.operands import many_rows, own_structure, set_rates, set_rows, set_weights
from .engine.step_job import StepJob
from .engine.workspace import Workspace
from .formulas.update_rules import RULES, kernel_of
from .memory.arena import address, ceil
from .passes.packing import load_task, store_task
from .passes.rows_pass import rows_task
from .passes.weights_pass import bound_task, norm_task, update_task, weights_task
from .threads.tuner import STRETCH, Choice
from .threads.use import Use

CHUNK_SECONDS = 0.06  # between two looks for Ctrl-C
LONG_SECONDS = 0.12  # of a step whose rows are done in pieces, for the same reason


class Trainer:
    """Minibatch descent on one network: owns a working copy of parameters and optimizer state.

    The same as :class:`fastmlp.kernels.reference.Trainer`. All memory of a step is laid out here;
    steps run in compiled code without the GIL, in chunks between which Python can answer Ctrl-C.
    """

    _shards = False  # whether steps are made in two halves

    def __init__(
        self,
        architecture: Architecture,
        dtype: Any,
        loss: str | Loss,
        update_rule: UpdateRule,
        options: TrainingOptions,
    ) -> None:
        _checks.training(architecture, loss, options)
        self._use = Use("Trainer")
        self._architecture, self._dtype = architecture, np.dtype(dtype)
        self._batch_size, self._rule = options.batch_size, update_rule
        products = sum(n_in * n_out for n_in, n_out in architecture.layer_shapes)
        operations = 6.0 * products * self._batch_size
        self._choice = Choice.of(options.n_threads, operations)
        self._with_norm = options.with_norm
        self._n_slots = len(update_rule.slots)
        self._space = space = Workspace(
            architecture.sizes,
            architecture.activations,
            self._dtype,
            self._batch_size,
            stores=1 + self._n_slots + self._with_norm + self._shards,
            with_errors=True,
            n_threads=self._choice.most,
            with_slopes=True,
            dropout=options.dropout,
            trainable=options.trainable,
        )
        plan = self._plan = space.plan
        plan.with_loss = plan.backward = plan.refresh = 1
        self._loss = Loss.of(loss)
        space.set_loss(self._loss, architecture.output)
        self._calls_back = space.calls_back
        self._job = StepJob(space, self._tasks(options))
        self._cut: tuple[int, int, int] | None = None  # what the blocks were cut for
        self.gradient_norm: float | None = None
        self._halt: Array | None = None
        self._unit = np.ones(1)
        # A first guess of a step's time, at a tenth of a core's speed; then measured.
        self._step_seconds = 1e-6 + operations / 10e9

    def _tasks(self, options: TrainingOptions) -> list[Task]:
        """Write the options into the plan; the phases of a step."""
        space, plan = self._space, self._plan
        plan.l2, plan.l1 = options.l2, options.l1
        plan.penalty_per_row = options.l2_over_batch
        # One task more than there are blocks of rows sums the penalty, one more than there are
        # blocks of weights accounts for the loss.
        self._with_penalty = bool(options.l2 or options.l1)
        if self._with_penalty:
            space.use("sums")
        plan.seed = int(np.uint64(options.seed).view(np.int64))
        clipped = options.clip_value is not None or options.clip_norm is not None
        self._set_rule(clipped)
        update = plan.update
        update.clip_value = math.inf if options.clip_value is None else options.clip_value
        update.clip_norm = math.inf if options.clip_norm is None else options.clip_norm
        tasks = [rows_task, weights_task]
        if self._with_norm:
            plan.gradient, update.collect = space.stores[-1], space.use("update store")
            space.use("norms")
            space.collect_norms()
            tasks += [norm_task, update_task]
        self._bounded = options.max_norm is not None
        if options.max_norm is not None:
            update.max_norm = options.max_norm
            space.use("bound_columns")
            tasks.append(bound_task)
        # Plain descent changes only the weights of stored entries of sparse rows. A sum over many
        # rows would lose its digits in the weights.
        plan.sparse.direct = update.descends and not plan.l2 and not many_rows(space)
        return tasks

    def _set_rule(self, clipped: bool) -> None:
        """Write the update rule into the plan; ``clipped`` says that its gradient is."""
        plan, rule = self._plan, self._rule
        regularised = clipped or rule.constants["weight_decay"] != 0 or plan.l1 != 0
        alone = not (self._with_norm or self._shards)
        self._constants = set_rule(plan, rule, regularised, alone)
        slots = self._space.stores[1 : 1 + self._n_slots]
        states = [*slots, *self._space.stores[:1] * 3]
        plan.state_0, plan.state_1, plan.state_2 = states[:3]

    @property
    def step(self) -> int:
        """Updates made so far (the ``t`` of Adam)."""
        return int(self._plan.steps_made)

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters in, and optimizer state, by default that before the first step."""
        self._check(parameters, state)
        if state is None:
            state = self._rule.initial_state(len(parameters), 0.0, self._dtype)
        with self._use.by("load", anew=True):
            for flat, store in zip((parameters, *state), self._space.stores, strict=False):
                self._copy(load_task, np.ascontiguousarray(flat), store)
            self._plan.steps_made = int(step)

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        self._check(parameters, state)
        targets = parameters, *(() if state is None else state)
        copies = [np.empty(len(parameters), self._dtype) for _ in targets]
        with self._use.by("store", within="run_epoch"):
            for flat, store in zip(copies, self._space.stores, strict=False):
                self._copy(store_task, flat, store)
        for target, flat in zip(targets, copies, strict=True):
            target[...] = flat

    def _check(self, parameters: Array, state: Array | None) -> None:
        _checks.flat("parameters", parameters, self._architecture, self._dtype)
        if state is not None:
            _checks.array("state", state, (self._n_slots, len(parameters)), self._dtype)

    def _copy(self, task: Task, flat: Array, store: int) -> None:
        plan = self._plan
        plan.flat.address, plan.store = address(flat), store
        plan.refresh = store == self._space.stores[0]
        self._space.run_once([(task, len(self._space.layers))], 1)
        plan.refresh = 1

    def run_epoch(
        self,
        x: Array | CSR,
        target: Array,
        order: Array | None,
        learning_rate: float | Array,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Visit the rows once, in ``order`` (as they come for ``None``), one step a batch.

        The learning rate is one number, or a float64 array with one for each step.
        Returns the mean loss of the epoch, each batch's loss (with its penalty, before its
        update) weighted by its rows.
        """
        x = own_structure(x)
        _checks.rows(self._architecture, self._dtype, x, target, sample_weight, self._loss)
        if order is not None:
            order = order.copy() if isinstance(order, np.ndarray) else order
            _checks.order(order, len(x))
            if sample_weight is not None:
                sample_weight = sample_weight[order]
        n = len(x) if order is None else len(order)
        _checks.learning_rates(learning_rate, ceil(n, self._batch_size))
        with self._use.by("run_epoch"):
            return self._epoch(x, target, order, learning_rate, sample_weight, n)

    def run_epochs(
        self,
        x: Array | CSR,
        target: Array,
        orders: Array | _epochs.Shuffle | None,
        learning_rates: Array,
        *,
        sample_weight: Array | None = None,
        plateau: _epochs.Plateau | None = None,
        out: Array | None = None,
    ) -> Array:
        """Visit the rows once for each row of ``orders``."""
        out = _epochs.check(orders, learning_rates, len(x), self._batch_size, out)
        rows = x, target, orders, learning_rates, sample_weight
        return _epochs.one_by_one(self, *rows, plateau, out)

    def run_step(
        self,
        x: Any,
        target: Any,
        learning_rate: float,
        parameters: Array,
        shown: Array,
        sample_weight: Any = None,
        of_output: bool = False,
        low: float = -np.inf,
        high: float = np.inf,
    ) -> float | None:
        """One step with all of the rows, or ``None`` where they need a closer look."""
        net, dtype = self._architecture, self._dtype
        arrays = x, target, sample_weight
        if not _steps.plain(net, dtype, self._batch_size, arrays, of_output, low, high):
            return None
        for vector in (parameters, shown):
            if not _steps.fits(vector, net.n_parameters, dtype):
                return None
        if target.dtype == dtype:
            target = target.reshape(len(x), -1)
        if _steps.changed(parameters, shown):
            moments = np.empty((self._n_slots, len(shown)), dtype)
            self.store(shown, moments)
            self.load(parameters, moments, self.step)
        plan, space = self._plan, self._space
        with self._use.by("run_epoch"):
            before = plan.loss, plan.loss_constant
            if of_output:
                plan.loss, plan.loss_constant = space.use(f"loss of_output {net.output}"), 0.0
            try:
                loss = self._epoch(x, target, None, learning_rate, sample_weight, len(x), of_output)
            finally:
                plan.loss, plan.loss_constant = before
            self._copy(store_task, parameters, space.stores[0])
        shown[...] = parameters
        return loss

    @property
    def halt(self) -> Array | None:
        """What another thread halts this trainer with, see :class:`fastmlp.kernels.Halted`."""
        return self._halt

    @halt.setter
    def halt(self, value: Array | None) -> None:
        self._halt = _epochs.switch(value)

    def _epoch(
        self,
        x: Array | CSR,
        target: Array,
        order: Array | None,
        learning_rate: float | Array,
        weights: Array | None,
        n: int,
        of_output: bool = False,
    ) -> float:
        """An epoch over ``n`` rows whose arguments have been checked."""
        space, plan, steps = self._space, self._plan, ceil(n, self._batch_size)
        set_rows(space, x, target, order)
        set_weights(space, weights)
        if of_output:  # of the sum over the rows
            plan.weights.shares = address(self._unit)
        set_rates(space, learning_rate)
        shared = self._with_penalty and plan.penalty_per_row
        varies = RULES[kernel_of(self._rule)].varies or self._with_norm  # clipping sets its factor
        plan.update.varying = varies or shared or plan.update.rates != 0
        plan.penalty = plan.summed = 0.0
        plan.steps_before = plan.steps_made
        self._run(steps, n - (steps - 1) * self._batch_size)
        if self._with_norm and steps:
            self.gradient_norm = float(plan.update.gradient_norm)
        space.release()
        return float(plan.summed) / max(n, 1)

    def _run(self, steps: int, rest: int) -> None:
        """Run all steps; the last one has ``rest`` rows."""
        step = 0
        while step < steps:
            if _epochs.halted(self._halt):
                raise _epochs.Halted
            threads = self._choice.threads
            cut = threads, rest, self._plan.sparse.present
            if cut != self._cut:
                self._share(threads, rest)
                self._cut = cut
            seconds = STRETCH if self._choice.trying else CHUNK_SECONDS
            count = min(steps - step, max(1, int(seconds / self._step_seconds)))
            finished = None
            if self._calls_back:
                count, finished = 1, self._copies()
            start = time.perf_counter()
            try:
                if self._step_seconds > LONG_SECONDS and finished is None:
                    phases = self._phases(rest if step == steps - 1 else self._batch_size)
                    piece = max(threads, int(phases[0] * CHUNK_SECONDS / self._step_seconds))
                    self._job.run_in_pieces(step, steps - 1, phases, piece, threads)
                else:
                    self._job.run(step, step + count, steps - 1, threads)
            except BaseException:
                if finished is not None:  # what the exception has left is no step
                    self._go_back(*finished)
                raise
            spent = time.perf_counter() - start
            self._choice.note(count, spent)
            self._step_seconds = max(spent / count, 1e-7)
            step += count

    def _copies(self) -> tuple[list[Array], int]:
        """Parameters and vectors of state after the last finished step, and its number."""
        stores = self._space.stores[: 1 + self._n_slots]
        copies = [np.empty(self._architecture.n_parameters, self._dtype) for _ in stores]
        for flat, store in zip(copies, stores, strict=True):
            self._copy(store_task, flat, store)
        return copies, self._plan.steps_made

    def _go_back(self, copies: list[Array], step: int) -> None:
        """To what :meth:`_copies` has found."""
        for flat, store in zip(copies, self._space.stores, strict=False):
            self._copy(load_task, flat, store)
        self._plan.steps_made = step

    def _share(self, n_threads: int, rest: int) -> None:
        """Cut a step for so many threads; the last one has ``rest`` rows."""
        self._space.share(n_threads)
        self._job.counts(self._phases(self._batch_size), self._phases(rest))

    def _phases(self, rows: int) -> list[int]:
        """Tasks of each phase of a step with so many rows."""
        space, blocks = self._space, len(self._space.blocks)
        after = [blocks + 1]
        if self._with_norm:
            after += [1, blocks]
        if self._bounded:
            after.append(len(space.layers))
        return [space.row_blocks(rows) + int(self._with_penalty), *after]
