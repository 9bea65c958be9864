"""A whole network: predictions, loss and gradient; and :class:`Trainer`, the two-pass engine."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .. import _checks
from .._specs import Architecture, UpdateRule, check_loss
from ._calls import NO_LABELS, Call, first_step, last_step, shelves
from ._choice import STRETCH, Choice
from ._packing import gradient_task, load_task, mean_task, store_task
from ._tasks import rows_task, weights_task
from ._workspace import Workspace, address, ceil
from .layers import STEP_ROWS
from .losses import targets
from .optimizers import set_rule

Array = np.ndarray[Any, Any]

_CHUNK_SECONDS = 0.06  # between two looks for Ctrl-C


# A number for each kind of network, as hashing a description takes longer than a prediction.
_NUMBERS: dict[Any, int] = {}


class Network:
    """Stateless computations of one architecture; parameters are a flat vector.

    The same as :class:`fastmlp.kernels.reference.Network`.
    """

    def __init__(
        self, architecture: Architecture, dtype: Any, *, n_threads: int | None = None
    ) -> None:
        _checks.threads(n_threads)
        self.architecture = architecture
        self.dtype = np.dtype(dtype)
        self.n_threads = n_threads
        # Of all that calls of this network are prepared for, the part that stays.
        described = (architecture, self.dtype.itemsize, n_threads)
        self._key = _NUMBERS.setdefault(described, len(_NUMBERS))
        self._n_out = architecture.sizes[-1]
        self._products = sum(n_in * n_out for n_in, n_out in architecture.layer_shapes)

    def predict(self, parameters: Array, x: Array, *, out: Array | None = None) -> Array:
        """Values of the output layer, shape ``(n, n_out)``."""
        key, call = None, None
        try:
            key = ("predict", x.shape, parameters.shape, self._key)
            call = shelves.take(key)
        except (AttributeError, TypeError):  # named by the checks
            pass
        if call is not None and out is None:
            out = np.empty((x.shape[0], self._n_out), self.dtype)
            if call(0, x, call.matrix, call.matrix, parameters, NO_LABELS, out):
                shelves.give(key, call)
                return out
            out = None
        net = self.architecture
        _checks.flat("parameters", parameters, net, self.dtype)
        _checks.rows(net, self.dtype, x)
        out = _checks.output("out", out, (len(x), self._n_out), self.dtype, x, parameters)
        if out.size:
            if call is None:
                call = shelves.prepare(key, lambda: self._prediction(len(x)))
            call.on_checked(0, x, call.matrix, call.matrix, parameters, NO_LABELS, out)
            shelves.give(key, call)
        return out

    def _space(self, rows: int, stores: int, with_errors: bool, n_threads: int) -> Workspace:
        net = self.architecture
        space = Workspace(
            net.sizes, net.activations, self.dtype, rows,
            stores=stores, with_errors=with_errors, n_threads=n_threads,
        )  # fmt: skip
        space.plan.store = space.stores[0]
        return space

    def _prediction(self, n: int) -> Call:
        choice = Choice.of(self.n_threads, 2.0 * self._products * n)
        space = self._space(min(n, STEP_ROWS), 1, False, choice.most)
        space.set_output(self.architecture.output)
        return self._over_steps(space, n, choice)

    def _over_steps(self, space: Workspace, n: int, choice: Choice, *more: Any) -> Call:
        """Load the parameters, then run the rows pass over all rows."""
        steps = ceil(n, space.rows)
        load = (load_task, first_step(len(space.layers), steps))
        return Call(space, [load, (rows_task, space.row_counts(n)), *more], n, choice, steps)

    def loss(
        self,
        parameters: Array,
        x: Array,
        target: Array,
        loss: str,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Mean loss of the rows, without a penalty."""
        self._check(parameters, x, target, loss, sample_weight)
        if len(x) == 0:
            return 0.0
        key = ("network loss", x.shape, loss, self._key)
        call = shelves.prepare(key, lambda: self._loss(len(x), loss))
        space = call.space
        space.set_weights(sample_weight)
        flag, matrix, labels = targets(call, target)
        call.on_checked(flag, x, matrix, call.matrix, parameters, labels, call.matrix)
        value = float(space.plan.summed)
        space.keep()
        shelves.give(key, call)
        return value

    def _loss(self, n: int, loss: str) -> Call:
        choice = Choice.of(self.n_threads, 2.0 * self._products * n)
        space = self._space(min(n, STEP_ROWS), 1, True, choice.most)
        space.set_loss(loss, self.architecture.output, n)
        return self._over_steps(space, n, choice, (mean_task, last_step(1)))

    def loss_and_gradient(
        self,
        parameters: Array,
        x: Array,
        target: Array,
        loss: str,
        *,
        sample_weight: Array | None = None,
        l2: float = 0.0,
        out: Array | None = None,
    ) -> tuple[float, Array]:
        """Mean loss plus ``½ l2 Σ W²``, and its gradient as a flat vector."""
        self._check(parameters, x, target, loss, sample_weight)
        out = _checks.output("out", out, parameters.shape, self.dtype, parameters, x)
        n = len(x)
        key = ("loss and gradient", x.shape, loss, l2 != 0, self._key)
        call = shelves.prepare(key, lambda: self._gradient(n, loss, l2 != 0))
        space, plan = call.space, call.space.plan
        space.set_weights(sample_weight)
        plan.l2, plan.penalty, plan.summed = l2, 0.0, 0.0
        flag, matrix, labels = targets(call, target)
        gradient = np.asarray(out).reshape(1, -1)
        call.on_checked(flag, x, matrix, call.matrix, parameters, labels, gradient)
        value = float(plan.summed / n if n else plan.penalty)
        space.keep()
        shelves.give(key, call)
        return value, out

    def _gradient(self, n: int, loss: str, penalised: bool) -> Call:
        choice = Choice.of(self.n_threads, 6.0 * self._products * n)
        space = self._space(max(n, 1), 2, True, choice.most)
        space.set_loss(loss, self.architecture.output, n)
        space.share(choice.most)
        plan = space.plan
        plan.backward = plan.refresh = 1
        plan.rule, plan.learning_rate = space.use("update store"), 1.0
        plan.first_state = plan.second_state = space.stores[1]
        layers = len(space.layers)
        phases = [
            (load_task, layers),
            (rows_task, space.row_blocks(n) + penalised),
            (weights_task, len(space.blocks) + 1),
            (gradient_task, layers),
        ]
        return Call(space, phases, n, choice)

    def _check(
        self, parameters: Array, x: Array, target: Array, loss: str, sample_weight: Array | None
    ) -> None:
        check_loss(loss, self.architecture.output)
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x, target, sample_weight)


class Trainer:
    """Minibatch descent on one network: owns a working copy of parameters and optimizer state.

    The same as :class:`fastmlp.kernels.reference.Trainer`. All memory of a step is laid out here;
    steps run in compiled code without the GIL, in chunks between which Python can answer Ctrl-C.
    """

    def __init__(
        self,
        architecture: Architecture,
        dtype: Any,
        loss: str,
        update_rule: UpdateRule,
        *,
        batch_size: int,
        l2: float = 0.0,
        l2_over_batch: bool = False,
        n_threads: int | None = None,
    ) -> None:
        check_loss(loss, architecture.output)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        _checks.threads(n_threads)
        self._architecture, self._dtype = architecture, np.dtype(dtype)
        self._batch_size = int(batch_size)
        products = sum(n_in * n_out for n_in, n_out in architecture.layer_shapes)
        operations = 6.0 * products * self._batch_size
        self._choice = Choice.of(n_threads, operations)
        self._space = space = Workspace(
            architecture.sizes,
            architecture.activations,
            self._dtype,
            self._batch_size,
            stores=1 + len(update_rule.slots),
            with_errors=True,
            n_threads=self._choice.most,
        )
        self._n_slots = len(update_rule.slots)
        plan = self._plan = space.plan
        plan.first_state = space.stores[min(1, self._n_slots)]
        plan.second_state = space.stores[self._n_slots]
        set_rule(space, update_rule)
        plan.with_loss = plan.backward = plan.refresh = 1
        plan.loss = space.use(f"loss {loss} {architecture.output}")
        plan.l2, plan.penalty_per_row = float(l2), bool(l2_over_batch)
        # One task more than there are blocks of rows sums the penalty, one more than there are
        # blocks of weights accounts for the loss.
        self._with_penalty = bool(l2)
        self._job = space.job(rows_task, weights_task)
        # A first guess of a step's time, at a tenth of a core's speed; then measured.
        self._step_seconds = 1e-6 + operations / 10e9

    @property
    def step(self) -> int:
        """Updates made so far (the ``t`` of Adam)."""
        return int(self._plan.steps_made)

    def load(self, parameters: Array, state: Array | None = None, step: int = 0) -> None:
        """Copy parameters (and optimizer state, zero by default) in."""
        self._check(parameters, state)
        if state is None:
            state = np.zeros((self._n_slots, len(parameters)), self._dtype)
        for flat, store in zip((parameters, *state), self._space.stores, strict=True):
            self._copy(load_task, np.ascontiguousarray(flat), store)
        self._plan.steps_made = int(step)

    def store(self, parameters: Array, state: Array | None = None) -> None:
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        self._check(parameters, state)
        for target, store in zip(
            (parameters, *(() if state is None else state)), self._space.stores, strict=False
        ):
            flat = np.empty(len(parameters), self._dtype)
            self._copy(store_task, flat, store)
            target[...] = flat

    def _check(self, parameters: Array, state: Array | None) -> None:
        _checks.flat("parameters", parameters, self._architecture, self._dtype)
        if state is not None:
            _checks.array("state", state, (self._n_slots, len(parameters)), self._dtype)

    def _copy(self, task: Any, flat: Array, store: int) -> None:
        plan = self._plan
        plan.flat, plan.store = address(flat), store
        plan.refresh = store == self._space.stores[0]
        self._space.run_once([(task, len(self._space.layers))], 1)
        plan.refresh = 1

    def run_epoch(
        self,
        x: Array,
        target: Array,
        order: Array | None,
        learning_rate: float,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Visit the rows once, in ``order`` (as they come for ``None``), one step a batch.

        Returns the mean loss of the epoch, each batch's loss (with its penalty, before its
        update) weighted by its rows.
        """
        _checks.rows(self._architecture, self._dtype, x, target, sample_weight)
        if order is not None:
            _checks.order(order, len(x))
            if sample_weight is not None:
                sample_weight = sample_weight[order]
        space, plan = self._space, self._plan
        space.set_rows(x, target, order)
        space.set_weights(sample_weight)
        plan.learning_rate = learning_rate
        plan.penalty = plan.summed = 0.0
        plan.steps_before = plan.steps_made
        n = int(plan.n_rows)
        steps = ceil(n, self._batch_size)
        rest = n - (steps - 1) * self._batch_size
        step, cut_for = 0, 0
        while step < steps:
            threads = self._choice.threads
            if threads != cut_for:
                cut_for = threads
                self._share(threads, rest)
            seconds = STRETCH if self._choice.trying else _CHUNK_SECONDS
            count = min(steps - step, max(1, int(seconds / self._step_seconds)))
            self._job.steps(step, step + count, steps - 1)
            start = time.perf_counter()
            self._job.run(threads)
            spent = time.perf_counter() - start
            self._choice.note(count, spent)
            self._step_seconds = max(spent / count, 1e-7)
            step += count
        space.keep()
        return float(plan.summed) / max(n, 1)

    def _share(self, n_threads: int, rest: int) -> None:
        """Cut a step for so many threads; the last one has ``rest`` rows."""
        space, extra = self._space, int(self._with_penalty)
        space.share(n_threads)
        blocks = len(space.blocks) + 1
        self._job.counts(
            [space.row_blocks(self._batch_size) + extra, blocks],
            [space.row_blocks(rest) + extra, blocks],
        )
