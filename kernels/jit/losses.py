"""Losses and output errors of whole arrays of scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from ._pool import pool
from ._table import INDEX
from ._team import worth
from ._workspace import Workspace, address
from .layers import run_rows

Array = np.ndarray[Any, Any]

_STEP_ROWS = 1024


def output_delta(
    scores: Array,
    target: Array,
    loss: str,
    output: str,
    *,
    sample_weight: Array | None = None,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    out = _checks.output("out", out, scores.shape, scores.dtype, scores, target)
    if out.size:
        _run(scores, target, loss, output, sample_weight, out, n_threads)
    return out


def loss_value(
    scores: Array,
    target: Array,
    loss: str,
    output: str,
    *,
    sample_weight: Array | None = None,
    n_threads: int | None = None,
) -> float:
    _checks.loss(scores, target, loss, output, sample_weight, n_threads)
    if scores.size == 0:
        return 0.0
    rows = _run(scores, target, loss, output, None, None, n_threads)
    return weighted_mean(rows, sample_weight)


def _run(
    scores: Array,
    target: Array,
    loss: str,
    output: str,
    sample_weight: Array | None,
    out: Array | None,
    n_threads: int | None,
) -> Array:
    """Write the errors to ``out``, where given; return the loss of every row."""
    n, n_out = scores.shape
    threads = worth(n_threads, 40.0 * scores.size)
    key = ((1, n_out), (), scores.dtype, min(n, _STEP_ROWS))
    with pool.workspace("_run", key, stores=0, with_errors=True, n_threads=threads) as space:
        space.plan.forward, space.plan.out_delta = 0, 1
        return row_losses(space, scores, target, loss, output, sample_weight, out, threads)


def row_losses(
    space: Workspace,
    x: Array,
    target: Array,
    loss: str,
    output: str,
    sample_weight: Array | None,
    out: Array | None,
    n_threads: int,
    *,
    with_weights: bool = False,
) -> Array:
    """Run the rows pass up to the losses; the loss of every row."""
    plan = space.plan
    losses = np.zeros(len(x))
    space.set_rows(x, target)
    space.set_weights(sample_weight)
    plan.with_loss, plan.loss = 1, INDEX[f"loss {loss} {output}"]
    plan.losses, plan.keep_losses = address(losses), 1
    run_rows(space, out, n_threads, with_weights=with_weights)
    return losses


def weighted_mean(losses: Array, sample_weight: Array | None) -> float:
    """``Σ w C / Σ w`` in float64; zero for no rows or for weights that are all zero."""
    if sample_weight is None:
        return float(losses.mean()) if losses.size else 0.0
    total = float(sample_weight.sum(dtype=np.float64))
    return float(losses @ sample_weight.astype(np.float64)) / total if total > 0 else 0.0
