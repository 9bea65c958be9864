"""What compiled code computes with: integers and doubles, records and arrays at an address."""

from __future__ import annotations

import ctypes
from typing import Any, Literal, NamedTuple, TypeAlias

from llvmlite import ir

from ..vector.memory import DOUBLE, I64

FLAG, SINGLE = ir.IntType(1), ir.FloatType()


class Untranslatable(TypeError):
    """Python that is none of the language's."""


class Number(NamedTuple):
    """A 64-bit integer, a double, or the truth of a condition."""

    kind: Literal["int", "real", "flag"]
    value: Any


class Record(NamedTuple):
    """A record in memory; ``value`` is its address."""

    kind: type[ctypes.Structure]
    value: Any


class Numbers(NamedTuple):
    """Doubles, or float32 that are read and written as doubles, one after the other."""

    kind: Any
    value: Any
    length: Number | None


class Records(NamedTuple):
    """Records one after the other."""

    kind: type[ctypes.Structure]
    value: Any


#: What has a value in compiled code; everything else is known while it is written.
Value: TypeAlias = Number | Record | Numbers | Records


class Slot:
    """A variable: one kind of value in a place on the stack, which LLVM makes a register."""

    def __init__(self, builder: Any, example: Number | Record) -> None:
        with builder.goto_entry_block():
            self.place = builder.alloca(example.value.type)
        self.example = example

    def load(self, builder: Any) -> Number | Record:
        """The value that it has now."""
        return self.example._replace(value=builder.load(self.place))


def integer(value: int) -> Number:
    """A constant."""
    return Number("int", ir.Constant(I64, value))


def real(value: float) -> Number:
    """A constant."""
    return Number("real", ir.Constant(DOUBLE, value))


def number(value: Any) -> Number:
    """A number of compiled code, or a constant."""
    if isinstance(value, Number):
        return value
    if isinstance(value, (bool, int)):
        return integer(int(value))
    if isinstance(value, float):
        return real(value)
    raise Untranslatable(f"{value!r} is no number")


def to_int(builder: Any, value: Any) -> Number:
    """An integer, also of the truth of a condition; of a real only Python's ``int`` makes one."""
    x = number(value)
    if x.kind == "real":
        raise Untranslatable("a real stands where an integer must")
    return x if x.kind == "int" else Number("int", builder.zext(x.value, I64))


def to_real(builder: Any, value: Any) -> Number:
    """A double, also of an integer."""
    x = number(value)
    if x.kind == "real":
        return x
    return Number("real", builder.sitofp(to_int(builder, x).value, DOUBLE))


def truth(builder: Any, value: Any) -> Any:
    """Whether a number is not zero, as a bit."""
    x = number(value)
    if x.kind == "flag":
        return x.value
    if x.kind == "int":
        return builder.icmp_signed("!=", x.value, ir.Constant(I64, 0))
    return builder.fcmp_unordered("!=", x.value, ir.Constant(DOUBLE, 0.0))


def storable(builder: Any, value: Any) -> Number | Record:
    """What a variable may hold: conditions become integers."""
    if isinstance(value, Record):
        return value
    x = number(value)
    return to_int(builder, x) if x.kind == "flag" else x
