"""The kernels of one dense layer: arguments are checked, put into panels, and handed to the
tiles."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .. import _checks
from ._packing import copy_task, errors_task, load_task
from ._plan import Block, Copy
from ._pool import pool
from ._table import GATHER, INDEX, SCATTER
from ._tasks import rows_task, weights_task
from ._team import run_once, worth
from ._workspace import Workspace, address, ceil, rows_of

Array = np.ndarray[Any, Any]

_STEP_ROWS = 1024  # rows that are computed before results leave the caches


def dense_forward(
    x: Array,
    weights: Array,
    bias: Array,
    activation: str = "identity",
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.dense_forward(x, weights, bias, activation, out, n_threads)
    if out.size == 0:
        return out
    n, (n_in, n_out) = len(x), weights.shape
    threads = worth(n_threads, 2.0 * n * n_in * n_out)
    key = (weights.shape, (), x.dtype, min(n, _STEP_ROWS))
    with pool.workspace(
        "dense_forward", key, stores=1, with_errors=False, n_threads=threads
    ) as space:
        weights, bias = np.ascontiguousarray(weights), np.ascontiguousarray(bias)
        plan = space.plan
        plan.flat, plan.store = address(weights), space.stores[0]
        space.layers[0].flat_bias = address(bias) - address(weights)
        space.set_rows(x)
        space.set_output(activation)
        run_rows(space, out, threads, with_weights=True)
    return out


def run_rows(
    space: Workspace, out: Array | None, n_threads: int, *, with_weights: bool = False
) -> None:
    """Run the rows pass over all rows of the plan, in steps of what the workspace holds.

    ``with_weights`` says that the plan's flat vector is to be loaded first.
    """
    plan = space.plan
    n, batch = int(plan.n_rows), int(plan.batch)
    plan.out = plan.out_step = 0
    if out is not None:
        plan.out, plan.out_step = address(out), out.strides[0]
    load = [(load_task, len(space.layers))] if with_weights else []
    steps = ceil(n, batch)
    if steps == 1:
        space.run_once([*load, (rows_task, space.row_blocks(n))], n_threads)
        return
    if load:
        space.run_once(load, n_threads)
    job = space.job(rows_task)
    last = n - (steps - 1) * batch
    job.counts([space.row_blocks(batch)], [space.row_blocks(last)])
    job.run(0, steps, steps - 1, n_threads)


def delta_backward(
    delta: Array,
    weights: Array,
    activations: Array,
    activation: str,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.delta_backward(delta, weights, activations, activation, out, n_threads)
    if out.size == 0:
        return out
    n, (n_in, n_out) = len(delta), weights.shape
    threads = worth(n_threads, 2.0 * n * n_in * n_out)
    key = ((1, n_in, n_out), (activation,), delta.dtype, n)
    with pool.workspace(
        "delta_backward", key, stores=0, with_errors=True, n_threads=threads
    ) as space:
        plan, layer = space.plan, space.layers[1]
        transposed = np.ascontiguousarray(weights.T)
        copy_all(
            space,
            [
                _gather(transposed, layer.transposed, layer.transposed_step),
                _gather(delta, layer.d, plan.row_step),
                _gather(activations, layer.a, plan.row_step),
            ],
            threads,
        )
        plan.n_rows = n
        plan.out, plan.out_step = address(out), out.strides[0]
        space.run_once([(errors_task, space.row_blocks(n))], threads)
    return out


def weight_gradient(
    x: Array, delta: Array, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    out = _checks.weight_gradient(x, delta, out, n_threads)
    if out.size == 0:
        return out
    n, n_in, n_out = len(x), x.shape[1], delta.shape[1]
    threads = worth(n_threads, 2.0 * n * n_in * n_out)
    key = ((n_in, n_out), (), x.dtype, n)
    with pool.workspace(
        "weight_gradient", key, stores=1, with_errors=True, n_threads=threads
    ) as space:
        plan, layer = space.plan, space.layers[0]
        copies = [_gather(x, layer.a, plan.row_step), _gather(delta, layer.d, plan.row_step)]
        copy_all(space, copies, threads)
        if not space.blocks:
            space.cut_weights()
        _run_mean(space, n, threads)
        store = space.stores[0] + layer.weights
        copy_all(space, [_scatter(store, layer.weight_step, out)], threads)
    return out


def bias_gradient(delta: Array, *, out: Array | None = None, n_threads: int | None = None) -> Array:
    out = _checks.bias_gradient(delta, out, n_threads)
    if out.size == 0:
        return out
    n, n_out = delta.shape
    threads = worth(n_threads, 8.0 * n * n_out)
    key = ((1, n_out), (), delta.dtype, n)
    with pool.workspace(
        "bias_gradient", key, stores=1, with_errors=True, n_threads=threads
    ) as space:
        plan, layer = space.plan, space.layers[0]
        copy_all(space, [_gather(delta, layer.d, plan.row_step)], threads)
        blocks = (Block * layer.panels_out)(
            *[Block(0, panel, 1, 0, 0, 1) for panel in range(layer.panels_out)]
        )
        plan.blocks, plan.n_blocks = ctypes.addressof(blocks), len(blocks)
        _run_mean(space, n, threads)
        store = space.stores[0] + layer.bias
        copy_all(space, [_scatter(store, 64, out.reshape(1, n_out))], 1)
        space.blocks = ()
    return out


def _run_mean(space: Workspace, n: int, n_threads: int) -> None:
    """The weights pass, storing the mean over ``n`` rows."""
    plan = space.plan
    plan.n_rows = n
    plan.rule, plan.learning_rate = INDEX["update store"], 1 / max(n, 1)
    plan.first_state = plan.second_state = space.stores[0]
    space.run_once([(weights_task, int(plan.n_blocks))], n_threads)


def _gather(source: Array, target: int, step: int) -> tuple[str, Array, tuple[int, ...]]:
    source, begin, source_step = rows_of(source)
    return "gather", source, (begin, source_step, 0, *source.shape, target, step, 0)


def _scatter(source: int, step: int, target: Array) -> tuple[str, Array, tuple[int, ...]]:
    return (
        "scatter",
        target,
        (source, step, *target.shape, address(target), target.strides[0], 0, 0),
    )


def copy_all(
    space: Workspace, copies: list[tuple[str, Array, tuple[int, ...]]], n_threads: int
) -> None:
    """Run gathers and scatters, each one task."""
    table = space.table
    functions = {"gather": int(table[GATHER]), "scatter": int(table[SCATTER])}
    listed = (Copy * len(copies))(*[Copy(functions[kind], *args) for kind, _, args in copies])
    run_once(listed, copy_task, len(copies), n_threads)
