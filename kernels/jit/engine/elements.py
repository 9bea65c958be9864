"""Elementwise kernels over vectors: activations, derivatives, update rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types

from ... import _threads
from ..._typing import Array
from ..compiling.access import call
from ..compiling.lazy import Lazy, inline, renamed
from ..compiling.table import function_of
from ..formulas.activations import ARGUMENTS
from ..memory.arena import address, ceil
from ..memory.records import Run
from ..passes.packing import run_task
from ..threads.team import Job

_CHUNK = 16384  # elements of a task: 64 KB of float32
_SHARED_CHUNKS = 8  # from which on several threads take part
_N_VECTORS = ARGUMENTS - 2


@inline
def _apart(a: Any, b: Any) -> Any:
    begin, other = a.ctypes.data, b.ctypes.data
    return begin + a.nbytes <= other or other + b.nbytes <= begin


def _elements(
    function: int, count: int, p: Any, g: Any, s: Any, t: Any, u: Any, constants: Any
) -> Any:
    """Run a kernel on the first ``count`` vectors; false where they are not of one size, do not
    lie plainly in memory or overlap."""
    size, n = p.itemsize, p.shape[0]
    places = p.ctypes.data | g.ctypes.data | s.ctypes.data | t.ctypes.data | u.ctypes.data
    plain = places % size == 0 and (n < 2 or g.strides[0] == size)
    if count > 1:
        plain = plain and g.shape[0] == n and _apart(p, g)
    if count > 2:
        plain = plain and s.shape[0] == n and _apart(p, s) and _apart(g, s)
    if count > 3:
        plain = plain and t.shape[0] == n and _apart(p, t) and _apart(g, t) and _apart(s, t)
    if count > 4:
        plain = plain and u.shape[0] == n and _apart(p, u) and _apart(g, u)
        plain = plain and _apart(s, u) and _apart(t, u)
    if plain:
        vectors = (p.ctypes.data, g.ctypes.data, s.ctypes.data, t.ctypes.data, u.ctypes.data)
        call(function, (*vectors, n, constants.ctypes.data))
    return plain


def _lazy(kind: Any) -> Lazy:
    own, other = types.Array(kind, 1, "C"), types.Array(kind, 1, "A", readonly=True)
    constants, whole = types.Array(types.float64, 1, "C"), types.int64
    function = renamed(_elements, f"elements_{kind}")
    arguments = (whole, whole, own, other, own, own, own, constants)
    return Lazy(function, types.boolean(*arguments))


_KINDS = {4: np.dtype(np.float32), 8: np.dtype(np.float64)}
_ENTRANCES = {4: _lazy(types.float32), 8: _lazy(types.float64)}
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
        entrance = _ENTRANCES[itemsize].function
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
    work = Run(
        function_of(name, p.itemsize),
        p.itemsize,
        *places,
        *[places[0]] * (_N_VECTORS - len(places)),
        p.size,
        _CHUNK,
        address(constants),
    )
    job = Job(work, [run_task])
    job.counts([ceil(p.size, _CHUNK)])
    job.steps(0, 1, 0)
    # Memory is what takes the time here, and one thread alone does not use all of its speed.
    shared = p.size > _CHUNK * _SHARED_CHUNKS
    job.run(_threads.resolve(n_threads) if shared else 1)
