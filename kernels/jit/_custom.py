"""Programs of custom activations and losses as native code, in the vector language.

:func:`emit` writes a program's steps for one vector of elements, so that any kernel can take them
in; :func:`address` wraps a program in the C function that ``kernels/_custom.py`` describes. A step
over the outputs of a row becomes a loop over the row, in which what it needs is computed anew:
nothing is stored between loops, so no memory is needed and any thread may call.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.ccallback import CFunc

from .._custom import REDUCTION_STEPS, Program, Step
from . import _vmath
from ._cache import disk_cache
from ._compile import OPTIONS, intrinsic, renamed
from ._host import host
from ._vector import Code, Int, Real

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


def _sign(code: Code, x: Real) -> Real:
    return code.select(x > 0.0, code.real(1.0), code.select(x < 0.0, code.real(-1.0), x))


def _log(code: Code, x: Real) -> Real:
    """Natural logarithm of any number."""
    bits = _vmath.FORMATS[code.itemsize].mantissa
    smallest = 2.0 ** (2 - 2 ** (7 if code.itemsize == 4 else 10))  # normal number
    tiny = x < smallest
    result = _vmath.log(code, code.select(tiny, x * 2.0**bits, x))
    result = result - code.select(tiny, code.real(bits * math.log(2)), 0.0)
    at_zero = code.select(_compare("==")(code, x, code.real(0.0)), code.real(-math.inf), math.nan)
    return code.select(x > 0.0, result, at_zero)


def _log1p(code: Code, x: Real) -> Real:
    """``log(1 + x)``; the second term is what rounding ``1 + x`` has lost."""
    y = x + 1.0
    result = _log(code, y)
    lost = (x - (y - 1.0)) / y
    inside = code.builder.and_(y > 0.0, y < math.inf)
    return result + code.select(inside, lost, 0.0)


def _expm1(code: Code, x: Real) -> Real:
    """``2^n (exp(r) - 1) + (2^n - 1)`` with ``x = n ln 2 + r``; for large ``x`` plain."""
    n, p = _vmath._reduced(code, code.clip(x, -40.0, 1.0))
    power = _vmath._power_of_two(code, n)
    near = code.fma(power, p, power - 1.0)
    return code.select(x > 1.0, _vmath.exp(code, x) - 1.0, near)


def _logaddexp(code: Code, x: Real, y: Real) -> Real:
    below = -code.abs(y - x)  # of softplus, with x = 0, LLVM sees that this is -|y|
    result = _maximum(code, x, y) + _vmath.log1p(code, _vmath.exp(code, below))
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
    "sign": _sign,
    "square": lambda code, x: x * x,
    "sqrt": lambda code, x: code.sqrt(x),
    "floor": _llvm("floor"),
    "ceil": _llvm("ceil"),
    "rint": _llvm("rint"),
    "trunc": _llvm("trunc"),
    "exp": _vmath.exp,
    "exp2": _llvm("exp2"),
    "expm1": _expm1,
    "log": _log,
    "log2": lambda code, x: _log(code, x) * (1 / math.log(2)),
    "log10": lambda code, x: _log(code, x) * (1 / math.log(10)),
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
    "tanh": _vmath.tanh,
    "arcsinh": _c_library("asinh"),
    "arccosh": _c_library("acosh"),
    "arctanh": _c_library("atanh"),
    "sigmoid": _vmath.sigmoid,
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


def _activation(code: Code, program: Program) -> Any:
    z, a, slope, n = code.ints

    def body(at: Int, mask: Any) -> None:
        value, derivative = emit(code, program, code.load(z + at, mask))
        code.store(value, a + at, mask)
        code.store(derivative, slope + at, mask)

    code.vectors(n, body)
    return code.finish()


def _loss(code: Code, program: Program) -> Any:
    z, y, row_loss, delta, rows, n_out = code.ints
    block = Block(code, program)
    value, derivative = program.outputs
    single = n_out < 2
    with code.builder.if_else(single) as (one_output, several):
        with one_output:  # elements of a vector are rows

            def column(at: Int, mask: Any) -> None:
                inputs = {0: code.load(z + at, mask), 1: code.load(y + at, mask)}
                place = block.run(inputs, program.outputs)
                code.store(place[value], row_loss + at, mask)
                code.store(place[derivative], delta + at, mask)

            code.vectors(rows, column)
        with several, code.loop(rows) as i:
            start = i * code.itemsize
            _row(block, z, y, row_loss + start, delta, Int(code, (start * n_out).value), n_out)
    return code.finish()


def _row(block: Block, z: Int, y: Int, row_loss: Int, delta: Int, row: Int, n_out: Int) -> None:
    """One row: a loop for each reduction, and one for the derivative."""
    code, program = block.code, block.program
    known: dict[int, Value] = {}

    def elements(at: Int, mask: Any, wanted: int) -> Value:
        inputs = {0: code.load(z + row + at, mask), 1: code.load(y + row + at, mask)}
        return block.run(
            {**inputs, **known}, (wanted,), lambda step: code.load(block.table(step) + at, mask)
        )[wanted]

    def reduce(place: int) -> None:
        step = block.step(place)
        combine, neutral = REDUCTIONS[step.operation]
        total = code.variable(code.real(neutral))

        def body(at: Int, mask: Any) -> None:
            x = elements(at, mask, step.operands[0])
            if mask is not None:
                x = code.select(mask, x, neutral)
            total.set(combine(code, total.get(), x))

        code.vectors(n_out, body)
        known[place] = code.reduce(total.get(), lambda a, b: combine(code, a, b))

    for i, step in enumerate(program.steps, program.n_inputs):
        if step.operation in REDUCTION_STEPS:
            reduce(i)
        elif not block.varies[i]:
            known |= block.run(known, (i,))
    value, derivative = program.outputs
    code.store_scalar(code.lane(known[value]), row_loss)

    def body(at: Int, mask: Any) -> None:
        code.store(elements(at, mask, derivative), delta + row + at, mask)

    code.vectors(n_out, body)


# Compiling

_lock = threading.Lock()
_compiled: dict[tuple[Program, int], Any] = {}


def name_of(program: Program) -> str:
    """A name that says all about a program: code on disk is found by it."""
    return hashlib.sha256(repr(program).encode()).hexdigest()[:32]


def address(program: Program, itemsize: int) -> int:
    """Address of the C function of a program; it is compiled once and kept."""
    key = program, itemsize
    with _lock:
        if key not in _compiled:
            _compiled[key] = _compile(program, itemsize)
        return int(_compiled[key].address)


def _run_activation(z: int, a: int, slope: int, n: int) -> None:
    kernel(z, a, slope, n)  # type: ignore[name-defined]  # noqa: F821


def _run_loss(z: int, y: int, row_loss: int, delta: int, rows: int, n: int) -> None:
    kernel(z, y, row_loss, delta, rows, n)  # type: ignore[name-defined]  # noqa: F821


def _compile(program: Program, itemsize: int) -> Any:
    is_loss = program.n_inputs == 2
    kind = types.void(*[types.int64] * (6 if is_loss else 4))
    name = f"custom_{name_of(program)}_float{8 * itemsize}"

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(builder.module, host(), itemsize, name, len(args))
        builder.call((_loss if is_loss else _activation)(code, program), args)
        return context.get_dummy_value()

    @intrinsic
    def loss(typingctx: Any, z: Any, y: Any, row_loss: Any, delta: Any, rows: Any, n: Any) -> Any:
        return kind, generate

    @intrinsic
    def activation(typingctx: Any, z: Any, a: Any, slope: Any, n: Any) -> Any:
        return kind, generate

    run, kernel = (_run_loss, loss) if is_loss else (_run_activation, activation)
    function = renamed(run, name, kernel=kernel)
    signature = kind.args, kind.return_type
    compiled: Any = CFunc(function, signature, {}, {"nopython": True, **OPTIONS})
    compiled._cache = disk_cache(function)
    compiled.compile()
    return compiled
