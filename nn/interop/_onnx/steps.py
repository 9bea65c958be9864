"""Straight-line code of expressions as nodes of ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .writer import Value


def expm1(x: Value) -> Value:
    """``exp(x) - 1``, as ``tanh(x / 2) (exp(x) + 1)``: small values keep their digits."""
    return (0.5 * x).apply("Tanh") * (x.apply("Exp") + 1.0)


def _logaddexp(x: Value, y: Value) -> Value:
    return x.apply("Max", y) + (1.0 + (-(x - y).apply("Abs")).apply("Exp")).apply("Log")


def _arctan2(y: Value, x: Value) -> Value:
    """``2 arctan(y / (|x| + r))``, reflected where x is negative."""
    r = (x * x + y * y).apply("Sqrt")
    near = 2.0 * (y / (x.apply("Abs") + r).apply("Max", 1e-37)).apply("Atan")
    sign = y.apply("Less", 0.0).apply("Where", -math.pi, math.pi)
    return x.apply("Less", 0.0).apply("Where", sign - near, near)


#: Operators of the same meaning.
_SAME = {
    **{"negative": "Neg", "absolute": "Abs", "sign": "Sign", "sqrt": "Sqrt", "floor": "Floor"},
    **{"ceil": "Ceil", "exp": "Exp", "log": "Log", "sigmoid": "Sigmoid", "tanh": "Tanh"},
    **{"sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin", "arccos": "Acos"},
    **{"arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "arcsinh": "Asinh", "arccosh": "Acosh"},
    **{"arctanh": "Atanh", "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div"},
    **{"power": "Pow", "maximum": "Max", "minimum": "Min", "less": "Less", "greater": "Greater"},
    **{"isnan": "IsNaN", "where": "Where", "logical_and": "And", "logical_or": "Or"},
    **{"logical_xor": "Xor", "logical_not": "Not"},
}
#: The others. Operators that came with later versions of ONNX are not used.
_FORMULAS: dict[str, Callable[..., Value]] = {
    "square": lambda x: x * x,
    "rint": lambda x: _rint(x),
    "trunc": lambda x: x.apply("Sign") * x.apply("Abs").apply("Floor"),
    "exp2": lambda x: x.graph.node("Pow", 2.0, x),
    "expm1": expm1,
    "log2": lambda x: x.apply("Log") / math.log(2),
    "log10": lambda x: x.apply("Log") / math.log(10),
    "log1p": lambda x: (1.0 + x).apply("Log"),
    "arctan2": _arctan2,
    "logaddexp": _logaddexp,
    "clip": lambda x, low, high: x.apply("Max", low).apply("Min", high),
    "less_equal": lambda x, y: _either(x, y, "Less"),
    "greater_equal": lambda x, y: _either(x, y, "Greater"),
    "equal": lambda x, y: _equal(x, y),
    "not_equal": lambda x, y: _equal(x, y).apply("Not"),
}


def _either(x: Value, y: Value, op: str) -> Value:
    return x.apply(op, y).apply("Or", _equal(x, y))


def _equal(x: Value, y: Value) -> Value:
    """Neither less nor greater, nor NaN: ``Equal`` takes no floats in the oldest versions."""
    if x.graph.opset >= 11:
        return x.apply("Equal", y)
    apart = x.apply("Less", y).apply("Or", x.apply("Greater", y))
    return apart.apply("Or", (x + y).apply("IsNaN")).apply("Not")


def _rint(x: Value) -> Value:
    """To the nearest whole number, halves to the even one."""
    if x.graph.opset >= 11:
        return x.apply("Round")
    below = x.apply("Floor")
    rest = x - below
    odd = below - 2.0 * (0.5 * below).apply("Floor")  # 0 or 1
    up = rest.apply("Greater", 0.5).apply(
        "Or", _equal(rest, x.graph.constant(0.5)).apply("And", odd.apply("Greater", 0.5))
    )
    return up.apply("Where", below + 1.0, below)


def write(z: Value, program: Any) -> Value:
    """The value of a program of one input."""
    values: list[Any] = [z]
    for step in program.steps:
        if step.operation == "constant":
            values.append(z.graph.constant(float(step.values[0])))
            continue
        operands = [values[i] for i in step.operands]
        formula = _FORMULAS.get(step.operation)
        if formula is not None:
            values.append(formula(*operands))
        else:
            values.append(z.graph.node(_SAME[step.operation], *operands))
    result: Value = values[program.outputs[0]]
    # A constant activation, or one that does not depend on z, still has a value for each element.
    return result + 0.0 * z if result.name in z.graph._constants.values() else result
