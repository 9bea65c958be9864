"""Jobs: phases of independent tasks, done by one thread or by several.

A job repeats its phases for a number of steps. Each task of a phase has a ticket; a thread takes
the next ticket, waits until the phases before are done, and runs the task. So nobody waits for a
thread that has not come yet, or has been put aside by the system, unless that thread holds a task:
next to a busy neighbour the others do the work. Which thread runs a task has no influence on its
result.

The threads come from one ``prange`` over the members, for many steps at once. Numba's
``workqueue`` layer aborts when two Python threads enter it, and ``omp`` hangs after ``fork``: a
lock that is only tried, and a note of the fork, make such callers run the same code alone.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba import prange, types

from .. import _threads
from ._access import call, fetch_add, give_way, load_acquire, pointer, relax
from ._compile import Task, carray, inline, lazy


class Phase(ctypes.Structure):
    """A task and how many of it a step has; the last step of a job may have another number."""

    _fields_ = [(name, ctypes.c_int64) for name in ("task", "count", "last_count")]


PHASE = np.dtype(Phase)
_SPINS = 2000  # ~20 µs before a waiting thread offers its CPU to others


@inline
def _wait(done: int, target: int) -> None:
    spins = 0
    while load_acquire(done) < target:
        spins += 1
        if spins > _SPINS:
            give_way()
        else:
            relax()


@inline
def _member(
    phases: int, n_phases: int, first: int, last: int, final: int, plan: int, tickets: int
) -> None:
    """Take tasks of steps ``first ≤ step < last``, of which ``final`` has each phase's
    ``last_count``."""
    phase = carray(pointer(phases), n_phases, PHASE)
    done = tickets + 64  # on a cache line of its own
    ticket = fetch_add(tickets)
    begin = 0
    for step in range(first, last):
        for p in range(n_phases):
            end = begin + (phase[p].last_count if step == final else phase[p].count)
            if ticket < end:
                _wait(done, begin)
                while ticket < end:
                    call(phase[p].task, (plan, step, ticket - begin))
                    fetch_add(done)
                    ticket = fetch_add(tickets)
            begin = end


_INT = types.int64


@lazy(types.void(*[_INT] * 7))
def _alone(
    phases: int, n_phases: int, first: int, last: int, final: int, plan: int, tickets: int
) -> None:
    _member(phases, n_phases, first, last, final, plan, tickets)


@lazy(types.void(*[_INT] * 8), parallel=True)
def _together(
    members: int,
    phases: int,
    n_phases: int,
    first: int,
    last: int,
    final: int,
    plan: int,
    tickets: int,
) -> None:
    for _ in prange(members):
        _member(phases, n_phases, first, last, final, plan, tickets)


class _Entrance:
    """Whether this thread may start a parallel region now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forked = False

    def after_fork(self) -> None:
        self.lock = threading.Lock()
        self.forked = True


_entrance = _Entrance()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_entrance.after_fork)


class Job:
    """Phases over one plan.

    Parameters
    ----------
    plan : ctypes.Structure
        What the tasks work on.
    tasks : sequence of Task
        One for each phase.
    """

    def __init__(self, plan: Any, tasks: Sequence[Task]) -> None:
        self._plan = plan
        self._phases = (Phase * len(tasks))(*[Phase(task.address) for task in tasks])
        self._tickets = np.zeros(24, np.int64)
        self._args = (ctypes.addressof(self._phases), len(tasks))
        offset = -self._tickets.ctypes.data % 64
        self._ends = (ctypes.addressof(plan), self._tickets.ctypes.data + offset)

    def counts(self, counts: Sequence[int], last_counts: Sequence[int] | None = None) -> None:
        """Say how many tasks each phase has, and in the last step of all."""
        last_counts = counts if last_counts is None else last_counts
        for phase, count, last in zip(self._phases, counts, last_counts, strict=True):
            phase.count, phase.last_count = count, last

    def run(self, first: int, last: int, final: int, n_threads: int) -> None:
        """Run steps ``first ≤ step < last`` on up to ``n_threads`` threads; ``final`` is the last
        of all."""
        self._tickets[:] = 0
        steps = (*self._args, first, last, final, *self._ends)
        members = min(n_threads, numba.config.NUMBA_NUM_THREADS)
        if members > 1 and not _entrance.forked and _entrance.lock.acquire(blocking=False):
            lock = _entrance.lock
            try:
                before = numba.get_num_threads()
                numba.set_num_threads(members)
                try:
                    _together(members, *steps)
                finally:
                    numba.set_num_threads(before)
            finally:
                lock.release()
        else:
            _alone(*steps)


def run_once(plan: Any, task: Task, count: int, n_threads: int) -> None:
    """Run a job of one phase and step."""
    job = Job(plan, [task])
    job.counts([count])
    job.run(0, 1, -1, n_threads)


def worth(n_threads: int | None, operations: float, enough: float = 4e6) -> int:
    """How many threads to use for so many operations: one unless each thread gets its share."""
    wanted = _threads.resolve(n_threads)
    return max(1, min(wanted, int(2 * operations / enough)))
