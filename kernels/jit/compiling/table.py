"""The table of kernels of one dtype: LLVM functions, compiled when they are first needed.

Compiled Python calls them by the address that stands in the table at the index named here. What
every network needs (tiles, copies) is compiled in one go; activations, derivatives, losses and
update rules each when a network asks for it (:func:`use`).
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..._typing import Array
from ..formulas import activations, dropout, output_layer, penalties, update_rules
from ..formulas.activations import ARGUMENTS
from ..matrices import panels as packing
from ..matrices import sparse, tiles
from ..vector.code import Code
from ..vector.host import host
from .lazy import Lazy, intrinsic, renamed
from .turn import compiling

# Tiles: index = begin + 2 (rows - 1) + (panels - 1).
FORWARD, GRADIENT, REST = 0, 24, 40
_COMMON: Mapping[str, tuple[Callable[[Code], Any], int]] = {  # and the number of arguments
    "column_sums": (tiles.column_sums, 3),
    "accumulate": (tiles.accumulate, 4),
    "rounded": (tiles.rounded, 3),
    "gather": (packing.gather, 8),
    "scatter": (packing.scatter, 8),
    "transpose": (packing.transpose, 2),
}
# Further kernels with their numbers of arguments, integers and doubles; and families of kernels,
# one for each name, which the families' own tables list.
_SINGLE: Mapping[str, tuple[Callable[[Code], Any], int, int]] = {
    "one_hot": (packing.one_hot, 6, 1),
    "softmax": (output_layer.softmax, 5, 0),
    "sums": (penalties.sums, 4, 0),
    "norms": (penalties.norms, 4, 1),
    "sparse_gradient": (sparse.gradient, 5, 1),
    "zero": (sparse.zero, 2, 0),
    "bound_columns": (penalties.bound_columns, 2, 1),
}
_FAMILIES: Mapping[str, tuple[Callable[[Code, str], Any], int, int, tuple[str, ...]]] = {
    "activation": (activations.activation, ARGUMENTS, 0, tuple(activations.FUNCTIONS)),
    "activation_with_slope": (
        activations.activation_with_slope,
        ARGUMENTS,
        0,
        tuple(activations.SLOPES),
    ),
    "derivative": (
        activations.derivative,
        ARGUMENTS,
        0,
        (*activations.DERIVATIVES, *activations.SLOPES, "slope"),
    ),
    "update": (
        update_rules.update,
        ARGUMENTS,
        0,
        ("store", *update_rules.RULES, *(f"{name} regularised" for name in update_rules.RULES)),
    ),
    "dropout": (dropout.dropout, 9, 1, dropout.NAMES),
    "sparse_forward": (sparse.forward, 8, 2, sparse.WIDTHS),
    "loss": (output_layer.loss, 10, 2, tuple(output_layer.KERNELS)),
}
#: Kernels that are compiled each on its own.
NAMED = (*_SINGLE, *(f"{kind} {name}" for kind, family in _FAMILIES.items() for name in family[3]))
_NAMES = (*_COMMON, *NAMED)
#: Room behind the names, for kernels of functions that users define and that are in use.
SPARE = 1 << 16
INDEX = {name: REST + i for i, name in enumerate(_NAMES)}
ACCUMULATE, ROUNDED = INDEX["accumulate"], INDEX["rounded"]
COLUMN_SUMS, TRANSPOSE = INDEX["column_sums"], INDEX["transpose"]
GATHER, SCATTER, ONE_HOT = INDEX["gather"], INDEX["scatter"], INDEX["one_hot"]
SOFTMAX, SUMS, NORMS = INDEX["softmax"], INDEX["sums"], INDEX["norms"]
BOUND_COLUMNS = INDEX["bound_columns"]
# That of one panel, of two and of four come one after the other.
SPARSE_FORWARD = INDEX["sparse_forward 1"]
SPARSE_GRADIENT, ZERO = INDEX["sparse_gradient"], INDEX["zero"]

_Builder = Callable[[Callable[..., Code]], Mapping[int, Any]]


def _common(code: Callable[..., Code]) -> Mapping[int, Any]:
    """What every network needs; index → function."""
    built, machine = {}, host()
    for rows in range(1, machine.forward_rows + 1):
        for panels in range(1, machine.forward_panels + 1):
            at = FORWARD + 2 * (rows - 1) + panels - 1
            built[at] = tiles.forward(code(f"forward_{rows}x{panels}", 9, 2), rows, panels)
    for rows in range(1, machine.gradient_rows + 1):
        for panels in range(1, machine.gradient_panels + 1):
            at = GRADIENT + 2 * (rows - 1) + panels - 1
            built[at] = tiles.gradient(code(f"gradient_{rows}x{panels}", 8), rows, panels)
    for name, (build, n_ints) in _COMMON.items():
        built[INDEX[name]] = build(code(name, n_ints))
    return built


def _named(name: str) -> _Builder:
    """A kernel of :data:`NAMED`."""

    def build(code: Callable[..., Code]) -> Mapping[int, Any]:
        if name in _SINGLE:
            make, n_ints, n_doubles = _SINGLE[name]
            return {INDEX[name]: make(code(name, n_ints, n_doubles))}
        kind, _, what = name.partition(" ")
        make_one, n_ints, n_doubles, _ = _FAMILIES[kind]
        return {INDEX[name]: make_one(code(name, n_ints, n_doubles), what)}

    return build


def _filler(build: _Builder, itemsize: int) -> Any:
    """Compiled Python's ``fill(table)``, which defines kernels and writes their addresses."""

    @intrinsic
    def fill(typingctx: Any, table: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def code(name: str, n_ints: int, n_doubles: int = 0) -> Code:
                name = name.replace(" ", "_").replace("-", "_")
                return Code(builder.module, host(), itemsize, name, n_ints, n_doubles)

            i64 = ir.IntType(64)
            slots = builder.inttoptr(args[0], i64.as_pointer())
            for at, function in build(code).items():
                slot = builder.gep(slots, [ir.Constant(i64, at)])
                builder.store(builder.ptrtoint(function, i64), slot)
            return context.get_dummy_value()

        return types.void(types.int64), codegen

    return fill


def _template(table: int) -> None:
    fill(table)  # type: ignore[name-defined]  # noqa: F821


def file_name(name: str, itemsize: int) -> str:
    """Name of a kernel in the cache."""
    return f"{name.replace(' ', '_')}_float{8 * itemsize}"


#: Names of what has been compiled by this process, rather than loaded from the cache.
compiled: set[str] = set()


def _fill(name: str, build: _Builder, itemsize: int, table: Array) -> None:
    """Compile kernels, or load them from the cache, and write their addresses into a table."""
    name = file_name(name, itemsize)
    function = renamed(_template, name, fill=_filler(build, itemsize))
    fill = Lazy(function, types.void(types.int64), registered=False)
    fill(table.ctypes.data)
    if fill.compile():
        compiled.add(name)


@functools.cache
def _addresses(itemsize: int) -> Array:
    """The table; zero for what has not been compiled."""
    return np.zeros(REST + len(_NAMES) + SPARE, np.int64)


@functools.cache
def table(itemsize: int) -> Array:
    """Addresses of the kernels for this element size; those that every network needs are there."""
    addresses = _addresses(itemsize)
    _fill("common", _common, itemsize, addresses)
    return addresses


def use(name: str, itemsize: int) -> int:
    """Index of a kernel in the table; it is there afterwards."""
    index, addresses = INDEX[name], _addresses(itemsize)
    if not addresses[index]:
        with compiling():
            if not addresses[index]:
                _fill(name, _named(name), itemsize, addresses)
    return index


class Kernel:
    """A kernel that stands in no list; its place is another's when nobody uses it any more.

    Attributes
    ----------
    index : int
        Its place in the table.
    """

    def __init__(self, itemsize: int, code: Any) -> None:
        free = _free(itemsize)
        if not free:
            raise RuntimeError(f"a process may use {SPARE} kernels of custom functions at a time")
        self._code, self.index = code, free.pop()
        _addresses(itemsize)[self.index] = code.address
        weakref.finalize(self, free.append, self.index).atexit = False


#: Those that somebody uses, by what they compute.
_added: weakref.WeakValueDictionary[Any, Kernel] = weakref.WeakValueDictionary()


@functools.cache
def _free(itemsize: int) -> list[int]:
    """Places behind those of the names; that of the last who left is used first."""
    return list(range(REST + len(_NAMES) + SPARE - 1, REST + len(_NAMES) - 1, -1))


def add(key: Any, itemsize: int, make: Callable[[], Any]) -> Kernel:
    """A kernel that stands in no list; ``make`` is called where nobody uses it yet, for an object
    with its address."""
    with compiling():
        kernel = _added.get((key, itemsize))
        if kernel is None:
            kernel = _added[key, itemsize] = Kernel(itemsize, make())
        return kernel


@functools.cache
def function_of(name: str, itemsize: int) -> int:
    """Address of a kernel."""
    index = use(name, itemsize)
    return int(_addresses(itemsize)[index])
