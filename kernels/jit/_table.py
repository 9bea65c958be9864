"""The table of kernels of one dtype: all LLVM functions, compiled in one go.

Compiled Python calls them by the address that stands in the table at the index named here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from . import _copies, _runs, _scores, _tiles
from ._compile import Lazy, intrinsic, lazy
from ._host import host
from ._vector import Code

#: Rules that :func:`_runs.update` knows.
RULES = ("store", "sgd", "momentum", "nesterov", "adam")
LOSS_PAIRS = (
    ("squared_error", "identity"),
    ("squared_error", "sigmoid"),
    ("squared_error", "softmax"),
    ("binary_cross_entropy", "sigmoid"),
    ("cross_entropy", "softmax"),
)
ACTIVATIONS = tuple(_runs.FUNCTIONS)

# Tiles: index = begin + 2 (rows - 1) + (panels - 1).
FORWARD, GRADIENT, REST = 0, 24, 40
_NAMES = (
    "column_sums",
    "gather",
    "scatter",
    "one_hot",
    "transpose",
    "softmax",
    "sum_of_squares",
    *(f"activation {name}" for name in ACTIVATIONS),
    *(f"derivative {name}" for name in ACTIVATIONS),
    *(f"update {name}" for name in RULES),
    *(f"loss {loss} {output}" for loss, output in LOSS_PAIRS),
)
INDEX = {name: REST + i for i, name in enumerate(_NAMES)}
SIZE = REST + len(_NAMES)
COLUMN_SUMS = INDEX["column_sums"]
GATHER, SCATTER, ONE_HOT = INDEX["gather"], INDEX["scatter"], INDEX["one_hot"]
TRANSPOSE, SOFTMAX, SUM_OF_SQUARES = (
    INDEX["transpose"],
    INDEX["softmax"],
    INDEX["sum_of_squares"],
)


def _build(module: Any, itemsize: int) -> dict[int, Any]:
    """Define every kernel in an LLVM module; index → function."""
    machine = host()

    def code(name: str, n_ints: int, n_doubles: int = 0) -> Code:
        return Code(module, machine, itemsize, name.replace(" ", "_"), n_ints, n_doubles)

    built = {}
    for rows in range(1, machine.forward_rows + 1):
        for panels in range(1, machine.forward_panels + 1):
            name = f"forward_{rows}x{panels}"
            at = FORWARD + 2 * (rows - 1) + panels - 1
            built[at] = _tiles.forward(code(name, 8, 2), rows, panels)
    for rows in range(1, machine.gradient_rows + 1):
        for panels in range(1, machine.gradient_panels + 1):
            name = f"gradient_{rows}x{panels}"
            at = GRADIENT + 2 * (rows - 1) + panels - 1
            built[at] = _tiles.gradient(code(name, 6), rows, panels)
    n_run = _runs.ADDRESSES + 1
    rest: dict[str, Callable[[], Any]] = {
        "column_sums": lambda: _tiles.column_sums(code("column_sums", 3)),
        "gather": lambda: _copies.gather(code("gather", 8)),
        "scatter": lambda: _copies.scatter(code("scatter", 8)),
        "one_hot": lambda: _copies.one_hot(code("one_hot", 6)),
        "transpose": lambda: _copies.transpose(code("transpose", 2)),
        "softmax": lambda: _scores.softmax(code("softmax", 5)),
        "sum_of_squares": lambda: _runs.sum_of_squares(code("sum_of_squares", 4)),
    }
    for name, at in INDEX.items():
        kind, _, what = name.partition(" ")
        if name in rest:
            built[at] = rest[name]()
        elif kind == "loss":
            built[at] = _scores.loss(code(name, 10, 1), *what.split())
        else:
            build = {
                "activation": _runs.activation,
                "derivative": _runs.derivative,
                "update": _runs.update,
            }[kind]
            built[at] = build(code(name, n_run, _runs.CONSTANTS), what)
    return built


def _filler(itemsize: int) -> Any:
    @intrinsic
    def fill(typingctx: Any, table: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            i64 = ir.IntType(64)
            slots = builder.inttoptr(args[0], i64.as_pointer())
            for at, function in _build(builder.module, itemsize).items():
                slot = builder.gep(slots, [ir.Constant(i64, at)])
                builder.store(builder.ptrtoint(function, i64), slot)
            return context.get_dummy_value()

        return types.void(types.int64), codegen

    return fill


_fill_float32, _fill_float64 = _filler(4), _filler(8)


@lazy(types.void(types.int64))
def fill_float32(table: int) -> None:
    _fill_float32(table)


@lazy(types.void(types.int64))
def fill_float64(table: int) -> None:
    _fill_float64(table)


_FILLS: dict[int, Lazy] = {4: fill_float32, 8: fill_float64}


@functools.cache
def table(itemsize: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Addresses of the kernels for this element size."""
    result = np.zeros(SIZE, np.int64)
    _FILLS[itemsize](result.ctypes.data)
    return result


@functools.cache
def function_of(name: str, itemsize: int) -> int:
    """Address of a kernel by name."""
    return int(table(itemsize)[INDEX[name]])
