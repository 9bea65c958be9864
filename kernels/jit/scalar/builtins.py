"""Functions that tasks call beside Python's: memory at an address, kernels by name, the processor.

In Python they only stand for what is written where a task calls them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir

from ..vector.host import LINE
from ..vector.kernel import Kernel, Signature
from ..vector.memory import DOUBLE, I32, I64
from .expressions import Expressions
from .values import SINGLE, Number, Numbers, Record, Records, to_int, to_real


class _Builtin:
    """A function whose calls become instructions."""

    def __init__(self, write: Callable[..., Any]) -> None:
        self.__doc__ = write.__doc__
        self._write = write

    def emit(self, code: Expressions, *arguments: Any, **named: Any) -> Any:
        """Write a call."""
        return self._write(code, *arguments, **named)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        raise TypeError("only compiled functions can call this")


# Memory


@_Builtin
def record(code: Expressions, address: Any, kind: type[ctypes.Structure]) -> Record:
    """The record at an address."""
    return Record(kind, to_int(code.builder, address).value)


@_Builtin
def records(code: Expressions, address: Any, kind: type[ctypes.Structure]) -> Records:
    """Records from an address on."""
    return Records(kind, to_int(code.builder, address).value)


@_Builtin
def doubles(code: Expressions, address: Any, length: Any = None) -> Numbers:
    """Doubles from an address on; with a length, negative indices count from the end."""
    known = None if length is None else to_int(code.builder, length)
    return Numbers(DOUBLE, to_int(code.builder, address).value, known)


@_Builtin
def singles(code: Expressions, address: Any) -> Numbers:
    """Values in float32 from an address on: doubles here, rounded where they are written."""
    return Numbers(SINGLE, to_int(code.builder, address).value, None)


@_Builtin
def load_int(code: Expressions, address: Any) -> Number:
    """The 64-bit integer at an address."""
    return Number("int", code.builder.load(code.at(to_int(code.builder, address).value, I64)))


@_Builtin
def address_of(code: Expressions, found: Record) -> Number:
    """Where a record lies."""
    return Number("int", found.value)


@_Builtin
def scratch(code: Expressions, size: int) -> Number:
    """Address of ``size`` (a constant) bytes on the stack, aligned to a line, for this call."""
    with code.builder.goto_entry_block():
        slot = code.builder.alloca(ir.ArrayType(ir.IntType(8), size))
    slot.align = LINE
    return Number("int", code.builder.ptrtoint(slot, I64))


@_Builtin
def to_single(code: Expressions, x: Any) -> Number:
    """A number rounded to float32."""
    rounded = code.builder.fptrunc(to_real(code.builder, x).value, SINGLE)
    return Number("real", code.builder.fpext(rounded, DOUBLE))


# Kernels and tasks


class Calls:
    """Calls of machine code by the names of its arguments.

    ``call(address, name=value, …)`` with each of the signature's names; a wrong one, a missing one,
    or one too many is a ``TypeError`` when the call is written, before anything is compiled.
    """

    def __init__(self, what: str, signature: Signature) -> None:
        self.what, self.signature = what, signature

    def emit(self, code: Expressions, *where: Any, **named: Any) -> None:
        """Write a call."""
        if len(where) != 1:
            raise TypeError(f"{self.what} takes its arguments by name, got {where}")
        self.write(code, where[0], named)

    def write(self, code: Expressions, address: Any, named: dict[str, Any]) -> None:
        """Write a call of the code at an address."""
        ints, doubles = self.signature
        if set(named) != set(self.signature.names):
            missing = [name for name in self.signature.names if name not in named]
            unknown = [name for name in named if name not in self.signature.names]
            raise TypeError(f"{self.what} lacks the arguments {missing}, does not know {unknown}")
        values = [to_int(code.builder, named[name]).value for name in ints]
        values += [to_real(code.builder, named[name]).value for name in doubles]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        code.builder.call(code.at(to_int(code.builder, address).value, kind), values)

    def __call__(self, *arguments: Any, **named: Any) -> None:
        raise TypeError("only compiled functions can call this")


class KernelCalls(Calls):
    """Calls of kernels in the table: ``call(plan, index, name=value, …)``.

    Parameters
    ----------
    *kernels : Kernel
        Of one signature, any of which may stand at the index.
    index : int, optional
        Where the one that is meant stands; its callers do not give it then.
    """

    def __init__(self, *kernels: Kernel, index: int | None = None) -> None:
        signatures = {kernel.signature for kernel in kernels}
        if len(signatures) != 1:
            raise TypeError(f"signatures differ: {sorted(signatures)}")
        super().__init__(kernels[0].name, signatures.pop())
        self.kernels, self.index = kernels, index

    def emit(self, code: Expressions, *where: Any, **named: Any) -> None:
        if len(where) != 1 + (self.index is None):
            raise TypeError(f"{self.what} takes its arguments by name, got {where[1:]}")
        plan, place = where[0], self.index if self.index is not None else where[1]
        table = code.load_field(plan, "table")
        offset = code.builder.mul(to_int(code.builder, place).value, ir.Constant(I64, 8))
        slot = code.at(code.builder.add(table.value, offset), I64)
        self.write(code, Number("int", code.builder.load(slot)), named)


#: A task of a phase: :mod:`..compiling.lazy`.
TASK = Signature(("plan", "step", "index"))
call_task = Calls("a task", TASK)


# The processor


@_Builtin
def fetch_add(code: Expressions, address: Any) -> Number:
    """Add one to the integer at an address, atomically; its value before."""
    slot = code.at(to_int(code.builder, address).value, I64)
    return Number("int", code.builder.atomic_rmw("add", slot, ir.Constant(I64, 1), "acq_rel"))


@_Builtin
def load_acquire(code: Expressions, address: Any) -> Number:
    """The integer at an address, and after it all that was written before it."""
    slot = code.at(to_int(code.builder, address).value, I64)
    return Number("int", code.builder.load_atomic(slot, "acquire", 8))


@_Builtin
def relax(code: Expressions) -> None:
    """Tell the CPU that this thread waits in a loop."""
    if _family() == "x86_64":
        code.intrinsic("llvm.x86.sse2.pause", ir.VoidType())


@_Builtin
def give_way(code: Expressions) -> None:
    """Let another thread run (where the system has ``sched_yield``)."""
    if "windows" not in binding.get_process_triple():
        code.intrinsic("sched_yield", I32)


@_Builtin
def flush_subnormals(code: Expressions) -> Number:
    """Let this thread take subnormal numbers for zeros; returns the mode it was in.

    They come by themselves in training (the mean of a gradient that has become zero decays into
    them), mean nothing there, and double the time of an update.
    """
    before = _float_mode(code)
    flush = ir.Constant(I64, _FLUSH.get(_family(), 0))
    _set_float_mode(code, code.builder.or_(before, flush))
    return Number("int", before)


@_Builtin
def set_float_mode(code: Expressions, mode: Any) -> None:
    """Go back to a mode that :func:`flush_subnormals` returned."""
    _set_float_mode(code, to_int(code.builder, mode).value)


#: Bits of the control register: results to zero, operands as zero.
_FLUSH = {"x86_64": 0x8040, "aarch64": 1 << 24}


def _family() -> str:
    architecture: str = binding.get_process_triple().split("-")[0]
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(architecture, architecture)


def _float_mode(code: Expressions) -> Any:
    if _family() == "x86_64":
        slot = _control(code, "llvm.x86.sse.stmxcsr", None)
        return code.builder.zext(code.builder.load(slot), I64)
    if _family() == "aarch64":
        kind = ir.FunctionType(I64, [])
        return code.builder.asm(kind, "mrs $0, fpcr", "=r", [], side_effect=True)
    return ir.Constant(I64, 0)


def _set_float_mode(code: Expressions, mode: Any) -> None:
    if _family() == "x86_64":
        _control(code, "llvm.x86.sse.ldmxcsr", code.builder.trunc(mode, I32))
    elif _family() == "aarch64":
        kind = ir.FunctionType(ir.VoidType(), [I64])
        code.builder.asm(kind, "msr fpcr, $0", "r", [mode], side_effect=True)


def _control(code: Expressions, name: str, value: Any) -> Any:
    """Call an instruction on the control register with a place in memory, which it returns."""
    with code.builder.goto_entry_block():
        slot = code.builder.alloca(I32)
    if value is not None:
        code.builder.store(value, slot)
    code.intrinsic(name, ir.VoidType(), code.builder.bitcast(slot, ir.IntType(8).as_pointer()))
    return slot
