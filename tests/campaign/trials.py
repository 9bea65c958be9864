"""The kinds of trials: what the campaign and the short suite try for a seed.

A trial raises where something is wrong, and returns what it has tried, by name.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import processes
from comparisons import check, report, same_bits
from configurations import STEPS, Configuration, draw
from fastmlp import kernels
from programs import program
from readers import READERS, made, read_damaged

#: Seeds and a folder for files → counts of what was tried.
Trial = Callable[[int, Path], dict[str, int]]
#: More threads than there may be cores, and runs with each of them.
THREADS, RUNS = tuple(range(1, 9)), 20
#: Multiplications and additions of a step from which eight threads are the first guess.
FOR_ALL = 9e6


def steps(seed: int, folder: Path) -> dict[str, int]:
    """A few training steps on all backends."""
    configuration = draw(seed)
    fault = check(configuration)
    assert not fault, report(configuration, fault)
    return {"configurations": 1, "steps": STEPS * len(kernels.available())}


def widened(seed: int, least: float) -> Configuration:
    """A configuration whose steps have so many operations at least."""
    c = draw(seed)
    c = replace(c, sizes=(c.sizes[0] * 4, *c.sizes[1:]), batch=max(c.batch, 33))
    while 6 * c.batch * sum(a * b for a, b in itertools.pairwise(c.sizes)) < least:
        wide = (*(max(size * 2, 8) for size in c.sizes[:-1]), c.sizes[-1])
        c = replace(c, sizes=wide)
    return c


@contextmanager
def all_threads() -> Iterator[None]:
    """Let the Numba backend begin with all threads, however small the steps are."""
    tuner = sys.modules.get("fastmlp.kernels.jit.threads.tuner")
    if tuner is None:
        yield
        return
    before = tuner.EACH_ALONE, tuner.WORTH_SHARING
    tuner.EACH_ALONE = tuner.WORTH_SHARING = 0.0  # type: ignore[attr-defined]
    try:
        yield
    finally:
        tuner.EACH_ALONE, tuner.WORTH_SHARING = before  # type: ignore[attr-defined]


def bits(seed: int, folder: Path) -> dict[str, int]:
    """One option set with every number of threads again and again: one result on each backend.

    Where seeds are even, steps are large enough for the compiled backend to use all threads.
    """
    fast = [name for name in kernels.available() if name != "reference"]
    for name in fast:
        with kernels.use_backend(name):
            c = widened(seed, FOR_ALL if seed % 2 == 0 and name == "compiled" else 0)
            with all_threads():
                fault = same_bits(c, THREADS, RUNS)
            assert not fault, report(c, fault, "same_bits")
    return {"option sets": 1, "runs": len(THREADS) * RUNS * len(fast)}


@functools.cache
def _good(kind: str, folder: Path) -> bytes:
    return made(kind, folder)


def files(seed: int, folder: Path) -> dict[str, int]:
    """One damaged file for each reader."""
    kinds = [kind for kind in READERS if READERS[kind].available]
    refused = sum(
        read_damaged(kind, _good(kind, folder), folder / f"file.{kind}", seed) for kind in kinds
    )
    return {"damaged files": len(kinds), "refused": refused}


KINDS: dict[str, Trial] = {
    "steps": steps,
    "bits": bits,
    "files": files,
    "programs": program,
    "kills": processes.kills,
    "caches": processes.killed_caches,
    "forks": processes.forks,
    "signals": processes.signals,
}
