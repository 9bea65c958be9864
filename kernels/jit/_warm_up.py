"""Compiling ahead of time what would be compiled at first use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from . import network as _network  # noqa: F401 - bring what is in COMPILED
from . import training as _training  # noqa: F401
from .compiling import cache, table
from .compiling.lazy import COMPILED

__all__ = ["Warmed", "cache_folder", "warm_up"]


class Warmed(NamedTuple):
    """What has been made ready, whether it was compiled (else it came from the cache), how long."""

    name: str
    compiled: bool
    seconds: float


def cache_folder() -> Path:
    """Where the code for this CPU and these versions is kept."""
    return cache.folder()


def warm_up(itemsizes: Sequence[int], n_threads: int) -> Iterator[Warmed]:
    """Compile everything for elements of these sizes; what only several threads need is left out
    for one."""
    from .engine import entrances as _entrances  # noqa: F401 - imports Numba, and is in COMPILED

    for item in COMPILED:
        of_other = any(item.name.endswith(f"float{8 * n}") for n in {4, 8} - set(itemsizes))
        if not of_other and (n_threads > 1 or not item.parallel):
            yield _timed(f"function {item.name.strip('_')}", item.compile)
    for itemsize in itemsizes:
        for name in (*table.GROUPS, *table.NAMED):
            yield _timed(f"{name} float{8 * itemsize}", lambda: _kernel(name, itemsize))  # noqa: B023


def _kernel(name: str, itemsize: int) -> bool:
    if name in table.GROUPS:
        table.use_group(name, itemsize)
    else:
        table.use(name, itemsize)
    return table.file_name(name, itemsize) in table.compiled


def _timed(name: str, work: Callable[[], bool]) -> Warmed:
    start = time.perf_counter()
    compiled = work()
    return Warmed(name, compiled, time.perf_counter() - start)
