"""Whose turn it is to compile: one thread at a time, whole or not at all, and never across a fork.

Everything that is compiled or loaded is made within :func:`compiling`.

*Ctrl-C* waits until the function that is being compiled is ready: Numba loses an exception that is
raised in its callbacks and then stumbles over what is missing. A second Ctrl-C is not held back.

*A fork* waits until no thread compiles, as ``malloc`` does: the child's copy of Numba, llvmlite and
LLVM would otherwise be what another thread had left half done, with locks that nobody releases.
Only where that takes too long does the child get new locks, and an error where it would have to
compile.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .._llvm import locks, renew_locks

#: Seconds that a fork waits for another thread's compiling.
PATIENCE = 20.0


class _Fork(threading.local):
    """What a thread that forks has locked meanwhile: several threads may fork at once."""

    held: Sequence[Any] = ()
    complete = False  # no other thread compiles


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.half_done = False  # this process was forked while another thread was compiling
        self.interrupts: _Interrupts | None = None
        self._fork = _Fork()

    def before_fork(self) -> None:
        held: list[Any] = []
        self._fork.held = held
        self._fork.complete = _lock(self.lock, held) and all(_lock(one, held) for one in locks())

    def after_in_parent(self) -> None:
        for lock in reversed(self._fork.held):
            lock.release()
        self._fork.held = ()

    def after_in_child(self) -> None:
        self.after_in_parent()
        if not self._fork.complete:
            self.lock, self.half_done, self.interrupts = threading.RLock(), True, None
            renew_locks()


def _lock(lock: Any, held: list[Any]) -> bool:
    """Take a lock for a fork, and note it; false where that takes too long."""
    taken = bool(lock.acquire(timeout=PATIENCE))
    if taken:
        held.append(lock)
    return taken


_turn = _Turn()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_turn.before_fork,
        after_in_parent=_turn.after_in_parent,
        after_in_child=_turn.after_in_child,
    )


@contextmanager
def compiling() -> Iterator[None]:
    """Let no other thread compile; what is made inside is made completely."""
    with _turn.lock:
        if _turn.half_done:
            raise RuntimeError(
                "this process was forked while another thread was compiling Numba kernels; "
                "start processes before that, or with the methods 'spawn' or 'forkserver'"
            )
        outermost = _turn.interrupts is None
        if not outermost or threading.current_thread() is not threading.main_thread():
            yield
            return
        _turn.interrupts = _Interrupts()
        try:
            yield
        finally:
            interrupts, _turn.interrupts = _turn.interrupts, None
            interrupts.deliver()


class _Interrupts:
    """Holds back the first Ctrl-C of the main thread until :meth:`deliver`."""

    def __init__(self) -> None:
        self._waiting: tuple[Any, Any] | None = None
        self._handler = signal.getsignal(signal.SIGINT)
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if self._waiting is None:
            self._waiting = number, frame
        elif callable(self._handler):
            self._handler(number, frame)

    def deliver(self) -> None:
        """Let the signal's own handler have what came."""
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._handler)
            if self._waiting is not None:
                self._handler(*self._waiting)
