"""Elementwise kernels over vectors: activations, derivatives, update rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..._machine import threads as _threads
from ..._typing import Array
from ..compiling.table import function_of
from ..memory.arena import address, ceil
from ..memory.records import Run
from ..passes.packing import run_task
from ..threads.team import Job
from .prepared_calls import entrance_of

_CHUNK = 16384  # elements of a task: 64 KB of float32
_SHARED_CHUNKS = 8  # from which on several threads take part
_N_VECTORS = 5  # of ELEMENTWISE


_KINDS = {4: np.dtype(np.float32), 8: np.dtype(np.float64)}
_NO_CONSTANTS = np.zeros(1)


def run_plain(
    name: str,
    vectors: Sequence[Array],
    n_threads: int | None,
    constants: Array = _NO_CONSTANTS,
) -> bool:
    """Run an elementwise kernel on this thread, if vectors are plainly right and not long.

    The second vector is only read, the others are written; where it returns false nothing has been
    changed, and the arguments are still to be checked.
    """
    try:
        p = vectors[0]
        itemsize, n = p.itemsize, p.size
        if n > _CHUNK or not (n_threads is None or (n_threads.__class__ is int and n_threads > 0)):
            return False
        kind = _KINDS[itemsize]  # Numba does not always tell byte orders apart
        for vector in vectors:
            if vector.dtype is not kind:
                return False
        padded = (*vectors, p, p, p, p)[:_N_VECTORS]
        entrance = entrance_of("elements", itemsize)
        function = function_of(name, itemsize)
        return bool(entrance(function, len(vectors), *padded, constants))
    except (AttributeError, KeyError, TypeError):
        return False


def run(
    name: str,
    vectors: Sequence[Array],
    n_threads: int | None,
    constants: Array = _NO_CONSTANTS,
) -> None:
    """Run an elementwise kernel over checked vectors of equal size and dtype.

    The second one may lie in memory in any way; the others are contiguous and aligned.
    """
    p = vectors[0]
    if p.size == 0:
        return
    vectors = [p, *(np.require(g, None, ("C", "A")) for g in vectors[1:2]), *vectors[2:]]
    places = [address(vector) for vector in vectors]
    places += [places[0]] * (_N_VECTORS - len(places))
    work = Run(
        function=function_of(name, p.itemsize),
        itemsize=p.itemsize,
        **dict(zip("pgstu", places, strict=True)),
        n=p.size,
        chunk=_CHUNK,
        constants=address(constants),
    )
    job = Job(work, [run_task])
    job.counts([ceil(p.size, _CHUNK)])
    job.steps(0, 1, 0)
    # Memory is what takes the time here, and one thread alone does not use all of its speed.
    shared = p.size > _CHUNK * _SHARED_CHUNKS
    job.run(_threads.resolve(n_threads) if shared else 1)
