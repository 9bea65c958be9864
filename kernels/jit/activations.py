"""Activations and their derivatives over whole arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from ._packing import run_task
from ._plan import Run
from ._pool import pool
from ._table import INDEX, table
from ._team import run_once, worth
from ._workspace import address, ceil
from .layers import run_rows

Array = np.ndarray[Any, Any]

_CHUNK = 16384  # elements of a task: 64 KB of float32
_STEP_ROWS = 1024


def activate(
    z: Array, activation: str, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    out = _checks.activate(z, activation, out, n_threads)
    if out.size == 0:
        return out
    if activation == "softmax":
        n, n_out = z.shape
        threads = worth(n_threads, 20.0 * z.size)
        key = ((1, n_out), (), z.dtype, min(n, _STEP_ROWS))
        with pool.workspace(
            "activate", key, stores=0, with_errors=False, n_threads=threads
        ) as space:
            space.plan.forward = 0
            space.set_rows(z)
            space.set_output(activation)
            run_rows(space, out, threads)
        return out
    out[...] = z
    if activation != "identity":
        run(f"activation {activation}", (out,), (), n_threads)
    return out


def activation_backward(
    delta: Array,
    activations: Array,
    activation: str,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    out = _checks.activation_backward(delta, activations, activation, out, n_threads)
    out[...] = delta
    if activation != "identity":
        arrays = (out, np.ascontiguousarray(activations))
        run(f"derivative {activation}", arrays, (), n_threads)
    return out


def run(
    name: str, arrays: tuple[Array, ...], constants: tuple[float, ...], n_threads: int | None
) -> None:
    """Run an elementwise kernel over contiguous arrays of equal size and dtype."""
    n, dtype = arrays[0].size, arrays[0].dtype
    if n == 0:
        return
    addresses = [address(array) for array in arrays]
    work = Run(
        int(table(dtype.itemsize)[INDEX[name]]),
        dtype.itemsize,
        *addresses,
        *[addresses[0]] * (4 - len(addresses)),
        n,
        _CHUNK,
        *constants,
    )
    run_once(work, run_task, ceil(n, _CHUNK), worth(n_threads, 20.0 * n))
