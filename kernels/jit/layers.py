"""The kernels of one dense layer: arguments are put into panels and handed to the tiles."""

from __future__ import annotations

import numpy as np

from .. import _checks
from .._typing import Array
from .engine.prepared_calls import NO_LABELS, Call, first_step, shelves
from .engine.workspace import Workspace
from .formulas.update_rules import FACTOR
from .memory.arena import ceil
from .memory.fields import offset_of
from .memory.records import Block, Copy, Plan
from .passes.packing import errors_task
from .passes.rows_pass import rows_task
from .passes.weights_pass import weights_task
from .threads.tuner import Choice
from .vector.host import LINE

#: Rows that are computed before results leave the caches.
STEP_ROWS = 1024
# Where the plan holds the operands.
_X, _MATRIX, _THIRD, _FLAT, _OUT = (
    offset_of(Plan, name) for name in ("x", "target", "third", "flat", "out")
)


def dense_forward(
    x: Array,
    weights: Array,
    bias: Array,
    activation: str = "identity",
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    key, call = None, None
    try:
        key = ("dense_forward", x.shape, weights.shape, bias.shape, x.itemsize, activation,
               n_threads, n_threads.__class__)  # fmt: skip
        call = shelves.take(key)
    except (AttributeError, TypeError):  # named by the checks
        pass
    if call is not None and out is None:
        out = np.empty((x.shape[0], weights.shape[1]), call.dtype)
        if call(0, x, weights, call.matrix, bias, NO_LABELS, out):
            shelves.give(key, call)
            return out
        out = None
    out = _checks.dense_forward(x, weights, bias, activation, out, n_threads)
    if out.size:
        if call is None:
            call = shelves.prepare(key, lambda: _forward(x, weights, activation, n_threads))
        call.on_checked(0, x, weights, call.matrix, bias, NO_LABELS, out)
        shelves.give(key, call)
    return out


def _forward(x: Array, weights: Array, activation: str, n_threads: int | None) -> Call:
    n, (n_in, n_out) = len(x), weights.shape
    choice = Choice.of(n_threads, 2.0 * n * n_in * n_out)
    space = Workspace(
        weights.shape, (), x.dtype, min(n, STEP_ROWS), stores=1, with_errors=False,
        n_threads=choice.most,
    )  # fmt: skip
    layer, store = space.layers[0], space.stores[0]
    space.set_output(activation)
    load, count = space.gathers(
        Copy(operand_bytes=_MATRIX, rows=n_in, columns=n_out, panels=store + layer.weights_bytes,
             step_bytes=layer.weight_step_bytes),
        Copy(operand_bytes=_FLAT, rows=1, columns=n_out, panels=store + layer.bias_bytes,
             step_bytes=LINE),
    )  # fmt: skip
    steps = ceil(n, space.rows)
    phases = [(load, first_step(count, steps)), (rows_task, space.row_counts(n))]
    return Call(space, phases, n, choice, steps)


def delta_backward(
    delta: Array,
    weights: Array,
    activations: Array,
    activation: str,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    key, call = None, None
    try:
        key = ("delta_backward", delta.shape, weights.shape, activations.shape, delta.itemsize,
               activation, n_threads, n_threads.__class__)  # fmt: skip
        call = shelves.take(key)
    except (AttributeError, TypeError):
        pass
    if call is not None and out is None:
        out = np.empty(activations.shape, call.dtype)
        if call(0, delta, weights, activations, call.vector, NO_LABELS, out):
            shelves.give(key, call)
            return out
        out = None
    out = _checks.delta_backward(delta, weights, activations, activation, out, n_threads)
    if out.size:
        if call is None:
            call = shelves.prepare(key, lambda: _backward(delta, weights, activation, n_threads))
        call.on_checked(0, delta, weights, activations, call.vector, NO_LABELS, out)
        shelves.give(key, call)
    return out


def _backward(delta: Array, weights: Array, activation: str, n_threads: int | None) -> Call:
    n, (n_in, n_out) = len(delta), weights.shape
    choice = Choice.of(n_threads, 2.0 * n * n_in * n_out)
    space = Workspace(
        (1, n_in, n_out), (activation,), delta.dtype, n, stores=1, with_errors=True,
        n_threads=choice.most,
    )  # fmt: skip
    layer, step_bytes = space.layers[1], space.plan.row_step_bytes
    load = space.gathers(
        Copy(operand_bytes=_MATRIX, rows=n_in, columns=n_out,
             panels=space.stores[0] + layer.weights_bytes, step_bytes=layer.weight_step_bytes,
             transposed=layer.transposed, transposed_step_bytes=layer.transposed_step_bytes),
        Copy(operand_bytes=_X, rows=n, columns=n_out, panels=layer.d, step_bytes=step_bytes),
        Copy(operand_bytes=_THIRD, rows=n, columns=n_in, panels=layer.a, step_bytes=step_bytes),
    )  # fmt: skip
    return Call(space, [load, (errors_task, space.row_blocks(n))], n, choice)


def weight_gradient(
    x: Array, delta: Array, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    key, call = None, None
    try:
        key = ("weight_gradient", x.shape, delta.shape, x.itemsize, n_threads, n_threads.__class__)
        call = shelves.take(key)
    except (AttributeError, TypeError):
        pass
    if call is not None and out is None:
        out = np.empty((x.shape[1], delta.shape[1]), call.dtype)
        if call(0, x, delta, call.matrix, call.vector, NO_LABELS, out):
            shelves.give(key, call)
            return out
        out = None
    out = _checks.weight_gradient(x, delta, out, n_threads)
    if out.size:
        if call is None:
            call = shelves.prepare(key, lambda: _weight_gradient(x, delta, n_threads))
        call.on_checked(0, x, delta, call.matrix, call.vector, NO_LABELS, out)
        shelves.give(key, call)
    return out


def _weight_gradient(x: Array, delta: Array, n_threads: int | None) -> Call:
    n, n_in, n_out = len(x), x.shape[1], delta.shape[1]
    choice = Choice.of(n_threads, 2.0 * n * n_in * n_out)
    space = Workspace(
        (n_in, n_out), (), x.dtype, n, stores=1, with_errors=True, n_threads=choice.most
    )
    layer, step_bytes = space.layers[0], space.plan.row_step_bytes
    space.share(choice.most)
    _set_mean(space, n)
    load = space.gathers(
        Copy(operand_bytes=_X, rows=n, columns=n_in, panels=layer.a, step_bytes=step_bytes),
        Copy(operand_bytes=_MATRIX, rows=n, columns=n_out, panels=layer.d, step_bytes=step_bytes),
    )
    store = space.scatters(
        Copy(operand_bytes=_OUT, rows=n_in, columns=n_out,
             panels=space.stores[0] + layer.weights_bytes, step_bytes=layer.weight_step_bytes)
    )  # fmt: skip
    phases = [load, (weights_task, int(space.plan.n_blocks)), store]
    return Call(space, phases, n, choice)


def bias_gradient(delta: Array, *, out: Array | None = None, n_threads: int | None = None) -> Array:
    key, call = None, None
    try:
        key = ("bias_gradient", delta.shape, delta.itemsize, n_threads, n_threads.__class__)
        call = shelves.take(key)
    except (AttributeError, TypeError):
        pass
    if call is not None and out is None:
        out = np.empty((1, delta.shape[1]), call.dtype)
        if call(0, delta, call.matrix, call.matrix, call.vector, NO_LABELS, out):
            shelves.give(key, call)
            row: Array = out[0]
            return row
        out = None
    out = _checks.bias_gradient(delta, out, n_threads)
    if out.size:
        if call is None:
            call = shelves.prepare(key, lambda: _bias_gradient(delta, n_threads))
        flat = np.asarray(out).reshape(1, -1)
        call.on_checked(0, delta, call.matrix, call.matrix, call.vector, NO_LABELS, flat)
        shelves.give(key, call)
    return out


def _bias_gradient(delta: Array, n_threads: int | None) -> Call:
    n, n_out = delta.shape
    choice = Choice.of(n_threads, 8.0 * n * n_out)
    space = Workspace(
        (1, n_out), (), delta.dtype, n, stores=1, with_errors=True, n_threads=choice.most
    )
    layer = space.layers[0]
    space.set_blocks([Block(0, panel, 1, 0, 0, 1) for panel in range(layer.panels_out)])
    _set_mean(space, n)
    load = space.gathers(
        Copy(operand_bytes=_X, rows=n, columns=n_out, panels=layer.d,
             step_bytes=space.plan.row_step_bytes)
    )  # fmt: skip
    store = space.scatters(
        Copy(operand_bytes=_OUT, rows=1, columns=n_out, panels=space.stores[0] + layer.bias_bytes,
             step_bytes=LINE)
    )  # fmt: skip
    return Call(space, [load, (weights_task, int(space.plan.n_blocks)), store], n, choice)


def _set_mean(space: Workspace, n: int) -> None:
    """Let the weights pass store the mean over ``n`` rows."""
    plan = space.plan
    plan.gradient, plan.update.collect = space.stores[0], space.use("update store")
    space.constants[:, FACTOR] = 1 / max(n, 1)
