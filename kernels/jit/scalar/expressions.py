"""What the expressions of Python become."""

from __future__ import annotations

import ast
import ctypes
import math
import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

from llvmlite import ir

from ..vector.memory import DOUBLE, I64
from .values import (
    SINGLE,
    Number,
    Numbers,
    Record,
    Records,
    Slot,
    Untranslatable,
    integer,
    number,
    to_int,
    to_real,
    truth,
)

_FOLDED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Pow: operator.pow, ast.LShift: operator.lshift, ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
}  # fmt: skip
_OF_INTEGERS = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.LShift: "shl", ast.RShift: "ashr",
    ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor",
}  # fmt: skip
_OF_REALS = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
_RELATIONS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


class Builtin(Protocol):
    """A function of the language itself: writes instructions where it is called."""

    def emit(self, code: Expressions, *arguments: Any, **named: Any) -> Any: ...


class Expressions:
    """Writes expressions of one function at the place of a builder.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    names : mapping
        What the function finds outside of it.
    """

    def __init__(self, builder: Any, names: dict[str, Any]) -> None:
        self.builder, self.names = builder, names
        self.variables: dict[str, Any] = {}

    def expression(self, node: ast.expr) -> Any:
        """What an expression is: a value, or something that is known already."""
        write = getattr(self, f"_{type(node).__name__.lower()}", None)
        if write is None:
            raise Untranslatable(f"{type(node).__name__} is not understood")
        return write(node)

    def expand(self, function: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        """Write a function in place of its call."""
        raise NotImplementedError

    # Names

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in self.variables:
            found = self.variables[node.id]
            return found.load(self.builder) if isinstance(found, Slot) else found
        if node.id in self.names:
            return self.names[node.id]
        if node.id in _BUILTINS:
            return _BUILTINS[node.id]
        raise Untranslatable(f"{node.id} is not known")

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self.expression(element) for element in node.elts)

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.expression(node.value)
        if isinstance(owner, Record):
            return self.load_field(owner, node.attr)
        if isinstance(owner, ModuleType):
            found = getattr(owner, node.attr)
            return _BUILTINS.get(f"{owner.__name__}.{node.attr}", found)
        raise Untranslatable(f"{node.attr} of {owner!r}")

    # Memory

    def at(self, address: Any, kind: Any) -> Any:
        """An address as a pointer of LLVM's."""
        return self.builder.inttoptr(address, kind.as_pointer())

    def _field(self, owner: Record, name: str) -> tuple[Any, Any]:
        """Address and type of a field."""
        kinds = {field[0]: field[1] for field in owner.kind._fields_}
        if name not in kinds:
            raise Untranslatable(f"{owner.kind.__name__} has no field {name}")
        offset = ir.Constant(I64, getattr(owner.kind, name).offset)
        return self.builder.add(owner.value, offset), kinds[name]

    def load_field(self, owner: Record, name: str) -> Number | Record:
        """``owner.name``"""
        address, kind = self._field(owner, name)
        if issubclass(kind, ctypes.Structure):
            return Record(kind, address)
        if kind is ctypes.c_double:
            return Number("real", self.builder.load(self.at(address, DOUBLE)))
        return Number("int", self.builder.load(self.at(address, I64)))

    def store_field(self, owner: Any, name: str, value: Any) -> None:
        """``owner.name = value``"""
        if not isinstance(owner, Record):
            raise Untranslatable(f"{owner!r} is no record")
        address, kind = self._field(owner, name)
        is_real = kind is ctypes.c_double
        x = (to_real if is_real else to_int)(self.builder, value)
        self.builder.store(x.value, self.at(address, DOUBLE if is_real else I64))

    def _element(self, array: Any, index: Any) -> Any:
        """Address of an element."""
        if isinstance(index, int) and index < 0:
            if getattr(array, "length", None) is None:
                raise Untranslatable("a negative index needs a length")
            index = Number("int", self.builder.add(array.length.value, integer(index).value))
        size = ctypes.sizeof(array.kind) if isinstance(array, Records) else _BYTES[array.kind]
        places = self.builder.mul(to_int(self.builder, index).value, integer(size).value)
        return self.builder.add(array.value, places)

    def _subscript(self, node: ast.Subscript) -> Any:
        array, index = self.expression(node.value), self.expression(node.slice)
        if type(array) is tuple:
            return array[index]
        if isinstance(array, Records):
            return Record(array.kind, self._element(array, index))
        if not isinstance(array, Numbers):
            raise Untranslatable(f"{array!r} has no elements")
        x = self.builder.load(self.at(self._element(array, index), array.kind))
        return Number("real", self.builder.fpext(x, DOUBLE) if array.kind == SINGLE else x)

    def store_element(self, array: Any, index: Any, value: Any) -> None:
        """``array[index] = value``"""
        if not isinstance(array, Numbers):
            raise Untranslatable(f"{array!r} has no elements to write")
        x = to_real(self.builder, value).value
        if array.kind == SINGLE:
            x = self.builder.fptrunc(x, SINGLE)
        self.builder.store(x, self.at(self._element(array, index), array.kind))

    # Arithmetic

    def _binop(self, node: ast.BinOp) -> Any:
        return self.binary(type(node.op), self.expression(node.left), self.expression(node.right))

    def binary(self, kind: type[ast.operator], left: Any, right: Any) -> Any:
        """``left op right``"""
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return _FOLDED[kind](left, right)
        x, y = number(left), number(right)
        b = self.builder
        if kind is ast.Pow:
            arguments = [to_real(b, x).value, to_real(b, y).value]
            return Number("real", self.intrinsic("llvm.pow.f64", DOUBLE, *arguments))
        if kind is ast.Div or (kind in _OF_REALS and "real" in (x.kind, y.kind)):
            write = getattr(b, _OF_REALS[kind])
            return Number("real", write(to_real(b, x).value, to_real(b, y).value))
        a, c = to_int(b, x).value, to_int(b, y).value
        if kind in _OF_INTEGERS:
            return Number("int", getattr(b, _OF_INTEGERS[kind])(a, c))
        if kind in (ast.FloorDiv, ast.Mod):
            return Number("int", self._floored(a, c, kind is ast.Mod))
        raise Untranslatable(f"{kind.__name__} is not understood")

    def _floored(self, a: Any, b: Any, remainder: bool) -> Any:
        """Quotient or remainder, as Python rounds them."""
        builder, zero = self.builder, ir.Constant(I64, 0)
        rest = builder.srem(a, b)
        signs = builder.icmp_signed("<", builder.xor(rest, b), zero)
        below = builder.and_(builder.icmp_signed("!=", rest, zero), signs)
        if remainder:
            return builder.add(rest, builder.select(below, b, zero))
        return builder.sub(builder.sdiv(a, b), builder.zext(below, I64))

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        x = self.expression(node.operand)
        if isinstance(node.op, ast.Not):
            return Number("flag", self.builder.not_(truth(self.builder, x)))
        if not isinstance(node.op, ast.USub):
            raise Untranslatable(f"{type(node.op).__name__} is not understood")
        if isinstance(x, (int, float)):
            return -x
        x = number(x)
        if x.kind == "real":
            return Number("real", self.builder.fneg(x.value))
        return Number("int", self.builder.neg(to_int(self.builder, x).value))

    def _compare(self, node: ast.Compare) -> Number:
        left, result = self.expression(node.left), None
        for kind, other in zip(node.ops, node.comparators, strict=True):
            right = self.expression(other)
            found = self.compare(_RELATIONS.get(type(kind)), left, right)
            result = found if result is None else self.builder.and_(result, found)
            left = right
        return Number("flag", result)

    def compare(self, relation: str | None, left: Any, right: Any) -> Any:
        """The bit of ``left relation right``."""
        if relation is None:
            raise Untranslatable("a comparison that is not understood")
        x, y = number(left), number(right)
        if "real" in (x.kind, y.kind):
            a, b = to_real(self.builder, x).value, to_real(self.builder, y).value
            if relation == "!=":
                return self.builder.fcmp_unordered(relation, a, b)
            return self.builder.fcmp_ordered(relation, a, b)
        a, b = to_int(self.builder, x).value, to_int(self.builder, y).value
        return self.builder.icmp_signed(relation, a, b)

    # Choices: what is not chosen is not computed

    def _boolop(self, node: ast.BoolOp) -> Number:
        slot = Slot(self.builder, integer(0))
        done = self.builder.append_basic_block("decided")
        for operand in node.values:
            bit = truth(self.builder, self.expression(operand))
            self.builder.store(self.builder.zext(bit, I64), slot.place)
            further = self.builder.append_basic_block("further")
            ways = (further, done) if isinstance(node.op, ast.And) else (done, further)
            self.builder.cbranch(bit, *ways)
            self.builder.position_at_end(further)
        self.builder.branch(done)
        self.builder.position_at_end(done)
        return Number("flag", truth(self.builder, slot.load(self.builder)))

    def _ifexp(self, node: ast.IfExp) -> Number:
        bit = truth(self.builder, self.expression(node.test))
        found = []
        with self.builder.if_else(bit) as (then, otherwise):
            for way, branch in ((then, node.body), (otherwise, node.orelse)):
                with way:
                    value = number(self.expression(branch))
                    found.append((value, self.builder.block))
        kinds = {value.kind for value, _ in found}
        kind, convert = ("real", to_real) if "real" in kinds else ("int", to_int)
        phi = self.builder.phi(DOUBLE if kind == "real" else I64)
        for value, block in found:
            at = ir.IRBuilder(block)
            at.position_before(block.terminator)
            phi.add_incoming(convert(at, value).value, block)
        return Number(kind, phi)  # type: ignore[arg-type]

    # Calls

    def _call(self, node: ast.Call) -> Any:
        function = self.expression(node.func)
        if any(isinstance(a, ast.Starred) for a in node.args) or any(
            keyword.arg is None for keyword in node.keywords
        ):
            raise Untranslatable("arguments are passed one by one")
        arguments = [self.expression(argument) for argument in node.args]
        named = {str(keyword.arg): self.expression(keyword.value) for keyword in node.keywords}
        if hasattr(function, "emit"):
            return function.emit(self, *arguments, **named)
        return self.expand(function, arguments, named)

    def intrinsic(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call a function that LLVM or the process has under this name."""
        module = self.builder.module
        known = module.globals.get(name)
        if known is None:
            kind = ir.FunctionType(result, [argument.type for argument in arguments])
            known = ir.Function(module, kind, name)
        return self.builder.call(known, arguments)


_BYTES = {DOUBLE: 8, SINGLE: 4}


class _Plain:
    """A function of Python's own."""

    def __init__(self, write: Callable[..., Any]) -> None:
        self._write = write

    def emit(self, code: Expressions, *arguments: Any, **named: Any) -> Any:
        return self._write(code, *arguments, **named)


def _extreme(relation: str) -> _Plain:
    def write(code: Expressions, *arguments: Any) -> Any:
        result = number(arguments[0])
        for argument in arguments[1:]:
            x = number(argument)
            kind, convert = (
                ("real", to_real) if "real" in (x.kind, result.kind) else ("int", to_int)
            )
            better = code.compare(relation, x, result)
            pair = convert(code.builder, x).value, convert(code.builder, result).value
            result = Number(kind, code.builder.select(better, *pair))  # type: ignore[arg-type]
        return result

    return _Plain(write)


def _int(code: Expressions, x: Any) -> Number:
    x = number(x)
    if x.kind != "real":
        return to_int(code.builder, x)
    return Number("int", code.builder.fptosi(x.value, I64))


def _sqrt(code: Expressions, x: Any) -> Number:
    argument = to_real(code.builder, x).value
    return Number("real", code.intrinsic("llvm.sqrt.f64", DOUBLE, argument))


_BUILTINS: dict[str, Any] = {
    "min": _extreme("<"),
    "max": _extreme(">"),
    "float": _Plain(lambda code, x: to_real(code.builder, x)),
    "int": _Plain(_int),
    "math.sqrt": _Plain(_sqrt),
    "math.inf": math.inf,
}
