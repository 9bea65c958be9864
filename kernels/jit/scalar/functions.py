"""Functions of compiled Python, marked and written as machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir

from ..vector.memory import I64
from .statements import Statements
from .values import Number

Function = TypeVar("Function", bound=Callable[..., Any])


def inline(function: Function) -> Function:
    """Let compiled functions call this one, which then stands in place of its calls."""
    function.is_compiled = True  # type: ignore[attr-defined]
    return function


def write(module: Any, function: Callable[..., None], symbol: str, **values: Any) -> Any:
    """Write a function of integers that returns nothing into a module of LLVM's.

    ``values`` are what it finds under these names instead of its module's.
    """
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    kind = ir.FunctionType(ir.VoidType(), [I64] * len(names))
    written = ir.Function(module, kind, symbol)
    written.attributes.add("nounwind")
    builder = ir.IRBuilder(written.append_basic_block("entry"))
    arguments = {
        name: Number("int", value) for name, value in zip(names, written.args, strict=True)
    }
    Statements(builder, function, values).write(arguments)
    builder.ret_void()
    return written
