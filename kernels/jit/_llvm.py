"""What this backend needs of LLVM: machine code of a module, and bringing it into memory.

llvmlite alone, which is quicker to import than Numba, and whose code can be freed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import binding as llvm
from llvmlite.binding.ffi import lib as _llvmlite

#: What the two languages leave to LLVM: variables into registers, loops tested at their end. The
#: standard passes take ten times as long for the same loops.
_PASSES = (
    *("sroa", "instruction_combine", "simplify_cfg", "loop_rotate"),
    *("instruction_combine", "sinking"),
)


@functools.cache
def _initialise() -> None:
    with contextlib.suppress(RuntimeError):  # newer versions have done it
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@functools.cache
def cpu() -> tuple[str, str, str]:
    """What is compiled for: triple, name and features, in LLVM's words. Numba's variables
    ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` may name another one."""
    _initialise()
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name == "generic" else llvm.get_host_cpu_features().flatten()
    return llvm.get_process_triple(), name, features


def _target_machine() -> Any:
    triple, name, features = cpu()
    target = llvm.Target.from_triple(triple)
    reloc = "static" if target.name.startswith("x86") else "default"
    options: dict[str, Any] = {"cpu": name, "features": features, "opt": 3, "reloc": reloc}
    return target.create_target_machine(**options, codemodel="jitdefault", jit=True)


@functools.cache
def _compiler() -> tuple[Any, Any, Any]:
    """What writes machine code, and the passes before it; llvmlite loses some kB of each."""
    machine = _target_machine()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    manager = llvm.create_new_module_pass_manager()
    for name in _PASSES:
        getattr(manager, f"add_{name}_pass")()
    return machine, builder, manager


def object_code(module: Any) -> bytes:
    """An object file of a module of ``llvmlite.ir``."""
    (machine, builder, manager), context = _compiler(), llvm.create_context()
    module.triple, module.data_layout = llvm.get_process_triple(), str(machine.target_data)
    parsed = llvm.parse_assembly(str(module), context)
    manager.run(parsed, builder)
    content: bytes = machine.emit_object(parsed)
    parsed.close()
    context.close()
    return content


def running(content: bytes, symbols: Sequence[str]) -> tuple[list[int], Callable[[], None]]:
    """Bring an object file into memory: addresses of functions, and what frees all of it."""
    context = llvm.create_context()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly("", context), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(content))
    engine.finalize_object()

    def dispose() -> None:
        engine.close()
        context.close()

    return [int(engine.get_function_address(symbol)) for symbol in symbols], dispose


# Locks


def _numbas() -> Any:
    """Numba's module of its lock, where Numba is imported."""
    return sys.modules.get("numba.core.compiler_lock")


def locks() -> tuple[Any, ...]:
    """The locks that compiling holds, in the order in which it takes them."""
    numbas = _numbas()
    own = (_llvmlite._lock._lock,)
    return own if numbas is None else (numbas.global_compiler_lock._lock, *own)


def renew_locks() -> None:
    """In a forked child: no thread is left that would release them."""
    numbas = _numbas()
    if numbas is not None:
        numbas.global_compiler_lock._lock = threading.RLock()
    _llvmlite._lock._lock = threading.RLock()
