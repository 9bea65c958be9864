"""Activations and their derivatives over whole arrays."""

from __future__ import annotations

from collections.abc import Sequence

from .. import _checks
from .._typing import Array
from .engine.elements import run, run_plain
from .engine.prepared_calls import NO_LABELS, Call, shelves
from .engine.workspace import Workspace
from .layers import STEP_ROWS
from .memory.arena import ceil
from .passes.rows_pass import rows_task
from .threads.tuner import Choice


def activate(
    z: Array, activation: str, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    out = _checks.activate(z, activation, out, n_threads)
    if out.size == 0:
        return out
    if not isinstance(activation, str):
        out[...] = activation.evaluate(z)[0]
        return out
    if activation == "softmax":
        key = ("softmax", z.shape, z.itemsize, n_threads)
        call = shelves.prepare(key, lambda: _softmax(z, n_threads))
        call.on_checked(0, z, call.matrix, call.matrix, call.vector, NO_LABELS, out)
        shelves.give(key, call)
        return out
    out[...] = z
    if activation != "identity":
        _on_elements(f"activation {activation}", (out.reshape(-1),), n_threads)
    return out


def _softmax(z: Array, n_threads: int | None) -> Call:
    n, n_out = z.shape
    choice = Choice.of(n_threads, 20.0 * z.size)
    space = Workspace(
        (1, n_out),
        (),
        z.dtype,
        min(n, STEP_ROWS),
        stores=0,
        with_errors=False,
        n_threads=choice.most,
    )
    space.plan.forward = 0
    space.set_output("softmax")
    return Call(space, [(rows_task, space.row_counts(n))], n, choice, ceil(n, space.rows))


def activation_backward(
    delta: Array,
    activations: Array,
    activation: str,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.activation_backward(delta, activations, activation, out, n_threads)
    if not isinstance(activation, str):
        out[...] = delta * activation.evaluate(activations)[1]
        return out
    out[...] = delta
    if activation != "identity" and out.size:
        vectors = (out.reshape(-1), activations.reshape(-1))
        _on_elements(f"derivative {activation}", vectors, n_threads)
    return out


def _on_elements(name: str, vectors: Sequence[Array], n_threads: int | None) -> None:
    if not run_plain(name, vectors, n_threads):
        run(name, vectors, n_threads)
