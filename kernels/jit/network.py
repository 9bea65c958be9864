"""A whole network: predictions, loss and gradient."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .. import _checks
from .._architecture import Architecture
from .._plain import PlainPredictions
from .._specs import CSR, Loss, check_loss
from .._typing import Array
from .derivatives import Derivatives
from .engine.operands import own_structure, set_sparse, set_weights
from .engine.prepared_calls import NO_LABELS, Call, first_step, last_step, shelves
from .engine.workspace import Workspace
from .formulas.update_rules import L1, L2
from .layers import STEP_ROWS
from .losses import targets
from .memory.arena import address, ceil
from .passes.packing import gradient_task, load_task, mean_task
from .passes.rows_pass import rows_task
from .passes.weights_pass import weights_task
from .second import SecondOrder
from .threads.tuner import Choice

# A number for each kind of network, as hashing a description takes longer than a prediction; a
# kind that has been forgotten gets another one. Descriptions keep users' functions alive.
_NUMBERS: dict[Any, int] = {}
_MOST_KINDS = 64
_counter = itertools.count()


def _rows(call: Call, x: Array | CSR) -> Array:
    """The operand that ``x`` is; for sparse rows, which the plan is pointed at here, none."""
    if isinstance(x, CSR):
        set_sparse(call.space, x)
        return call.matrix
    return x


def _plain(out: Any, shape: tuple[int, int], dtype: Any, *inputs: Any) -> bool:
    """Whether ``out`` needs no closer look; ``_checks.output`` says what is wrong with it."""
    return (
        out.__class__ is np.ndarray
        and out.shape == shape
        and out.dtype is dtype
        and out.flags.carray
        and all(a.__class__ is np.ndarray and not np.may_share_memory(out, a) for a in inputs)
    )


class Packed:
    """Parameters of a network, copied into panels for many predictions. Nothing changes it."""

    def __init__(self, network: Network, parameters: Array) -> None:
        self.flat = np.array(parameters, order="C")
        self.flat.flags.writeable = False
        self.key = network._key
        self._space = space = network._space(1, 1, False, 1)
        space.plan.flat.address = address(self.flat)
        space.run_once([(load_task, len(space.layers))], 1)
        self.panels = space.stores[0]


class Network(PlainPredictions, Derivatives, SecondOrder):
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
        self._key = _NUMBERS.setdefault(described, next(_counter))
        if len(_NUMBERS) > _MOST_KINDS:
            _NUMBERS.clear()
        self._n_out = architecture.sizes[-1]
        self._products = sum(n_in * n_out for n_in, n_out in architecture.layer_shapes)

    def predict(
        self, parameters: Array | Packed, x: Array | CSR, *, out: Array | None = None
    ) -> Array:
        """Values of the output layer, shape ``(n, n_out)``; ``parameters`` may be packed."""
        key, call = None, None
        sparse, panels = x.__class__ is CSR, 0
        flat: Any = parameters
        if isinstance(parameters, Packed):
            flat, panels = parameters.flat, parameters.panels
            if parameters.key != self._key:
                raise ValueError("these parameters were packed by another network")
        try:
            key = ("predict", x.shape, flat.shape, self._key, sparse, panels > 0)
            call = shelves.take(key)
        except (AttributeError, TypeError):  # named by the checks
            pass
        if call is not None and not sparse:
            shape = (x.shape[0], self._n_out)
            result = np.empty(shape, self.dtype) if out is None else out
            if (out is None or _plain(out, shape, self.dtype, x, flat)) and call.with_panels(
                panels
            )(0, x, call.matrix, call.matrix, flat, NO_LABELS, result):
                shelves.give(key, call)
                return result
        x, net = own_structure(x), self.architecture
        _checks.flat("parameters", flat, net, self.dtype)
        _checks.rows(net, self.dtype, x)
        out = _checks.output("out", out, (len(x), self._n_out), self.dtype, x, flat)
        if out.size:
            if call is None:
                call = shelves.prepare(key, lambda: self._prediction(len(x), panels > 0))
            rows = _rows(call, x)
            call.with_panels(panels).on_checked(
                0, rows, call.matrix, call.matrix, flat, NO_LABELS, out
            )
            call.space.release()
            shelves.give(key, call)
        return out

    def predict_plain(
        self, parameters: Any, x: Any, limit: int, out: Array | None = None
    ) -> Array | None:
        """See :class:`fastmlp.kernels._plain.PlainPredictions`."""
        # A call that has been prepared for these shapes looks at the rest itself.
        if out is None and x.__class__ is parameters.__class__ is np.ndarray and x.size <= limit:
            key = ("predict", x.shape, parameters.shape, self._key, False, False)
            call = shelves.take(key)
            if call is not None:
                matrix = call.matrix
                result = np.empty((x.shape[0], self._n_out), self.dtype)
                done = call(0, x, matrix, matrix, parameters, NO_LABELS, result)
                shelves.give(key, call)
                if done:
                    return result
        return super().predict_plain(parameters, x, limit, out)

    def pack(self, parameters: Array) -> Packed:
        """Parameters for many calls of ``predict``: a copy, in the order that kernels read."""
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        return Packed(self, parameters)

    def _space(
        self, rows: int, stores: int, with_errors: bool, n_threads: int, with_slopes: bool = False,
        predicts: bool = False,
    ) -> Workspace:  # fmt: skip
        net = self.architecture
        space = Workspace(
            net.sizes, net.activations, self.dtype, rows,
            stores=stores, with_errors=with_errors, n_threads=n_threads, with_slopes=with_slopes,
            predicts=predicts,
        )  # fmt: skip
        if stores:
            space.plan.store = space.stores[0]
        return space

    def _prediction(self, n: int, packed: bool) -> Call:
        choice = Choice.of(self.n_threads, 2.0 * self._products * n)
        space = self._space(min(n, STEP_ROWS), not packed, False, choice.most, predicts=True)
        space.set_output(self.architecture.output)
        return self._over_steps(space, n, choice, packed=packed)

    def _over_steps(
        self, space: Workspace, n: int, choice: Choice, *more: Any, packed: bool = False
    ) -> Call:
        """Load the parameters if they are not packed, then run the rows pass over all rows."""
        steps = ceil(n, space.rows)
        load = [] if packed else [(load_task, first_step(len(space.layers), steps))]
        return Call(space, [*load, (rows_task, space.row_counts(n)), *more], n, choice, steps)

    def loss(
        self,
        parameters: Array,
        x: Array | CSR,
        target: Array,
        loss: str | Loss,
        *,
        sample_weight: Array | None = None,
    ) -> float:
        """Mean loss of the rows, without a penalty."""
        x = own_structure(x)
        self._check(parameters, x, target, loss, sample_weight)
        if len(x) == 0:
            return 0.0
        kind = Loss.of(loss)
        key = ("network loss", x.shape, kind, self._key, isinstance(x, CSR))
        call = shelves.prepare(key, lambda: self._loss(len(x), kind))
        space = call.space
        set_weights(space, sample_weight)
        flag, matrix, labels = targets(call, target)
        rows = _rows(call, x)
        call.on_checked(flag, rows, matrix, call.matrix, parameters, labels, call.matrix)
        value = float(space.plan.summed)
        space.release()
        shelves.give(key, call)
        return value

    def _loss(self, n: int, loss: Loss) -> Call:
        choice = Choice.of(self.n_threads, 2.0 * self._products * n)
        space = self._space(min(n, STEP_ROWS), 1, True, choice.most)
        space.set_loss(loss, self.architecture.output, n)
        return self._over_steps(space, n, choice, (mean_task, last_step(1)))

    def loss_and_gradient(
        self,
        parameters: Array,
        x: Array | CSR,
        target: Array,
        loss: str | Loss,
        *,
        sample_weight: Array | None = None,
        l2: float = 0.0,
        l1: float = 0.0,
        out: Array | None = None,
    ) -> tuple[float, Array]:
        """Mean loss plus ``½ l2 Σ W² + l1 Σ |W|``, and its gradient as a flat vector."""
        x = own_structure(x)
        self._check(parameters, x, target, loss, sample_weight)
        out = _checks.output("out", out, parameters.shape, self.dtype, parameters, x)
        n, kind, penalised = len(x), Loss.of(loss), bool(l2 or l1)
        sparse = isinstance(x, CSR)
        key = ("loss and gradient", x.shape, kind, penalised, self._key, sparse)
        call = shelves.prepare(key, lambda: self._gradient(n, kind, penalised, sparse))
        space, plan = call.space, call.space.plan
        set_weights(space, sample_weight)
        plan.l2, plan.l1, plan.penalty, plan.summed = l2, l1, 0.0, 0.0
        space.constants[0, L2], space.constants[0, L1] = l2, l1
        flag, matrix, labels = targets(call, target)
        gradient = np.asarray(out).reshape(1, -1)
        rows = _rows(call, x)
        call.on_checked(flag, rows, matrix, call.matrix, parameters, labels, gradient)
        value = float(plan.summed / n if n else plan.penalty)
        space.release()
        shelves.give(key, call)
        return value, out

    def _gradient(self, n: int, loss: Loss, penalised: bool, sparse: bool) -> Call:
        choice = Choice.of(self.n_threads, 6.0 * self._products * n)
        space = self._space(max(n, 1), 2, True, choice.most, with_slopes=True)
        space.set_loss(loss, self.architecture.output)
        plan = space.plan
        plan.sparse.present = sparse
        space.share(choice.most)
        plan.backward = plan.refresh = 1
        plan.gradient, plan.update.collect = space.stores[1], space.use("update store")
        if penalised:
            space.use("sums")
        layers = len(space.layers)
        phases = [
            (load_task, layers),
            (rows_task, space.row_blocks(n) + penalised),
            (weights_task, len(space.blocks) + 1),
            (gradient_task, layers),
        ]
        return Call(space, phases, n, choice)

    def _check(
        self,
        parameters: Array,
        x: Array | CSR,
        target: Array,
        loss: str | Loss,
        sample_weight: Array | None,
    ) -> None:
        check_loss(loss, self.architecture.output, self._n_out)
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x, target, sample_weight, loss)
