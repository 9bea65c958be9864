"""Calls of kernels on NumPy arrays: prepared once for each set of shapes, then cheap.

What a call needs beside its arrays, memory in panels, a plan and phases of tasks, depends only on
shapes, dtype and names. It is prepared at the first call and kept; a later call with equal shapes
hands its arrays to one compiled function, which notes in the plan where they are and runs the
phases. That function also sees whether the arrays have the expected types, which spares checking
them in Python: what is not plainly right comes back, is checked by ``_checks``, which names what
is wrong, copied if it is right but lies awkwardly in memory, and handed over again.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..._callbacks import raise_pending
from ..._typing import Array
from ..compiling.lazy import Task
from ..memory.records import RUN
from ..threads.tuner import Choice
from .workspace import Workspace


@functools.cache
def entrance_of(name: str, itemsize: int) -> Callable[..., bool]:
    """A function that takes arrays of this dtype: ``"enter"``, ``"elements"``."""
    from . import entrances  # imports Numba

    found: Callable[..., bool] = entrances.ENTRANCES[name, itemsize].function
    return found


NO_LABELS = np.zeros(0, np.int64)


class Call:
    """A kernel with its memory, for arguments of certain shapes; used by one caller at a time.

    Parameters
    ----------
    space : Workspace
    phases : sequence of (Task, counts)
        ``counts`` is the number of tasks in the first step, in the others and in the last, or one
        number for all.
    n : int
        Rows.
    steps : int
        Into so many steps the rows are cut.
    choice : Choice
        Of the number of threads.
    """

    def __init__(
        self,
        space: Workspace,
        phases: Sequence[tuple[Task, int | tuple[int, int, int]]],
        n: int,
        choice: Choice,
        steps: int = 1,
    ) -> None:
        self.space, self.choice, self.dtype = space, choice, space.dtype
        space.plan.n_rows = n
        self.job = space.job(*[task for task, _ in phases])
        counts = [(c, c, c) if isinstance(c, int) else c for _, c in phases]
        first, others, last = zip(*counts, strict=True)
        self.job.counts(others, last, first)
        self.job.steps(0, steps, steps - 1)
        self.matrix = np.zeros((1, 1), space.dtype)  # where a kernel has fewer operands
        self.vector = self.matrix[0]
        self._enter, self._address = entrance_of("enter", space.dtype.itemsize), self.job.address
        self._at_once = RUN if choice.most == 1 else 0

    def with_panels(self, panels: int) -> Call:
        """This call, on packed parameters at an address; on those of its own for 0."""
        if panels:
            self.space.plan.parameters = panels
        return self

    def __call__(
        self, flags: int, x: Any, m: Any, third: Any, flat: Any, labels: Any, out: Any
    ) -> bool:
        """Run, unless an array is not plainly what it should be."""
        # Numba does not always tell byte orders apart; a dtype of its own tells.
        kind = self.dtype
        if x.dtype is kind and m.dtype is kind and third.dtype is kind and flat.dtype is kind:
            try:
                done = self._enter(
                    self._address, flags | self._at_once, x, m, third, flat, labels, out
                )
            except TypeError:
                return False
            if not self._at_once:
                return self._run_threads(done)
            raise_pending()
            return done
        return False

    def on_checked(
        self, flags: int, x: Any, m: Any, third: Any, flat: Any, labels: Any, out: Array
    ) -> None:
        """Run with arrays that have been checked, whatever way they lie in memory."""
        out = np.asarray(out)
        if not self._run(flags, x, m, third, flat, labels, out):
            x, m, third, flat = (np.require(a, None, ("C", "A", "E")) for a in (x, m, third, flat))
            labels = np.require(labels, np.int64, ("C", "A", "E"))
            if not self._run(flags, x, m, third, flat, labels, out):
                raise RuntimeError("checked arrays did not fit the Numba kernels")

    def _run(
        self, flags: int, x: Any, m: Any, third: Any, flat: Any, labels: Any, out: Array
    ) -> bool:
        done = self._enter(self._address, flags | self._at_once, x, m, third, flat, labels, out)
        if not self._at_once:
            return self._run_threads(done)
        raise_pending()
        return done

    def _run_threads(self, ready: bool) -> bool:
        if ready:
            start = time.perf_counter()
            self.job.run(self.choice.threads)
            self.choice.note(1, time.perf_counter() - start)
        return ready


class _Shelves:
    """Prepared calls, by what they are prepared for; callers at the same time have one each."""

    def __init__(self, count: int, nbytes: int) -> None:
        self._count, self._nbytes = count, nbytes
        self.reset()

    def reset(self) -> None:
        """Forget everything (in a forked child, another thread may have been in the middle)."""
        self._lock = threading.RLock()  # a signal handler may predict, too
        self._shelves: dict[Any, list[Call]] = {}
        self._sizes: dict[Any, int] = {}

    def take(self, key: Any) -> Call | None:
        """A call prepared for ``key``, for this caller alone, if there is one."""
        shelf = self._shelves.get(key)
        try:
            return shelf.pop() if shelf else None
        except IndexError:  # another thread was faster
            return None

    def prepare(self, key: Any, build: Callable[[], Call]) -> Call:
        """Take one, or build it; the oldest make room."""
        call = self.take(key)
        if call is None:
            call = build()
            with self._lock:
                self._shelves.setdefault(key, [])
                self._sizes[key] = self._sizes.pop(key, 0) + call.space.nbytes
                while len(sizes := tuple(self._sizes.items())) > self._count or (
                    sum(size for _, size in sizes) > self._nbytes
                ):
                    oldest = sizes[0][0]
                    self._sizes.pop(oldest, None)
                    self._shelves.pop(oldest, None)
        return call

    def give(self, key: Any, call: Call) -> None:
        """Back for the next caller."""
        shelf = self._shelves.get(key)
        if shelf is not None:
            shelf.append(call)


shelves = _Shelves(count=64, nbytes=64 << 20)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shelves.reset)


def first_step(count: int, steps: int) -> tuple[int, int, int]:
    """Counts of a phase that only the first of ``steps`` steps has."""
    return count, 0, count if steps == 1 else 0


def last_step(count: int) -> tuple[int, int, int]:
    """Counts of a phase that only the last step has."""
    return 0, 0, count
