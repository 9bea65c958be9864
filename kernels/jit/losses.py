"""Losses and output errors of whole arrays of scores."""

from __future__ import annotations

import numpy as np

from .. import _checks
from .._specs import Loss
from .._typing import Array
from .engine.operands import set_weights
from .engine.prepared_calls import NO_LABELS, Call, last_step, shelves
from .engine.workspace import Workspace
from .layers import STEP_ROWS
from .memory.arena import ceil
from .memory.records import WITH_LABELS, WITH_MATRIX
from .passes.packing import mean_task
from .passes.rows_pass import rows_task
from .threads.tuner import Choice


def output_delta(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    *,
    sample_weight: Array | None = None,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    out = _checks.output("out", out, scores.shape, scores.dtype, scores, target)
    if out.size:
        _run(scores, target, Loss.of(loss), output, sample_weight, out, n_threads)
    return out


def loss_value(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    *,
    sample_weight: Array | None = None,
    n_threads: int | None = None,
) -> float:
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    if scores.size == 0:
        return 0.0
    return _run(scores, target, Loss.of(loss), output, sample_weight, None, n_threads)


def _run(
    scores: Array,
    target: Array,
    loss: Loss,
    output: str,
    sample_weight: Array | None,
    out: Array | None,
    n_threads: int | None,
) -> float:
    """Write the errors to ``out``, where given; return the mean loss."""
    key = ("loss", scores.shape, scores.itemsize, loss, output, out is None, n_threads)
    call = shelves.prepare(key, lambda: _prepare(scores, loss, output, out, n_threads))
    space = call.space
    set_weights(space, sample_weight)
    flags, matrix, labels = targets(call, target)
    errors = call.matrix if out is None else out
    call.on_checked(flags, scores, matrix, call.matrix, call.vector, labels, errors)
    value = float(space.plan.summed)
    space.release()
    shelves.give(key, call)
    return value


def targets(call: Call, target: Array) -> tuple[int, Array, Array]:
    """Flag and both operands of a call for targets of either kind."""
    if target.ndim == 1:
        return WITH_LABELS, call.matrix, np.asarray(target, np.int64)
    return WITH_MATRIX, target, NO_LABELS


def _prepare(
    scores: Array, loss: Loss, output: str, out: Array | None, n_threads: int | None
) -> Call:
    n, n_out = scores.shape
    choice = Choice.of(n_threads, 40.0 * scores.size)
    space = Workspace(
        (1, n_out), (), scores.dtype, min(n, STEP_ROWS), stores=0, with_errors=True,
        n_threads=choice.most,
    )  # fmt: skip
    space.plan.forward = 0
    space.plan.with_out = space.plan.out_delta = int(out is not None)
    space.set_loss(loss, output, n)
    steps = ceil(n, space.rows)
    phases = [(rows_task, space.row_counts(n)), (mean_task, last_step(1))]
    return Call(space, phases, n, choice, steps)
