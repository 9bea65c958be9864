"""Threads that train networks: the largest first, then whatever is left.

A network is trained by one thread. Those that finish early take the next one from the queue; where
the queue is empty, the networks still at work may use the threads that are idle.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Halted

from .._typing import Array


def threads_of(n_threads: int | None) -> int:
    """``n_threads`` itself, checked, or the default of the process for ``None``."""
    kernels.check_threads(n_threads)
    return int(str(kernels.info()["n_threads"])) if n_threads is None else int(n_threads)


class Crew:
    """A queue of jobs, and the threads that work on it; the caller is one of them.

    Parameters
    ----------
    costs : sequence of float
        About what each job costs; the dearest is done first.
    n_threads : int
    do : function
        ``do(job)`` does a job, given by its number.
    names : function, optional
        ``names(job)`` is what an exception is said to come from, by default "network …".

    Attributes
    ----------
    halt : (1,) int32 array
        Set to 1 as soon as nobody shall go on: trainers look at it between steps.
    """

    def __init__(
        self,
        costs: Sequence[float],
        n_threads: int,
        do: Callable[[int], None],
        names: Callable[[int], str] = "network {}".format,
    ) -> None:
        order = sorted(range(len(costs)), key=lambda job: -costs[job])
        self._queue = deque(order)
        self._n_threads, self._do, self._names = n_threads, do, names
        self._at_work = 0
        self._lock = threading.Lock()
        self._errors: list[tuple[int, BaseException]] = []
        self.halt: Array = np.zeros(1, np.int32)

    def threads_for_each(self) -> int:
        """Threads that a job may use now: more than one where fewer jobs are left."""
        if self._queue:
            return 1
        return max(1, self._n_threads // max(1, self._at_work))

    def alone(self) -> None:
        """Let the caller do all jobs, where others would cost more than they gain."""
        self._n_threads = 1

    def run(self) -> None:
        """Do all jobs.

        Raises
        ------
        BaseException
            What a job has raised, with a note that says which, or Ctrl-C. The others have been
            halted, and all threads have ended.
        """
        helpers = [
            threading.Thread(target=contextvars.copy_context().run, args=(self._work,))
            for _ in range(min(self._n_threads, len(self._queue)) - 1)
        ]
        try:
            for helper in helpers:
                helper.start()
            self._work()
            for helper in helpers:
                while helper.is_alive():
                    helper.join(0.1)  # Ctrl-C comes through between two looks
        except BaseException:
            self.halt[0] = 1
            raise
        finally:
            for helper in helpers:
                if helper.ident is not None:
                    helper.join()
        if self._errors:
            job, error = self._errors[0]
            if isinstance(error, Exception):
                error.add_note(f"in {self._names(job)}")
            raise error

    def _work(self) -> None:
        while not self.halt[0]:
            with self._lock:
                if not self._queue:
                    return
                job = self._queue.popleft()
                self._at_work += 1
            try:
                self._do(job)
            except Halted:
                return
            except BaseException as error:
                self.halt[0] = 1
                self._errors.append((job, error))
                return
            finally:
                with self._lock:
                    self._at_work -= 1
