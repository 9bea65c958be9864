"""Calls from the engines back into NumPy: memory, and exceptions, which cannot pass through C.

An exception waits for the caller of the engine that it was raised in. Whose that is follows from
the thread: a callback runs in the thread of the call, or in one of a pool, which works for one
caller at a time and says for which.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ._typing import Array

#: What callbacks have raised, by the caller that it waits for.
_errors: dict[int, list[BaseException]] = {}

#: Exceptions of one call that are named beside the first.
_NAMED = 10


class Pool:
    """Threads of an engine that work for one caller at a time: which caller they work for now."""

    def __init__(self) -> None:
        #: The caller of the work in progress, by ``threading.get_ident``.
        self.owner: int | None = None

    def caller(self) -> int:
        """Whose callback runs in this thread: an engine's own threads are none of Python's."""
        if self.owner is not None and _is_foreign():
            return self.owner
        return threading.get_ident()


def _is_foreign() -> bool:
    return isinstance(threading.current_thread(), threading._DummyThread)


#: The threads of the Numba backend.
TEAM = Pool()


def _after_fork() -> None:
    _errors.clear()
    TEAM.owner = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

#: Says whose callback runs in this thread; the compiled backend puts its own here.
native_caller: Callable[[], int] = threading.get_ident


def use_native_caller(caller: Callable[[], int]) -> None:
    """Ask this for the caller of C functions made by :func:`address`."""
    global native_caller
    native_caller = caller


def raise_pending(caller: int | None = None) -> None:
    """Raise what went wrong in callbacks of this caller, by default the thread, since last time.

    Exceptions after the first are named in its notes.
    """
    if not _errors:
        return
    errors = _errors.pop(threading.get_ident() if caller is None else caller, None)
    if not errors:
        return
    first, *others = errors
    for other in others[:_NAMED]:
        first.add_note(f"also raised in this call: {type(other).__name__}: {other}")
    if len(others) > _NAMED:
        first.add_note(f"and {len(others) - _NAMED} exceptions more")
    raise first


def run_block(
    custom: Any,
    inputs: tuple[Array, ...],
    outputs: tuple[Array, ...],
    caller: Callable[[], int] | None = None,
) -> None:
    """Evaluate into arrays; an exception is kept for :func:`raise_pending`."""
    try:
        for array, value in zip(outputs, custom.evaluate(*inputs), strict=True):
            array[...] = value
    except BaseException as error:
        _errors.setdefault((caller or native_caller)(), []).append(error)
        for array in outputs:
            array.fill(np.nan)


def memory(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Memory at an address as an array."""
    n = int(np.prod(shape))
    if n == 0:
        return np.empty(shape, dtype)
    buffer = (ctypes.c_char * (n * dtype.itemsize)).from_address(address)
    return np.ndarray(shape, dtype, buffer)  # type: ignore[arg-type]


@functools.cache
def _c_function(custom: Any, dtype: np.dtype[Any], pointers: int, counts: int) -> Any:
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * pointers, *[ctypes.c_int64] * counts)
    return kind(functools.partial(custom.run_block, dtype))


def address(custom: Any, dtype: np.dtype[Any], pointers: int, counts: int) -> int:
    """Address of a C function of so many arguments that calls ``custom.run_block``."""
    say_that_it_is_slow(custom.name)
    function = _c_function(custom, dtype, pointers, counts)  # kept alive by the cache
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


@functools.cache
def say_that_it_is_slow(name: str) -> None:
    """Warn once for each name."""
    missing = importlib.util.find_spec("numba") is None
    reason = (
        "numba is not installed (pip install 'fastmlp[numba]')"
        if missing
        else "it has operations that native code does not"
    )
    # The line that called the package, however many frames away it is.
    level, frame = 2, sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(
        f"{name!r} runs as NumPy inside the engine, which is slow: {reason}",
        RuntimeWarning,
        stacklevel=level,
    )
