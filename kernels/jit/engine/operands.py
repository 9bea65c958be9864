"""What a job is given: rows, targets, their order, row weights, learning rates.

The plan holds addresses only; the workspace holds the arrays until they are released.
"""

from __future__ import annotations

import numpy as np

from ..._custom import TargetWeights
from ..._specs import CSR
from ..._typing import Array
from ..matrices.tiles import RUN
from ..memory.arena import address
from ..memory.records import DENSE, LABELS, RowWeights
from .workspace import Workspace

# A step's largest weight between these leaves room for sums and quotients in float32.
_SMALLEST, _LARGEST = 2.0**-60, 2.0**60


def own_structure(x: Array | CSR) -> Array | CSR:
    """Sparse rows with places of their own, which another thread cannot change after they have
    been checked: they are addresses for the kernels."""
    if not isinstance(x, CSR):
        return x
    indices, starts = (a.copy() if isinstance(a, np.ndarray) else a for a in (x.indices, x.indptr))
    return CSR(x.data, indices, starts, x.shape)


def set_rows(space: Workspace, x: Array | CSR, target: Array, order: Array | None = None) -> None:
    """Point the plan at input rows, targets and visiting order; release what it had before."""
    plan = space.plan
    space.release()
    if target.ndim == 1:
        target = np.ascontiguousarray(target, np.int64)
        target = target if target.flags.aligned else target.copy()
        plan.target_kind, plan.target.address = LABELS, address(target)
    else:
        target, plan.target.address, plan.target.step_bytes = _by_rows(target)
        plan.target_kind = DENSE
    if order is not None:
        order = np.ascontiguousarray(order, np.int64)
    plan.order = 0 if order is None else address(order)
    plan.n_rows = len(x) if order is None else len(order)
    space.hold(target, order)
    plan.sparse.present = isinstance(x, CSR)
    if isinstance(x, CSR):
        set_sparse(space, x, order)
    else:
        x, plan.x.address, plan.x.step_bytes = _by_rows(x)
        space.hold(x)


def _by_rows(array: Array) -> tuple[Array, int, int]:
    """The array, or a copy, with adjacent elements in each row; its address and bytes between
    rows."""
    if array.strides[1] != array.itemsize or not array.flags.aligned:
        array = np.ascontiguousarray(array)
    return array, address(array), array.strides[0]


def set_sparse(space: Workspace, x: CSR, order: Array | None = None) -> None:
    """Point the plan at rows in compressed sparse form."""
    plan, layer = space.plan, space.layers[0]
    sparse = plan.sparse
    sparse.present = 1
    for name in ("sparse_forward 1", "sparse_forward 2", "sparse_forward 4"):
        space.use(name)
    values = np.require(x.data, None, ("C", "A"))
    starts = np.require(x.indptr, np.int64, ("C", "A"))
    columns = np.require(x.indices, np.int64, ("C", "A"))
    plan.x.address, sparse.starts, sparse.columns = map(address, (values, starts, columns))
    space.hold(values, starts, columns)
    if plan.backward:
        space.use("sparse_gradient")
        nbytes = layer.panels_out * layer.weight_step_bytes
        if not (sparse.direct or sparse.gradient):
            sparse.gradient = space.reserve(nbytes)
        if many_rows(space) and not sparse.sums:
            space.use("sparse_gradient_sums")
            sparse.sums = space.reserve(2 * nbytes)
    if layer.threshold:
        _leave_room(space, np.diff(starts) if order is None else np.diff(starts)[order])


def many_rows(space: Workspace) -> bool:
    """Whether a step has more rows than whose sum in its dtype keeps its digits."""
    return space.dtype.itemsize == 4 and space.rows > RUN


def _leave_room(space: Workspace, counts: Array) -> None:
    """Memory for what dropout leaves of the entries of a step; ``counts`` those of the rows."""
    before = np.cumsum(counts) - counts
    steps = np.arange(len(counts)) // space.rows * space.rows
    starts = np.ascontiguousarray(before - before[steps], np.int64)
    room = np.empty(int((starts + counts).max(initial=0)) + 1, space.dtype)
    space.plan.sparse.left, space.plan.sparse.left_starts = address(room), address(starts)
    space.hold(room, starts)


def set_weights(
    space: Workspace, weights: Array | TargetWeights | None, total: float | None = None
) -> None:
    """Point the plan at weights of rows or targets, in visiting order, and their sums.

    ``total`` is the weight of a batch of which the rows, at most a step's, are a part.
    """
    plan = space.plan
    if weights is None:
        plan.weights = space.no_weights
        return
    factors = np.empty((0, 0))
    if isinstance(weights, TargetWeights):
        factors = np.ascontiguousarray(weights.factors.T)
        weights = weights.rows
        space.set_loss_of_targets()
    of_rows: Array = np.ascontiguousarray(weights)
    doubles = of_rows.astype(np.float64)
    starts = np.arange(0, len(doubles), plan.batch)
    totals = np.add.reduceat(doubles, starts) if len(doubles) else doubles
    if total is not None:
        totals = np.full(len(starts), total)
    # What errors are multiplied by, one weight over a step's total, has to be a normal number.
    shares = totals
    largest = np.maximum.reduceat(doubles, starts) if len(doubles) else doubles
    if np.any((largest > _LARGEST) | ((largest < _SMALLEST) & (largest > 0.0))):
        each = np.repeat(np.frexp(largest)[1], np.diff(np.append(starts, len(doubles))))
        scaled = np.ldexp(doubles, -each)
        of_rows, shares = scaled.astype(of_rows.dtype), np.add.reduceat(scaled, starts)
        if total is not None:
            shares = np.ldexp(totals, -np.frexp(largest)[1])
    plan.weights = RowWeights(
        address=address(of_rows),
        step_bytes=space.dtype.itemsize,
        doubles=address(doubles),
        totals=address(totals),
        shares=address(shares),
        factors=address(factors) if factors.size else 0,
        factor_step_bytes=factors.strides[0],
    )
    space.hold(of_rows, doubles, totals, shares, factors)


def set_rates(space: Workspace, learning_rate: float | Array) -> None:
    """The learning rate of all steps, or one for each."""
    update = space.plan.update
    update.rates = 0
    if isinstance(learning_rate, np.ndarray) and learning_rate.ndim:
        rates = np.ascontiguousarray(learning_rate)
        update.rates = address(rates)
        space.hold(rates)
    else:
        update.learning_rate = float(learning_rate)
