"""What compiled Python needs beyond Numba: memory at an address, calls by address, atomics."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from .._numba import cgutils
from ..vector.host import LINE
from .lazy import carray, inline, intrinsic, literal_intrinsic

_I64 = ir.IntType(64)


@intrinsic
def pointer(typingctx: Any, address: Any) -> Any:
    """An address as a pointer that ``carray`` takes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@inline
def record(address: int, kind: Any) -> Any:
    """The record of a structured dtype at an address."""
    return carray(pointer(address), 1, kind)[0]


@intrinsic
def call(typingctx: Any, address: Any, arguments: Any) -> Any:
    """Call the function at ``address`` with a tuple of integers and floats; it returns nothing."""
    kinds = [types.float64 if isinstance(t, types.Float) else types.int64 for t in arguments]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = cgutils.unpack_tuple(builder, args[1])
        values = [
            context.cast(builder, value, t, kind)
            for value, t, kind in zip(values, arguments, kinds, strict=True)
        ]
        signature_ir = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(args[0], signature_ir.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), codegen


@intrinsic
def load_int(typingctx: Any, address: Any) -> Any:
    """The 64-bit integer at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], _I64.as_pointer()))

    return types.int64(types.int64), codegen


@literal_intrinsic
def scratch(typingctx: Any, size: Any) -> Any:
    """Address of ``size`` (a constant) bytes on the stack, aligned to a line, for this call."""
    if not isinstance(size, types.IntegerLiteral):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.ArrayType(ir.IntType(8), size.literal_value)
        with builder.goto_entry_block():  # unlike cgutils.alloca_once, without filling it
            slot = builder.alloca(kind)
        slot.align = LINE
        return builder.ptrtoint(slot, _I64)

    return types.int64(size), codegen


@intrinsic
def fetch_add(typingctx: Any, address: Any) -> Any:
    """Add one to the integer at an address, atomically; its value before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        slot = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.atomic_rmw("add", slot, ir.Constant(_I64, 1), "acq_rel")

    return types.int64(types.int64), codegen


@intrinsic
def load_acquire(typingctx: Any, address: Any) -> Any:
    """The integer at an address, and after it all that was written before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        slot = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.load_atomic(slot, "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def relax(typingctx: Any) -> Any:
    """Tell the CPU that this thread waits in a loop."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        triple = context.codegen().magic_tuple()[0]
        if triple.startswith("x86_64"):
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(
                cgutils.get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"), []
            )
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(typingctx: Any) -> Any:
    """Let another thread run (where the system has ``sched_yield``)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if "windows" not in context.codegen().magic_tuple()[0]:
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def flush_subnormals(typingctx: Any) -> Any:
    """Let this thread take subnormal numbers for zeros; returns the mode it was in.

    They come by themselves in training (the mean of a gradient that has become zero decays into
    them), mean nothing there, and double the time of an update.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        before = _float_mode(context, builder)
        flush = _FLUSH.get(_family(context), 0)
        _set_float_mode(context, builder, builder.or_(before, ir.Constant(_I64, flush)))
        return before

    return types.int64(), codegen


@intrinsic
def set_float_mode(typingctx: Any, mode: Any) -> Any:
    """Go back to a mode that :func:`flush_subnormals` returned."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _set_float_mode(context, builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


#: Bits of the control register: results to zero, operands as zero.
_FLUSH = {"x86_64": 0x8040, "aarch64": 1 << 24}


def _family(context: Any) -> str:
    architecture: str = context.codegen().magic_tuple()[0].split("-")[0]
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(architecture, architecture)


def _float_mode(context: Any, builder: Any) -> Any:
    if _family(context) == "x86_64":
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        _control(builder, "llvm.x86.sse.stmxcsr", slot)
        return builder.zext(builder.load(slot), _I64)
    if _family(context) == "aarch64":
        kind = ir.FunctionType(_I64, [])
        return builder.asm(kind, "mrs $0, fpcr", "=r", [], side_effect=True)
    return ir.Constant(_I64, 0)


def _set_float_mode(context: Any, builder: Any, mode: Any) -> None:
    if _family(context) == "x86_64":
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(builder.trunc(mode, ir.IntType(32)), slot)
        _control(builder, "llvm.x86.sse.ldmxcsr", slot)
    elif _family(context) == "aarch64":
        kind = ir.FunctionType(ir.VoidType(), [_I64])
        builder.asm(kind, "msr fpcr, $0", "r", [mode], side_effect=True)


def _control(builder: Any, name: str, slot: Any) -> None:
    byte_pointer = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte_pointer])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    builder.call(function, [builder.bitcast(slot, byte_pointer)])
