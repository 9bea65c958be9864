"""Workspaces kept from call to call."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._workspace import Workspace


class _Pool:
    """Workspaces of earlier calls, so that a kernel called again with equal shapes allocates
    nothing."""

    def __init__(self, count: int, nbytes: int) -> None:
        self._count, self._nbytes = count, nbytes
        self.reset()

    def reset(self) -> None:
        """Forget all workspaces (in a forked child, another thread may have held the lock)."""
        self._lock = threading.Lock()
        self._idle: list[tuple[Any, Workspace]] = []

    @contextmanager
    def workspace(self, purpose: str, key: tuple[Any, ...], **options: Any) -> Iterator[Workspace]:
        """A workspace of ``(sizes, activations, dtype, rows)`` for this caller alone; one that was
        used before has been used for the same purpose."""
        whole_key = (purpose, key, tuple(options.values()))
        found = None
        with self._lock:
            for i, (known, _) in enumerate(self._idle):
                if known == whole_key:
                    found = self._idle.pop(i)[1]
                    break
        if found is None:
            found = Workspace(*key, **options)
        yield found
        found.keep()
        with self._lock:
            self._idle.insert(0, (whole_key, found))
            while len(self._idle) > self._count or self._total() > self._nbytes:
                self._idle.pop()

    def _total(self) -> int:
        return sum(workspace.nbytes for _, workspace in self._idle)


pool = _Pool(count=16, nbytes=64 << 20)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.reset)
