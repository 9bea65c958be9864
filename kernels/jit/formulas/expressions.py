"""The steps of custom functions' programs, written for vectors in the vector language.

:func:`emit` writes a program of single elements; :class:`Block` is what programs with reductions
over the outputs of a row are written with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ..._program import REDUCTION_STEPS, Program, Step
from ..vector import vmath
from ..vector.code import Code
from ..vector.values import Int, Real

#: What a place of a program holds: a vector of numbers, or a mask.
Value = Any

# Functions of the steps


def _compare(relation: str) -> Callable[[Code, Real, Real], Any]:
    def compare(code: Code, x: Real, y: Real) -> Any:
        # Only != is true where one side is NaN.
        test = code.builder.fcmp_unordered if relation == "!=" else code.builder.fcmp_ordered
        return test(relation, x.value, y.value)

    return compare


def _isnan(code: Code, x: Real) -> Any:
    return code.builder.fcmp_unordered("uno", x.value, x.value)


def _maximum(code: Code, x: Real, y: Real) -> Real:
    """The larger of two, or NaN where one is."""
    return code.select(_isnan(code, x), x, code.select(x > y, x, y))


def _minimum(code: Code, x: Real, y: Real) -> Real:
    return code.select(_isnan(code, x), x, code.select(x < y, x, y))


def _log1p(code: Code, x: Real) -> Real:
    """``log(1 + x)``; the second term is what rounding ``1 + x`` has lost."""
    y = x + 1.0
    result = vmath.log_of_any(code, y)
    lost = (x - (y - 1.0)) / y
    inside = code.builder.and_(y > 0.0, y < math.inf)
    return result + code.select(inside, lost, 0.0)


def _expm1(code: Code, x: Real) -> Real:
    """``2^n (exp(r) - 1) + (2^n - 1)`` with ``x = n ln 2 + r``; for large ``x`` plain."""
    n, p = vmath._reduced(code, code.clip(x, -40.0, 1.0))
    power = vmath._power_of_two(code, n)
    near = code.fma(power, p, power - 1.0)
    return code.select(x > 1.0, vmath.exp(code, x) - 1.0, near)


def _logaddexp(code: Code, x: Real, y: Real) -> Real:
    below = -code.abs(y - x)  # of softplus, with x = 0, LLVM sees that this is -|y|
    result = _maximum(code, x, y) + vmath.log1p(code, vmath.exp(code, below))
    same = _compare("==")(code, x, y)  # also two infinities, whose difference is NaN
    return code.select(same, x + math.log(2), result)


def _llvm(name: str) -> Callable[..., Real]:
    """A function of LLVM, which calls the C library element by element where it has to."""

    def call(code: Code, *operands: Real) -> Real:
        kind = operands[0].value.type
        whole = f"llvm.{name}.v{kind.count}f{8 * code.itemsize}"
        return Real(code, code.call(whole, kind, *(x.value for x in operands)))

    return call


def _c_library(name: str) -> Callable[..., Real]:
    """A function of the C library, element by element; Numba itself relies on these names."""

    def call(code: Code, *operands: Real) -> Real:
        function = name + ("f" if code.itemsize == 4 else "")
        result = ir.Constant(operands[0].value.type, ir.Undefined)
        for i in range(operands[0].value.type.count):
            lane = code.call(function, code.scalar, *(code.lane(x, i) for x in operands))
            index = ir.Constant(ir.IntType(32), i)
            result = code.builder.insert_element(result, lane, index)
        return Real(code, result)

    return call


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "negative": lambda code, x: -x,
    "absolute": lambda code, x: code.abs(x),
    "sign": vmath.sign,
    "square": lambda code, x: x * x,
    "sqrt": lambda code, x: code.sqrt(x),
    "floor": _llvm("floor"),
    "ceil": _llvm("ceil"),
    "rint": _llvm("rint"),
    "trunc": _llvm("trunc"),
    "exp": vmath.exp,
    "exp2": _llvm("exp2"),
    "expm1": _expm1,
    "log": vmath.log_of_any,
    "log2": lambda code, x: vmath.log_of_any(code, x) * (1 / math.log(2)),
    "log10": lambda code, x: vmath.log_of_any(code, x) * (1 / math.log(10)),
    "log1p": _log1p,
    "sin": _llvm("sin"),
    "cos": _llvm("cos"),
    "tan": _c_library("tan"),
    "arcsin": _c_library("asin"),
    "arccos": _c_library("acos"),
    "arctan": _c_library("atan"),
    "arctan2": _c_library("atan2"),
    "sinh": _c_library("sinh"),
    "cosh": _c_library("cosh"),
    "tanh": vmath.tanh,
    "arcsinh": _c_library("asinh"),
    "arccosh": _c_library("acosh"),
    "arctanh": _c_library("atanh"),
    "sigmoid": vmath.sigmoid,
    "add": lambda code, x, y: x + y,
    "subtract": lambda code, x, y: x - y,
    "multiply": lambda code, x, y: x * y,
    "divide": lambda code, x, y: x / y,
    "power": _llvm("pow"),
    "maximum": _maximum,
    "minimum": _minimum,
    "logaddexp": _logaddexp,
    "clip": lambda code, x, low, high: _minimum(code, _maximum(code, x, low), high),
    "less": _compare("<"),
    "less_equal": _compare("<="),
    "greater": _compare(">"),
    "greater_equal": _compare(">="),
    "equal": _compare("=="),
    "not_equal": _compare("!="),
    "isnan": _isnan,
    "where": lambda code, mask, x, y: code.select(mask, x, y),
    "logical_and": lambda code, x, y: code.builder.and_(x, y),
    "logical_or": lambda code, x, y: code.builder.or_(x, y),
    "logical_xor": lambda code, x, y: code.builder.xor(x, y),
    "logical_not": lambda code, x: code.builder.not_(x),
}
#: Reduction → (function of two vectors, what does not change it).
REDUCTIONS: dict[str, tuple[Callable[[Code, Real, Real], Real], float]] = {
    "sum": (lambda code, x, y: x + y, 0.0),
    "max": (_maximum, -math.inf),
    "min": (_minimum, math.inf),
}


def emit(code: Code, program: Program, *inputs: Real) -> tuple[Real, Real]:
    """The value and the derivative of a program of single elements, for vectors of them."""
    block = Block(code, program)
    place = block.run(dict(enumerate(inputs)), program.outputs)
    return place[program.outputs[0]], place[program.outputs[1]]


class Block:
    """Writes steps of one program; knows which of them differ from output to output."""

    def __init__(self, code: Code, program: Program) -> None:
        self.code, self.program = code, program
        self.varies = [True] * program.n_inputs
        for step in program.steps:
            own = len(step.values) > 1 or any(self.varies[i] for i in step.operands)
            self.varies.append(own and step.operation not in REDUCTION_STEPS)

    def step(self, place: int) -> Step:
        return self.program.steps[place - self.program.n_inputs]

    def run(
        self,
        known: dict[int, Value],
        wanted: tuple[int, ...],
        constants: Callable[[Step], Real] | None = None,
    ) -> dict[int, Value]:
        """All places that ``wanted`` need, from those that are known; reductions are known."""
        place = dict(known)
        for i in self._needed(wanted, known):
            step = self.step(i)
            operands = [place[x] for x in step.operands]
            if step.operation != "constant":
                if step.operation in REDUCTION_STEPS:  # of a row with a single output
                    (place[i],) = operands
                else:
                    place[i] = FUNCTIONS[step.operation](self.code, *operands)
            elif len(step.values) == 1 or constants is None:
                place[i] = self.code.real(step.values[0])
            else:
                place[i] = constants(step)
        return place

    def table(self, step: Step) -> Int:
        """Address of a constant's numbers, one for each output, in the module."""
        code = self.code
        kind = ir.ArrayType(code.scalar, len(step.values))
        name = f"{code.function.name}_{len(code.module.globals)}"
        table = ir.GlobalVariable(code.module, kind, name)
        table.linkage, table.global_constant = "internal", True
        table.initializer = ir.Constant(kind, list(step.values))
        return Int(code, code.builder.ptrtoint(table, ir.IntType(64)))

    def _needed(self, wanted: tuple[int, ...], known: dict[int, Value]) -> list[int]:
        needed: set[int] = set()
        waiting = list(wanted)
        while waiting:
            i = waiting.pop()
            if i not in known and i not in needed:
                needed.add(i)
                waiting.extend(self.step(i).operands)
        return sorted(needed)
