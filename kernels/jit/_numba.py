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
from llvmlite import binding as llvm
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
    "object_code",
    "renew_locks",
    "running",
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
    compiled: Any = CFunc(function, (signature.args, signature.return_type), {}, options)
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


def _target_machine() -> Any:
    """What writes machine code as Numba's own does."""
    options: dict[str, Any] = {"opt": int(config.OPT)}
    cpu_target.target_context.codegen()._customize_tm_options(options)
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(**options)


#: What the vector language leaves to LLVM: variables into registers, loops tested at their end. The
#: standard passes take ten times as long for the same loops, and llvmlite loses 0.4 MB in each run.
_PASSES = (
    *("sroa", "instruction_combine", "simplify_cfg", "loop_rotate"),
    *("instruction_combine", "sinking"),
)


def object_code(module: Any) -> bytes:
    """An object file of a module of ``llvmlite.ir``."""
    machine, context = _target_machine(), llvm.create_context()
    module.triple, module.data_layout = llvm.get_process_triple(), str(machine.target_data)
    parsed = llvm.parse_assembly(str(module), context)
    tuning = llvm.create_pipeline_tuning_options(speed_level=int(config.OPT))
    passes = llvm.create_pass_builder(machine, tuning)
    manager = llvm.create_new_module_pass_manager()
    for name in _PASSES:
        getattr(manager, f"add_{name}_pass")()
    manager.run(parsed, passes)
    content: bytes = machine.emit_object(parsed)
    for made in (manager, passes, tuning, parsed, machine, context):
        made.close()
    return content


def running(content: bytes, symbol: str) -> tuple[int, Callable[[], None]]:
    """Bring an object file into memory: the address of a function, and what frees all of it."""
    context = llvm.create_context()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly("", context), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(content))
    engine.finalize_object()

    def dispose() -> None:
        engine.close()
        context.close()

    return int(engine.get_function_address(symbol)), dispose


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
