"""Jobs: phases of independent tasks, done by one thread or by several.

A job repeats its phases for a number of steps. Each task of a phase has a ticket; a thread takes
the next ticket, waits until the phases before are done, and runs the task. So no thread waits for
one that has not started or was preempted, unless that one holds a task: next to a busy neighbour
the others do the work. Which thread runs a task has no influence on its
result.

The threads are those of Numba's pool, for many steps at once. Its ``workqueue`` layer aborts when
two Python threads enter it, and ``omp`` hangs after ``fork``: a lock that is only tried, and a note
of the fork, make such callers run the same code alone. Numba is imported when the first team comes
together; one thread needs nothing of it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..._callbacks import TEAM, raise_pending
from ..compiling.lazy import Function, Task
from ..memory.records import Phase, Steps
from ..scalar.builtins import (
    call_task,
    fetch_add,
    flush_subnormals,
    give_way,
    load_acquire,
    load_int,
    record,
    records,
    relax,
    set_float_mode,
)
from ..scalar.functions import inline
from .limit import limit, parallel_for, pool_limit

_SPINS = 2000  # ~20 µs before a waiting thread offers its CPU to others


@inline
def _count(phase: Any, step: int, final: int) -> Any:
    """Tasks of a phase in a step; a single step is the last one."""
    if step == final:
        return phase.last_count
    return phase.first_count if step == 0 else phase.count


@inline
def run_steps(steps: Any) -> None:
    """All tasks in order."""
    phases = records(steps.phases, Phase)
    for step in range(steps.first, steps.last):
        for p in range(steps.n_phases):
            for index in range(_count(phases[p], step, steps.final)):
                call_task(phases[p].task, plan=steps.plan, step=step, index=index)


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
def _member(steps: Any) -> None:
    """Take tasks whose turn has come, beside others who do the same."""
    phases = records(steps.phases, Phase)
    tickets = steps.tickets
    done = tickets + 64  # on a cache line of its own
    ticket = fetch_add(tickets)
    begin = 0
    for step in range(steps.first, steps.last):
        for p in range(steps.n_phases):
            end = begin + _count(phases[p], step, steps.final)
            if ticket < end:
                _wait(done, begin)
                while ticket < end:
                    index = ticket - begin
                    call_task(phases[p].task, plan=steps.plan, step=step, index=index)
                    fetch_add(done)
                    ticket = fetch_add(tickets)
            begin = end


def _alone(steps_address: int) -> None:
    steps = record(steps_address, Steps)
    if steps.flush:
        mode = flush_subnormals()
        run_steps(steps)
        set_float_mode(mode)
    else:
        run_steps(steps)


def _share(arguments: int, sizes: int, steps_bytes: int, data: int) -> None:
    """What Numba's pool calls in each of its threads, as it would a ufunc's loop: with addresses of
    arguments, of which ours is that of the steps, and of how many members this thread is."""
    steps = record(load_int(arguments), Steps)
    for _ in range(load_int(sizes)):
        if steps.flush:
            mode = flush_subnormals()
            _member(steps)
            set_float_mode(mode)
        else:
            _member(steps)


#: Runs the steps on this thread, given the address of their record.
ALONE = Function(_alone, "alone")
_SHARE = Function(_share, "share")
_SHARE.parallel = True


@functools.cache
def _run_alone() -> Callable[[int], None]:
    """:data:`ALONE`, to be called from Python, without the GIL."""
    run: Callable[[int], None] = ctypes.CFUNCTYPE(None, ctypes.c_int64)(ALONE.address)
    return run


def _together(members: int, steps_address: int) -> None:
    """Run the steps on so many threads of Numba's pool."""
    parallel_for(_SHARE.address, steps_address, members)


class _Entrance:
    """Whether this thread may start a parallel region now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # A process that multiprocessing has forked may have inherited the remains of a team.
        known = sys.modules.get("multiprocessing")
        self.forked = known is not None and (
            known.parent_process() is not None and known.get_start_method(True) == "fork"
        )

    def after_fork(self) -> None:
        self.lock = threading.Lock()
        self.forked = True


_entrance = _Entrance()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_entrance.after_fork)


@functools.cache
def _start_pool() -> None:
    """Let the pool start its threads, with steps of no phase.

    OpenMP starts them in the first parallel region and ends the process where it cannot: so it is
    done while a plan is made, not when a large network has taken all the memory there is.
    """
    tickets = np.zeros(24, np.int64)
    begin = tickets.ctypes.data
    steps = Steps(run=ALONE.address, tickets=begin + -begin % 64)
    _together(pool_limit(), ctypes.addressof(steps))


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
        begin = self._tickets.ctypes.data
        self._steps = Steps(
            phases=ctypes.addressof(self._phases),
            n_phases=len(tasks),
            run=ALONE.address,
            plan=ctypes.addressof(plan),
            tickets=begin + -begin % 64,
        )
        self._run_alone = _run_alone()
        #: Where compiled code finds the steps to run.
        self.address = ctypes.addressof(self._steps)
        if limit.n_threads > 1 and not _entrance.forked and _entrance.lock.acquire(blocking=False):
            try:
                _start_pool()
            finally:
                _entrance.lock.release()

    def counts(
        self,
        counts: Sequence[int],
        last_counts: Sequence[int] | None = None,
        first_counts: Sequence[int] | None = None,
    ) -> None:
        """Say how many tasks each phase has: in a step, in the last of all, in the first."""
        last_counts = counts if last_counts is None else last_counts
        first_counts = counts if first_counts is None else first_counts
        for phase, first, count, last in zip(
            self._phases, first_counts, counts, last_counts, strict=True
        ):
            phase.first_count, phase.count, phase.last_count = first, count, last

    def steps(self, first: int, last: int, final: int) -> None:
        """Say which steps are to be run: ``first ≤ step < last``; ``final`` is the last of all."""
        steps = self._steps
        steps.first, steps.last, steps.final = first, last, final

    def flush_subnormals(self) -> None:
        """Let the tasks take subnormal numbers for zeros."""
        self._steps.flush = 1

    def run(self, n_threads: int) -> None:
        """Run the steps on up to ``n_threads`` threads."""
        members = min(n_threads, limit.n_threads) if n_threads > 1 else 1
        if members > 1 and not _entrance.forked and _entrance.lock.acquire(blocking=False):
            lock = _entrance.lock
            TEAM.owner = threading.get_ident()
            try:
                self._tickets[:] = 0
                _together(min(members, pool_limit()), self.address)
            finally:
                TEAM.owner = None
                lock.release()
        else:
            self._run_alone(self.address)
        raise_pending()
