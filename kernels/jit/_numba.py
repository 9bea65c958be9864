"""What this backend needs of Numba beyond its documented interface, in one place.

Its thread pool, and functions that take NumPy arrays from Python without looking at them in Python.
Numba's own cache unpickles an index and its data from whatever folder they lie in. Here only the
data are left, what ``CompileResult._reduce`` returns, and Numba's format of them is a pickle: the
description of the function, its types, and the object code. So they are only ever read from files
that :mod:`.compiling.folders` has found to be the user's own.

Importing Numba takes a third of a second, so this module is imported when it is first needed.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import pickle
from collections.abc import Callable
from typing import Any, Protocol

import numba
from numba.core import cgutils, config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.np.ufunc import parallel

__all__ = [
    "CodeFile",
    "cached_function",
    "cgutils",
    "code_settings",
    "layer",
    "parallel_for",
    "pool_limit",
    "pool_size",
]


class CodeFile(Protocol):
    """Where the code of one function of one signature is kept."""

    def read(self) -> bytes | None: ...

    def write(self, content: bytes) -> None: ...


class _Cache:
    """What Numba's dispatchers expect of a cache, over one file."""

    def __init__(self, file: CodeFile) -> None:
        self._file = file

    @property
    def cache_path(self) -> str:
        """Shown by ``Dispatcher.stats``."""
        return str(self._file)

    def load_overload(self, signature: Any, context: Any) -> Any:
        context.refresh()
        content = self._file.read()
        if content is None:
            return None
        try:
            return CompileResult._rebuild(context, *pickle.loads(content))
        except Exception:  # code of a function that this version of Numba does not know
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        if not compiled.library.has_dynamic_globals:  # addresses of this process
            self._file.write(dumps(compiled._reduce()))


def cached_function(
    function: Callable[..., Any], signature: Any, options: dict[str, Any], file: CodeFile
) -> Any:
    """A function for Python callers, compiled or loaded, of this signature alone."""
    compiled = numba.njit(**options)(function)
    compiled._cache = _Cache(file)
    compiled.compile(signature)
    compiled.disable_compile()
    return compiled


def code_settings() -> str:
    """Everything of Numba's that the code of such functions depends on."""
    names = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
    return str([str(getattr(config, name, None)) for name in names])


# The thread pool


def pool_size() -> int:
    """Threads of the pool."""
    return int(config.NUMBA_NUM_THREADS)


def pool_limit() -> int:
    """How many of them may be used now."""
    return int(numba.get_num_threads())


def layer() -> str:
    """Which library the threads come from."""
    return str(config.THREADING_LAYER)


@functools.cache
def _parallel_for() -> Callable[..., None]:
    """The pool's function that runs the loop of a ufunc, in parts, one in each thread."""
    parallel._launch_threads()
    names = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
    library = importlib.import_module(f"numba.np.ufunc.{names[numba.threading_layer()]}")
    kinds = [*[ctypes.c_void_p] * 5, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    return ctypes.CFUNCTYPE(None, *kinds)(library.parallel_for)


def parallel_for(function: int, argument: int, members: int) -> None:
    """Call ``function(arguments, sizes, steps, data)`` in so many threads at a time.

    It finds ``argument`` at the address ``arguments``, and at ``sizes`` for how many of the members
    it is called.
    """
    arguments, sizes = (ctypes.c_int64 * 1)(argument), (ctypes.c_size_t * 1)(members)
    _parallel_for()(function, arguments, sizes, (ctypes.c_size_t * 1)(0), None, 0, 1, members)
