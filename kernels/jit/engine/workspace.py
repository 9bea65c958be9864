"""Memory and plan of one network and batch size: everything is laid out before a job runs."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._custom import CustomActivation
from ..._machine.lines import zeros_at_line
from ..._specs import Loss
from ..._typing import Array
from ..compiling.lazy import Task
from ..compiling.table import table, use
from ..formulas.update_rules import FACTOR, N_CONSTANTS
from ..memory.arena import Arena, address, ceil
from ..memory.blocks import cut_copies, prediction_block, row_block, weight_blocks
from ..memory.layout import lay_out_batch, lay_out_store, make_layers, to_addresses
from ..memory.records import Block, Copy, Plan, RowWeights, Update
from ..passes.packing import gather_task, scatter_task
from ..threads.team import Job
from ..vector.host import LINE, host
from .functions import Keep, set_functions, set_loss, set_loss_of_targets, set_output


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
    predicts : bool
        Whether it only predicts: rows are cut by the sizes of the caches.

    Attributes
    ----------
    plan : Plan
    layers : array of Layer
    stores : list of int
        Addresses of the stores.
    store_bytes : int
        Bytes of each.
    no_weights : RowWeights
        A one as the weight of all rows.
    constants : array, shape (2, N_CONSTANTS)
        Constants of the update, of weights and of biases.
    blocks : array of Block
        What the weights pass consists of.
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
        predicts: bool = False,
    ) -> None:
        self.dtype, self.rows = np.dtype(dtype.type), rows
        itemsize = dtype.itemsize
        self.layers = make_layers(sizes, itemsize)
        n_layers, last = len(self.layers), self.layers[-1]
        self._kernels: Keep = []
        probabilities = tuple(dropout) or (0.0,) * n_layers
        set_functions(self.layers, activations, probabilities, itemsize, with_slopes, self._kernels)
        for layer, learns in zip(self.layers, trainable or [True] * n_layers, strict=True):
            layer.trainable = bool(learns)

        # An odd number of lines between panels spreads them over the sets of the cache.
        row_step_bytes = (max(rows, 1) | 1) * LINE
        self._arena = arena = Arena()
        self.store_bytes = lay_out_store(self.layers, itemsize)
        where = [arena.take(self.store_bytes) for _ in range(stores)]
        lay_out_batch(self.layers, arena, row_step_bytes, with_errors)
        block = row_block(rows, n_threads)
        if predicts:
            block = prediction_block(rows, max(sizes), itemsize, n_threads)
        columns_step_bytes = 3 * last.panels_out * (LINE // itemsize) * host().vector_bytes
        places = {
            "y": arena.take(last.panels_out * row_step_bytes) if with_errors else 0,
            "losses": arena.take(8 * max(rows, 1)),
            "zeros": arena.take(4 * LINE),
            "weights": arena.take(LINE),
            "constants": arena.take(2 * N_CONSTANTS * 8),
            "columns": arena.take(ceil(max(rows, 1), block) * columns_step_bytes),
        }
        # The rows of a vector may reach beyond the last that is used.
        arena.take(host().vector_bytes * LINE)
        arena.allocate()
        to_addresses(self.layers, arena.base)
        self.stores = [arena.base + at for at in where]
        self.no_weights = RowWeights(address=arena.base + places["weights"])
        arena.view(places["weights"], dtype, 1)[0] = 1
        constants = arena.view(places["constants"], np.float64, 2 * N_CONSTANTS)
        self.constants = constants.reshape(2, -1)
        self.constants[:, FACTOR] = 1
        self._table = table(itemsize)
        self.plan = self._new_plan(row_step_bytes, block, columns_step_bytes, places)
        self.blocks: Any = (Block * 0)()
        self._cuts: dict[tuple[int, bool], tuple[int, list[Block]]] = {}
        self._jobs: dict[tuple[Task, ...], Job] = {}
        self._reserved: list[Array] = []
        self._held: list[Any] = []

    def _new_plan(
        self, row_step_bytes: int, block: int, columns_step_bytes: int, places: dict[str, int]
    ) -> Plan:
        """A plan that computes nothing yet; ``places`` are the arena's, by the plan's fields."""
        where = {n: self._arena.base + at for n, at in places.items() if n != "weights"}
        itemsize = self.dtype.itemsize
        learning = [i for i, layer in enumerate(self.layers) if layer.trainable]
        return Plan(
            table=address(self._table),
            itemsize=itemsize,
            panel=LINE // itemsize,
            layers=ctypes.addressof(self.layers),
            n_layers=len(self.layers),
            batch=max(self.rows, 1),
            row_step_bytes=row_step_bytes,
            parameters=self.stores[0] if self.stores else 0,
            lowest=min(learning, default=0),
            forward=1,
            output_activation=-1,
            row_block=block,
            columns_step_bytes=columns_step_bytes,
            weights=self.no_weights,
            update=Update(
                constants=where.pop("constants"), clip_value=math.inf, clip_norm=math.inf
            ),
            **where,
        )

    # Memory

    @property
    def nbytes(self) -> int:
        """Bytes of the arena."""
        return self._arena.nbytes

    def reserve(self, nbytes: int) -> int:
        """Further memory for as long as the workspace lives; its address, that of a line."""
        memory = zeros_at_line(nbytes, np.uint8)
        self._reserved.append(memory)
        return address(memory)

    def hold(self, *arrays: Any) -> None:
        """Keep arrays alive that the plan points into, until they are released."""
        self._held += arrays

    def release(self) -> None:
        """Let go of the arrays of a job that is done."""
        self._held = []

    # What a step computes

    def use(self, name: str) -> int:
        """Index of a kernel in the table of this workspace's dtype."""
        return use(name, self.dtype.itemsize)

    def set_output(self, output: str | CustomActivation) -> None:
        """Let the rows pass write results, with this output activation."""
        set_output(self.plan, output, self._kernels)

    def set_loss(self, loss: Loss, output: str, n: int = 0) -> None:
        """Let the rows pass compute losses; those of all of ``n`` rows are kept."""
        self._loss = loss, output
        self.plan.loss_of_targets = 0
        set_loss(self.plan, loss, output, self.layers[-1].n_out, self._kernels)
        self.plan.keep_losses = n > 0
        if n > self.rows:
            self.plan.losses = self.reserve(8 * n)

    def set_loss_of_targets(self) -> None:
        """Be ready for targets with factors of their own."""
        if not self.plan.loss_of_targets:
            set_loss_of_targets(self.plan, *self._loss, self._kernels)

    @property
    def calls_back(self) -> bool:
        """Whether a step calls functions in Python, which may raise."""
        return any(kernel.calls_back for kernel in self._kernels)

    # How it is cut into tasks

    def row_blocks(self, rows: int) -> int:
        """Tasks of the rows pass for a step of ``rows``."""
        return ceil(rows, int(self.plan.row_block))

    def row_counts(self, n: int) -> tuple[int, int, int]:
        """The same for ``n`` rows in as many steps as it takes: in the first and the others, and
        in the last."""
        whole = self.row_blocks(self.rows)
        return whole, whole, self.row_blocks(n - (max(ceil(n, self.rows), 1) - 1) * self.rows)

    def share(self, n_threads: int) -> None:
        """Cut both passes into blocks for so many threads, at most as many as at the beginning."""
        sparse = bool(self.plan.sparse.present)
        if (n_threads, sparse) not in self._cuts:
            blocks = weight_blocks(
                self.layers, self.rows, n_threads, self.dtype.itemsize, sparse=sparse
            )
            self._cuts[n_threads, sparse] = row_block(self.rows, n_threads), blocks
        self.plan.row_block, blocks = self._cuts[n_threads, sparse]
        self.set_blocks(blocks)

    def set_blocks(self, blocks: Sequence[Block]) -> None:
        """Let the weights pass consist of these blocks."""
        self.blocks = (Block * len(blocks))(*blocks)
        self.plan.blocks, self.plan.n_blocks = ctypes.addressof(self.blocks), len(blocks)

    def collect_norms(self) -> None:
        """Let the weights pass sum the squares of collected gradients."""
        count = 0
        for layer in self.layers:
            layer.norms = count
            count += layer.panels_out * (layer.panels_in + 1)
        self.plan.norms, self.plan.n_norms = self.reserve(16 * count), count

    def gathers(self, *copies: Copy) -> tuple[Task, int]:
        """The phase that copies operands into panels; large copies are cut to be shared."""
        self._gathers = cut_copies(copies, self.dtype.itemsize)
        self.plan.gathers = ctypes.addressof(self._gathers)
        return gather_task, len(self._gathers)

    def scatters(self, *copies: Copy) -> tuple[Task, int]:
        """The phase that copies panels into operands."""
        self._scatters = cut_copies(copies, self.dtype.itemsize)
        self.plan.scatters = ctypes.addressof(self._scatters)
        return scatter_task, len(self._scatters)

    # Jobs

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
