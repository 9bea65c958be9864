"""The table of kernels of one dtype: LLVM functions, compiled when they are first needed.

Compiled Python calls them by the address that stands in the table at the index named here. What
every network needs (tiles, copies) is compiled in one go, and so are the tiles of plain descent;
activations, derivatives, losses and update rules each when a network asks for it (:func:`use`).
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..._typing import Array
from ..formulas import activations, dropout, output_layer, penalties, update_rules, updates
from ..matrices import panels as packing
from ..matrices import sparse, tiles
from ..vector.code import Code
from ..vector.host import host
from ..vector.kernel import Kernel as Writer
from .machine_code import Made, made
from .turn import compiling

# Tiles: index = begin + 2 (rows - 1) + (panels - 1).
FORWARD, GRADIENT, DESCENT, REST = 0, 24, 40, 56
_COMMON: Mapping[str, Writer] = {
    "column_sums": tiles.column_sums,
    "accumulate": tiles.accumulate,
    "rounded": tiles.rounded,
    "gather": packing.gather,
    "scatter": packing.scatter,
    "transpose": packing.transpose,
    "zero": sparse.zero,
}
# Further kernels; and families of kernels, one for each name, which the families' own tables list.
_SINGLE: Mapping[str, Writer] = {
    "one_hot": packing.one_hot,
    "softmax": output_layer.softmax,
    "sums": penalties.sums,
    "norms": penalties.norms,
    "sparse_gradient": sparse.gradient,
    "sparse_gradient_sums": sparse.gradient_sums,
    "bound_columns": penalties.bound_columns,
    "add": tiles.add,
}
_REGULARISED = tuple(f"{name} regularised" for name in update_rules.RULES)
_FAMILIES: Mapping[str, tuple[Writer, tuple[str, ...]]] = {
    "activation": (activations.activation, tuple(activations.FUNCTIONS)),
    "activation_with_slope": (activations.activation_with_slope, tuple(activations.SLOPES)),
    "derivative": (
        activations.derivative,
        (*activations.DERIVATIVES, *activations.SLOPES, "slope"),
    ),
    "update": (updates.update, ("store", *update_rules.RULES, *_REGULARISED)),
    "dropout": (dropout.dropout, dropout.NAMES),
    "sparse_forward": (sparse.forward, sparse.WIDTHS),
    "loss": (output_layer.loss, tuple(output_layer.KERNELS)),
    "loss_of_targets": (output_layer.loss_of_targets, output_layer.OF_TARGETS),
}
#: Kernels that are compiled each on its own.
NAMED = (*_SINGLE, *(f"{kind} {name}" for kind, family in _FAMILIES.items() for name in family[1]))
_NAMES = (*_COMMON, *NAMED)
#: Room behind the names, for kernels of functions that users define and that are in use.
SPARE = 1 << 16
INDEX = {name: REST + i for i, name in enumerate(_NAMES)}

#: Of a kernel: its place in the table, its name in LLVM, what writes it, and which it is.
Entry = tuple[int, str, Writer, tuple[Any, ...]]


def _tiles(begin: int, kernel: Writer, most_rows: int, most_panels: int) -> Iterable[Entry]:
    """A tile of each shape."""
    for rows in range(1, most_rows + 1):
        for panels in range(1, most_panels + 1):
            place = begin + 2 * (rows - 1) + panels - 1
            yield place, f"{kernel.name}_{rows}x{panels}", kernel, (rows, panels)


def _common() -> Iterable[Entry]:
    """What every network needs: tiles of all shapes, copies and sums."""
    machine = host()
    yield from _tiles(FORWARD, tiles.forward, machine.forward_rows, machine.forward_panels)
    yield from _tiles(GRADIENT, tiles.gradient, machine.gradient_rows, machine.gradient_panels)
    for name, kernel in _COMMON.items():
        yield INDEX[name], name, kernel, ()


def _descents() -> Iterable[Entry]:
    """Tiles of all shapes that make steps of plain descent."""
    machine = host()
    return _tiles(DESCENT, tiles.descent, machine.gradient_rows, machine.gradient_panels)


#: Kernels that are compiled in one go.
GROUPS = {"common": _common, "descent": _descents}


def named(name: str) -> Entry:
    """A kernel of :data:`NAMED`."""
    symbol = name.replace(" ", "_").replace("-", "_")
    if name in _SINGLE:
        return INDEX[name], symbol, _SINGLE[name], ()
    kind, _, what = name.partition(" ")
    return INDEX[name], symbol, _FAMILIES[kind][0], (what,)


def file_name(name: str, itemsize: int) -> str:
    """Name of a kernel in the cache."""
    return f"{name.replace(' ', '_')}_float{8 * itemsize}"


#: The code of the kernels that have names, for as long as the process runs.
_kept: list[Made] = []
#: Names of what has been compiled by this process, rather than loaded from the cache.
compiled: set[str] = set()


def _fill(name: str, entries: Iterable[Entry], itemsize: int, table: Array) -> None:
    """Compile kernels, or load them from the cache, and write their addresses into a table."""
    entries = list(entries)

    def write(module: Any) -> None:
        for _, symbol, kernel, variant in entries:
            kernel.write(module, itemsize, symbol, *variant).linkage = "external"

    symbols = [Code.symbol(symbol, itemsize) for _, symbol, _, _ in entries]
    code = made(file_name(name, itemsize), symbols, write)
    for (place, _, _, _), address in zip(entries, code.addresses, strict=True):
        table[place] = address
    _kept.append(code)
    if code.compiled:
        compiled.add(file_name(name, itemsize))


@functools.cache
def _addresses(itemsize: int) -> Array:
    """The table; zero for what has not been compiled."""
    return np.zeros(REST + len(_NAMES) + SPARE, np.int64)


@functools.cache
def use_group(name: str, itemsize: int) -> Array:
    """The table, in which the kernels of a group are there."""
    addresses = _addresses(itemsize)
    _fill(name, GROUPS[name](), itemsize, addresses)
    return addresses


def table(itemsize: int) -> Array:
    """Addresses of the kernels for this element size; those that every network needs are there."""
    return use_group("common", itemsize)


def use(name: str, itemsize: int) -> int:
    """Index of a kernel in the table; it is there afterwards."""
    index, addresses = INDEX[name], _addresses(itemsize)
    if not addresses[index]:
        with compiling():
            if not addresses[index]:
                _fill(name, [named(name)], itemsize, addresses)
    return index


class Kernel:
    """A kernel that stands in no list; its place is another's when nobody uses it any more.

    Attributes
    ----------
    index : int
        Its place in the table.
    calls_back : bool
        Whether it is a function in Python, which may raise.
    """

    def __init__(self, itemsize: int, code: Any) -> None:
        free = _free(itemsize)
        if not free:
            raise RuntimeError(f"a process may use {SPARE} kernels of custom functions at a time")
        self._code, self.index = code, free.pop()
        self.calls_back = bool(getattr(code, "calls_back", False))
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
