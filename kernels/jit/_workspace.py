"""Memory and plan of one network and batch size: everything is laid out before a job runs."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .._custom import CustomActivation, CustomLoss
from .._specs import CSR, Loss
from . import _added
from ._compile import Task
from ._host import LINE, host
from ._packing import gather_task, scatter_task
from ._plan import DENSE, LABELS, Block, Copy, Layer, Plan
from ._rules import FACTOR, N_CONSTANTS
from ._runs import SLOPES
from ._scores import kernel_of
from ._table import table, use
from ._team import Job

Array = np.ndarray[Any, Any]

#: Rows of a task of the rows pass at most: their activations stay in the second-level cache, and
#: each panel of weights that is loaded serves all of them.
ROW_BLOCK = 192
#: Bytes of a copy that one task does.
COPY_BYTES = 1 << 17
#: Activations that the forward tile makes by clipping.
BOUNDS = {"relu": (0.0, math.inf), "hardtanh": (-1.0, 1.0)}


def address(array: Array) -> int:
    """Where the data of an array begin."""
    return int(array.__array_interface__["data"][0])


def rows_of(array: Array) -> tuple[Array, int, int]:
    """The array, or a copy, with adjacent elements in each row; its address and bytes between
    rows."""
    if array.strides[1] != array.itemsize or not array.flags.aligned:
        array = np.ascontiguousarray(array)
    return array, address(array), array.strides[0]


def ceil(a: int, b: int) -> int:
    return -(-a // b)


class Workspace:
    """Arena and plan.

    Parameters
    ----------
    sizes : sequence of int
        Layer sizes.
    activations : sequence of str
        One for each hidden layer.
    dtype : float32 or float64
    rows : int
        Rows of a step at most.
    stores : int
        How many vectors like the parameters to hold (parameters, gradient or state).
    with_errors : bool
        Whether to hold errors and transposed weights.
    n_threads : int
        Threads that the blocks are cut for at most.
    with_slopes : bool
        Whether the forward pass keeps σ' of activations whose output does not say enough.
    dropout : sequence of float
        Probabilities, of the input and of each hidden layer.
    trainable : sequence of bool
        For each layer whether it learns; all by default.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[Any],
        dtype: np.dtype[Any],
        rows: int,
        *,
        stores: int,
        with_errors: bool,
        n_threads: int,
        with_slopes: bool = False,
        dropout: Sequence[float] = (),
        trainable: Sequence[bool] = (),
    ) -> None:
        self.dtype, self.rows, self.sizes = np.dtype(dtype.type), rows, tuple(sizes)
        self.panel = LINE // dtype.itemsize
        self.n_threads = n_threads
        # An odd number of lines between panels spreads them over the sets of the cache.
        self._row_step = (max(rows, 1) | 1) * LINE
        self.layers = (Layer * (len(sizes) - 1))()
        self._used = 0
        self._dropout = tuple(dropout) or (0.0,) * (len(sizes) - 1)
        self._lay_out_store(activations, with_slopes)
        for layer, learns in zip(self.layers, trainable or [True] * len(self.layers), strict=True):
            layer.trainable = bool(learns)
        self.store_bytes, self._used = self._used, 0

        where = [self._take(self.store_bytes) for _ in range(stores)]
        self._lay_out_batch(with_errors)
        y = self._take(self._panels(sizes[-1]) * self._row_step) if with_errors else 0
        losses, zeros = self._take(8 * max(rows, 1)), self._take(4 * LINE)
        one = self._take(LINE)
        constants = self._take(2 * N_CONSTANTS * 8)
        row_block = self._row_block(rows, n_threads)
        columns_step = 3 * self._panels(sizes[-1]) * self.panel * host().vector_bytes
        columns = self._take(ceil(max(rows, 1), row_block) * columns_step)
        # The rows of a vector may reach beyond the last that is used.
        self._take(host().vector_bytes * LINE)
        self._arena = np.zeros(self._used + LINE, np.uint8)
        self.base = address(self._arena) + -address(self._arena) % LINE
        self.stores = [self.base + at for at in where]
        for layer in self.layers:
            for name in ("a", "z", "d", "transposed", "slope", "kept"):
                if getattr(layer, name) >= 0:
                    setattr(layer, name, getattr(layer, name) + self.base)
                else:
                    setattr(layer, name, 0)
        self._view(one, dtype, 1)[0] = 1
        #: Constants of the update, of weights and of biases.
        self.constants = self._view(constants, np.float64, 2 * N_CONSTANTS).reshape(2, -1)
        self.constants[:, FACTOR] = 1
        self._one, self._losses = self.base + one, self.base + losses

        self.table = table(dtype.itemsize)
        self.plan = Plan(
            table=address(self.table),
            itemsize=dtype.itemsize,
            panel=self.panel,
            layers=ctypes.addressof(self.layers),
            n_layers=len(self.layers),
            batch=max(rows, 1),
            row_step=self._row_step,
            y=self.base + y,
            losses=self._losses,
            zeros=self.base + zeros,
            weights=self._one,
            parameters=self.stores[0] if self.stores else 0,
            constants=self.base + constants,
            lowest=min((i for i, layer in enumerate(self.layers) if layer.trainable), default=0),
            clip_value=math.inf,
            clip_norm=math.inf,
            forward=1,
            output_activation=-1,
            row_block=row_block,
            columns=self.base + columns,
            columns_step=columns_step,
        )
        self.blocks: Any = (Block * 0)()
        self._kept: list[Any] = []
        self._sparse_gradient: Array | None = None
        self._cuts: dict[tuple[int, bool], tuple[int, list[Block]]] = {}
        self._jobs: dict[tuple[Task, ...], Job] = {}

    def use(self, name: str) -> int:
        """Index of a kernel in the table of this workspace's dtype."""
        return use(name, self.dtype.itemsize)

    def _use_activation(self, kind: str, activation: str | CustomActivation) -> int:
        if isinstance(activation, str):
            return self.use(f"{kind} {activation}")
        return _added.activation(kind, activation, self.dtype.itemsize)

    def _view(self, offset: int, dtype: Any, count: int) -> Array:
        """Part of the arena as an array."""
        return np.frombuffer(self._arena, dtype, count, self.base + offset - address(self._arena))

    def _take(self, size: int) -> int:
        """Reserve whole lines; the offset at which they begin."""
        begin = self._used
        self._used += ceil(size, LINE) * LINE
        return begin

    def _panels(self, n: int) -> int:
        return ceil(n, self.panel)

    def _lay_out_store(
        self, activations: Sequence[str | CustomActivation], with_slopes: bool
    ) -> None:
        itemsize, flat = self.dtype.itemsize, 0
        names = [*activations, "identity"]
        below = "input"
        for level, (layer, (n_in, n_out), name) in enumerate(
            zip(self.layers, pairwise(self.sizes), names, strict=True)
        ):
            layer.n_in, layer.n_out = n_in, n_out
            layer.panels_in, layer.panels_out = self._panels(n_in), self._panels(n_out)
            layer.weight_step = layer.panels_in * self.panel * LINE
            layer.transposed_step = layer.panels_out * self.panel * LINE
            layer.weights = self._take(layer.panels_out * layer.weight_step)
            layer.bias = self._take(layer.panels_out * LINE)
            layer.flat_weights = flat
            flat += n_in * n_out * itemsize
            p = self._dropout[level]
            layer.threshold, layer.scale = math.floor(p * 2**32), 1 / (1 - p)
            if layer.threshold:
                layer.drop = self.use(f"dropout {below}")
            drops = level + 1 < len(names) and self._dropout[level + 1] * 2**32 >= 1
            below = self._set_activation(layer, name, with_slopes, drops)
        for layer in self.layers:
            layer.flat_bias = flat
            flat += layer.n_out * itemsize

    def _set_activation(
        self, layer: Layer, name: str | CustomActivation, with_slopes: bool, drops: bool
    ) -> str:
        """Kernels of an activation. σ' is kept where its output does not say it, or does not after
        dropout, whose kernel's name is returned."""
        layer.low, layer.high = BOUNDS.get(str(name), (-math.inf, math.inf))
        clipped = name == "identity" or name in BOUNDS
        with_slope = with_slopes and (name in SLOPES or not isinstance(name, str))
        kind = "activation_with_slope" if with_slope else "activation"
        layer.activation = -1 if clipped else self._use_activation(kind, name)
        layer.slope = 0 if with_slope or drops else -1  # there is one
        derivative = "slope" if layer.slope == 0 else name
        plain = derivative == "identity"
        layer.derivative = -1 if plain else self._use_activation("derivative", derivative)
        return "slope" if with_slope else str(name)

    def _lay_out_batch(self, with_errors: bool) -> None:
        """Offsets of activations, errors and transposed weights; -1 for what is not there."""
        a = self._take(self.layers[0].panels_in * self._row_step)
        for level, layer in enumerate(self.layers):
            layer.a = a
            layer.z = layer.kept = a = self._take(layer.panels_out * self._row_step)
            if layer.slope == 0:
                layer.slope = layer.kept = self._take(layer.panels_out * self._row_step)
            layer.d = layer.transposed = -1
            if with_errors:
                layer.d = self._take(layer.panels_out * self._row_step)
                if level:
                    layer.transposed = self._take(layer.panels_in * layer.transposed_step)

    def _row_block(self, rows: int, n_threads: int) -> int:
        """Rows of a task: equal blocks, a multiple of the threads where there is enough for all."""
        tall = host().forward_rows
        count = ceil(rows, ROW_BLOCK)
        if n_threads > 1:
            count = min(ceil(count, n_threads) * n_threads, ceil(rows, tall))
        block = ceil(rows, max(count, 1))
        return max(block, 1)

    def row_blocks(self, rows: int) -> int:
        """Tasks of the rows pass for a step of ``rows``."""
        return ceil(rows, int(self.plan.row_block))

    def row_counts(self, n: int) -> tuple[int, int, int]:
        """The same for ``n`` rows in as many steps as it takes: in the first and the others, and
        in the last."""
        whole = self.row_blocks(self.rows)
        return whole, whole, self.row_blocks(n - (max(ceil(n, self.rows), 1) - 1) * self.rows)

    def gathers(self, *copies: Copy) -> tuple[Task, int]:
        """The phase that copies operands into panels; large copies are cut to be shared."""
        self._gathers = self._cut(copies)
        self.plan.gathers = ctypes.addressof(self._gathers)
        return gather_task, len(self._gathers)

    def scatters(self, *copies: Copy) -> tuple[Task, int]:
        """The phase that copies panels into operands."""
        self._scatters = self._cut(copies)
        self.plan.scatters = ctypes.addressof(self._scatters)
        return scatter_task, len(self._scatters)

    def _cut(self, copies: Sequence[Copy]) -> Any:
        parts = []
        for copy in copies:
            rows = ceil(COPY_BYTES, copy.columns * self.dtype.itemsize + 1)
            rows = ceil(rows, self.panel) * self.panel
            for first in range(0, copy.rows, rows):
                part = Copy.from_buffer_copy(copy)
                part.first, part.rows = first, min(rows, copy.rows - first)
                parts.append(part)
        return (Copy * len(parts))(*parts)

    def share(self, n_threads: int) -> None:
        """Cut both passes into blocks for so many threads, at most as many as at the beginning."""
        key = n_threads, bool(self.plan.sparse)
        if key not in self._cuts:
            self._cuts[key] = self._row_block(self.rows, n_threads), self._blocks(n_threads)
        self.plan.row_block, blocks = self._cuts[key]
        self.set_blocks(blocks)

    def _blocks(self, n_threads: int) -> list[Block]:
        """Blocks of the weights pass."""
        columns = host().gradient_panels
        # Work of a feature and panel: its products, and its update, which costs about 16 rows.
        work = sum(layer.n_in * layer.panels_out for layer in self.layers) * (self.rows + 16)
        share = work if n_threads == 1 else max(work / (8 * n_threads), 20_000)
        blocks = []
        for level, layer in enumerate(self.layers):
            if self.plan.sparse and level == 0 and layer.trainable:
                blocks += [Block(0, p, 1, 0, layer.n_in, 1) for p in range(layer.panels_out)]
                continue
            for panel in range(0, layer.panels_out if layer.trainable else 0, columns):
                wide = min(columns, layer.panels_out - panel)
                features = share / (wide * (self.rows + 16))
                parts = max(1, min(round(layer.n_in / features), layer.panels_in))
                height = ceil(layer.panels_in, parts) * self.panel
                for begin in range(0, layer.n_in, height):
                    end = min(begin + height, layer.n_in)
                    blocks.append(Block(level, panel, wide, begin, end, begin == 0))
        return blocks

    def set_blocks(self, blocks: Sequence[Block]) -> None:
        """Let the weights pass consist of these blocks."""
        self.blocks = (Block * len(blocks))(*blocks)
        self.plan.blocks, self.plan.n_blocks = ctypes.addressof(self.blocks), len(blocks)
        if self.plan.norms:
            self.collect_norms()

    def collect_norms(self) -> None:
        """Let the weights pass sum the squares of collected gradients, block by block."""
        self._norms = np.zeros(2 * max(len(self.blocks), 1))
        self.plan.norms = address(self._norms)

    def job(self, *tasks: Task) -> Job:
        """The job of these phases over this plan."""
        found = self._jobs.get(tasks)
        if found is None:
            found = self._jobs[tasks] = Job(self.plan, tasks)
        return found

    def run_once(self, phases: Sequence[tuple[Task, int]], n_threads: int) -> None:
        """Run phases with so many tasks each, for one step."""
        job = self.job(*[task for task, _ in phases])
        job.counts([count for _, count in phases])
        job.steps(0, 1, 0)
        job.run(n_threads)

    def keep(self, *arrays: Any) -> None:
        """Hold arrays that the plan points into until the next call."""
        self._kept = list(arrays)

    def set_output(self, output: str | CustomActivation) -> None:
        """Let the rows pass write results, with this output activation."""
        self.plan.with_out = 1
        self.plan.is_softmax = output == "softmax"
        if output == "softmax":
            self.use("softmax")
        apart = output in ("softmax", "identity")
        self.plan.output_activation = -1 if apart else self._use_activation("activation", output)

    def set_loss(self, loss: Loss, output: str, n: int = 0) -> None:
        """Let the rows pass compute losses; those of all of ``n`` rows are kept."""
        plan = self.plan
        plan.with_loss = 1
        if isinstance(loss, CustomLoss):
            plan.loss = _added.loss(loss, self.sizes[-1], self.dtype.itemsize)
            plan.loss_constant = plan.label_low = 0.0
        else:
            kernel, plan.loss_constant, plan.label_low = kernel_of(loss, output)
            plan.loss = self.use(f"loss {kernel}")
        self.use("one_hot")
        plan.keep_losses = n > 0
        if n > self.rows:
            self._all_losses = np.zeros(n)
            plan.losses = address(self._all_losses)

    def set_rows(self, x: Array | CSR, target: Array, order: Array | None = None) -> None:
        """Point the plan at input rows, targets and visiting order."""
        plan = self.plan
        if target.ndim == 1:
            target = np.ascontiguousarray(target, np.int64)
            plan.target_kind, plan.target = LABELS, address(target)
        else:
            target, plan.target, plan.target_step = rows_of(target)
            plan.target_kind = DENSE
        if order is not None:
            order = np.ascontiguousarray(order, np.int64)
        plan.order = 0 if order is None else address(order)
        plan.n_rows = len(x) if order is None else len(order)
        self.keep(target, order)
        plan.sparse = isinstance(x, CSR)
        if isinstance(x, CSR):
            self.set_sparse(x, order)
        else:
            x, plan.x, plan.x_step = rows_of(x)
            self._kept.append(x)

    def set_sparse(self, x: CSR, order: Array | None = None) -> None:
        """Point the plan at rows in compressed sparse form."""
        plan, layer = self.plan, self.layers[0]
        plan.sparse = 1
        for name in ("sparse_forward 1", "sparse_forward 2", "sparse_forward 4"):
            self.use(name)
        values = np.require(x.data, None, ("C", "A"))
        starts = np.require(x.indptr, np.int64, ("C", "A"))
        columns = np.require(x.indices, np.int64, ("C", "A"))
        plan.x, plan.row_starts, plan.row_columns = map(address, (values, starts, columns))
        self._kept += [values, starts, columns]
        if plan.backward:
            self.use("sparse_gradient")
            self.use("zero")
            if not plan.direct and self._sparse_gradient is None:
                self._sparse_gradient = np.empty(layer.panels_out * layer.weight_step + LINE, "u1")
                begin = address(self._sparse_gradient)
                plan.sparse_gradient = begin + -begin % LINE
        if layer.threshold:
            self._leave_room(np.diff(starts) if order is None else np.diff(starts)[order])

    def _leave_room(self, counts: Array) -> None:
        """Memory for what dropout leaves of the entries of a step; ``counts`` those of the rows."""
        before = np.cumsum(counts) - counts
        steps = np.arange(len(counts)) // self.rows * self.rows
        starts = np.ascontiguousarray(before - before[steps], np.int64)
        room = np.empty(int((starts + counts).max(initial=0)) + 1, self.dtype)
        self.plan.left, self.plan.left_starts = address(room), address(starts)
        self._kept += [room, starts]

    def set_rates(self, learning_rate: float | Array) -> None:
        """The learning rate of all steps, or one for each."""
        plan = self.plan
        plan.rates = 0
        if isinstance(learning_rate, np.ndarray) and learning_rate.ndim:
            rates = np.ascontiguousarray(learning_rate)
            plan.rates = address(rates)
            self._kept.append(rates)
        else:
            plan.learning_rate = float(learning_rate)

    def set_weights(self, weights: Array | None) -> None:
        """Point the plan at row weights, in visiting order, and their sums for each step."""
        plan = self.plan
        if weights is None:
            plan.weights, plan.weights_step = self._one, 0
            plan.weights_double = plan.totals = 0
            return
        weights = np.ascontiguousarray(weights)
        doubles = weights.astype(np.float64)
        starts = np.arange(0, len(doubles), plan.batch)
        totals = np.add.reduceat(doubles, starts) if len(doubles) else doubles
        plan.weights, plan.weights_step = address(weights), self.dtype.itemsize
        plan.weights_double, plan.totals = address(doubles), address(totals)
        self._kept += [weights, doubles, totals]

    @property
    def nbytes(self) -> int:
        return self._arena.nbytes
