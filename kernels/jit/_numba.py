"""What this backend needs of Numba and llvmlite beyond their documented interface, in one place.

Numba's own cache unpickles an index and its data from whatever folder they lie in. Here only the
data are left, what ``CompileResult._reduce`` returns, and Numba's format of them is a pickle: the
description of the function, its types, and the object code. So they are only ever read from files
that :mod:`.compiling.folders` has found to be the user's own.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numba
from llvmlite.binding.ffi import lib as _llvmlite
from numba.core import cgutils, config
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.serialize import dumps

__all__ = [
    "CodeFile",
    "cached_function",
    "cached_task",
    "cgutils",
    "code_settings",
    "cpu",
    "locks",
    "renew_locks",
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


def cached_task(
    function: Callable[..., Any], signature: Any, options: dict[str, Any], file: CodeFile
) -> Any:
    """A function for C callers, compiled or loaded: it has ``address`` and ``cache_hits``."""
    compiled = CFunc(function, (signature.args, signature.return_type), {}, options)
    compiled._cache = _Cache(file)
    compiled.compile()
    return compiled


def cached_function(
    function: Callable[..., Any], signature: Any, options: dict[str, Any], file: CodeFile
) -> Any:
    """A function for Python callers, compiled or loaded, of this signature alone."""
    compiled = numba.njit(**options)(function)
    compiled._cache = _Cache(file)
    compiled.compile(signature)
    compiled.disable_compile()
    return compiled


def cpu() -> tuple[str, str, str]:
    """What Numba compiles for: triple, name and features, in LLVM's words."""
    triple, name, features = cpu_target.target_context.codegen().magic_tuple()
    return triple, name, features


def code_settings() -> str:
    """Everything of Numba's and of this CPU that compiled code depends on."""
    names = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
    return f"{cpu()} {[getattr(config, name, None) for name in names]}"


def locks() -> tuple[Any, ...]:
    """The locks that compiling holds, in the order in which it takes them."""
    return global_compiler_lock._lock, _llvmlite._lock._lock


def renew_locks() -> None:
    """In a forked child: no thread is left that would release them."""
    global_compiler_lock._lock = threading.RLock()
    _llvmlite._lock._lock = threading.RLock()
