"""One caller at a time: whoever comes meanwhile gets an error, before any memory is touched."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Caller:
    """A thread of a process, and what it is doing: the call of a frame."""

    def __init__(self, doing: str, frame: FrameType) -> None:
        self.doing, self.frame = doing, frame
        self.thread, self.process = threading.get_ident(), os.getpid()

    def has_left(self) -> bool:
        """Whether the call is over: an exception out of a signal handler may have come just before
        it could say so."""
        if self.process != os.getpid():
            return False
        frame = sys._current_frames().get(self.thread)
        while frame is not None and frame is not self.frame:
            frame = frame.f_back
        return frame is None


class Use:
    """Who uses an object of this name at present.

    A lock would not do: a signal handler that is called in the middle of its own thread's call
    would wait for itself, and a forked child for a thread that it has not got.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._callers: dict[str, _Caller] = {}

    @contextmanager
    def by(self, doing: str, within: str | None = None, anew: bool = False) -> Iterator[None]:
        """Use the object alone.

        ``within`` names what a handler of the same thread may interrupt to do this; what is done
        ``anew`` does not mind what a fork has cut off.
        """
        caller = _Caller(doing, sys._getframe(2))  # past the generator and its context manager
        holder = self._callers.setdefault("now", caller)  # atomic
        if holder is not caller and holder.has_left():
            holder = self._callers["now"] = caller
        if holder is not caller:
            same_process = holder.process == caller.process
            if same_process and holder.thread != caller.thread:
                raise RuntimeError(f"this {self._name} is in use by another thread")
            if same_process and holder.doing != within:
                raise RuntimeError(
                    f"this {self._name} is in use: {doing} was called in the middle of "
                    f"{holder.doing}"
                )
            if not same_process and not anew:
                raise RuntimeError(
                    f"this {self._name} was in use when the process was forked; load it anew"
                )
            self._callers["now"] = caller
        try:
            yield
        finally:
            if self._callers.get("now") is caller:  # not another's, who found this one gone
                if holder is not caller and holder.process == caller.process:
                    self._callers["now"] = holder
                else:
                    del self._callers["now"]
