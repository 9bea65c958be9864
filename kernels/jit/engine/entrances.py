"""The functions that take arrays from Python: compiled by Numba, which looks at arrays quickly.

They are the only code of this backend that Numba compiles; whoever calls no kernel on arrays, but
trains, does not need it. This module is imported when the first of them is called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types

from .._numba import cached_function, cgutils, code_settings
from ..compiling.cache import CodeFile
from ..compiling.lazy import COMPILED
from ..compiling.turn import compiling
from ..memory.records import DENSE, LABELS, NO_TARGET, RUN, WITH_LABELS, WITH_MATRIX, Plan, Steps

_OPTIONS = {"nogil": True, "error_model": "numpy"}
_PLAN, _STEPS = np.dtype(Plan), np.dtype(Steps)


class Entrance:
    """A function of one signature that is compiled at its first call."""

    parallel = False

    def __init__(self, function: Callable[..., Any], name: str, signature: Any) -> None:
        self._function = FunctionType(function.__code__, function.__globals__, name)
        self._function.__qualname__ = self.name = name
        self._signature = signature
        self._compiled: Any = None
        COMPILED.append(self)

    def compile(self) -> bool:
        """Compile, or load from the cache; whether it was compiled."""
        return not self.function.stats.cache_hits

    @property
    def function(self) -> Any:
        """The function itself; it is compiled, or loaded from the cache, when asked for."""
        if self._compiled is None:
            with compiling():
                if self._compiled is None:
                    settings = hashlib.sha256(code_settings().encode()).hexdigest()[:8]
                    file = CodeFile(f"{self.name}_{settings}")
                    self._compiled = cached_function(
                        self._function, self._signature, _OPTIONS, file
                    )
        return self._compiled


def _inline(function: Callable[..., Any]) -> Any:
    return numba.njit(error_model="numpy")(function)


@extending.intrinsic  # type: ignore[untyped-decorator]
def _pointer(typingctx: Any, address: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@_inline
def _record(address: int, kind: Any) -> Any:
    """The record of a structured dtype at an address."""
    return numba.carray(_pointer(address), 1, kind)[0]


@extending.intrinsic  # type: ignore[untyped-decorator]
def _call(typingctx: Any, address: Any, arguments: Any) -> Any:
    """Call the function at ``address`` with a tuple of integers; it returns nothing."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = [
            context.cast(builder, value, kind, types.int64)
            for value, kind in zip(cgutils.unpack_tuple(builder, args[1]), arguments, strict=True)
        ]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), codegen


# Rows and matrices: calls that are prepared


@_inline
def _by_rows(matrix: Any) -> Any:
    """Whether elements of a row are adjacent."""
    return matrix.strides[1] == matrix.itemsize or matrix.shape[1] < 2 or matrix.shape[0] == 0


def _enter(
    steps_address: int, flags: int, x: Any, m: Any, third: Any, flat: Any, labels: Any, out: Any
) -> int:
    """Note the operands in the plan and run; false where one does not lie plainly in memory."""
    steps = _record(steps_address, _STEPS)
    plan = _record(steps.plan, _PLAN)
    size = x.itemsize
    places = x.ctypes.data | m.ctypes.data | third.ctypes.data | flat.ctypes.data | out.ctypes.data
    plain = (
        places % size == 0
        and _by_rows(x)
        and _by_rows(m)
        and _by_rows(third)
        and (flat.shape[0] < 2 or flat.strides[0] == size)
        and (labels.shape[0] < 2 or labels.strides[0] == 8)
        and labels.ctypes.data % 8 == 0
    )
    if not plain:
        return False
    if not plan.sparse.present:
        plan.x.address, plan.x.step_bytes = x.ctypes.data, x.strides[0]
    plan.target.address, plan.target.step_bytes = m.ctypes.data, m.strides[0]
    plan.third.address, plan.third.step_bytes = third.ctypes.data, third.strides[0]
    plan.flat.address, plan.flat.step_bytes = flat.ctypes.data, 0
    plan.out.address, plan.out.step_bytes = out.ctypes.data, out.strides[0]
    plan.target_kind = DENSE if flags & WITH_MATRIX else NO_TARGET
    if flags & WITH_LABELS:
        plan.target.address, plan.target_kind = labels.ctypes.data, LABELS
    if flags & RUN:
        _call(steps.run, (steps_address,))
    return True


# Vectors: elementwise kernels


@_inline
def _apart(a: Any, b: Any) -> Any:
    begin, other = a.ctypes.data, b.ctypes.data
    return begin + a.nbytes <= other or other + b.nbytes <= begin


def _elements(
    function: int, count: int, p: Any, g: Any, s: Any, t: Any, u: Any, constants: Any
) -> Any:
    """Run a kernel on the first ``count`` vectors; false where they are not of one size, do not
    lie plainly in memory or overlap."""
    size, n = p.itemsize, p.shape[0]
    places = p.ctypes.data | g.ctypes.data | s.ctypes.data | t.ctypes.data | u.ctypes.data
    plain = places % size == 0 and (n < 2 or g.strides[0] == size)
    if count > 1:
        plain = plain and g.shape[0] == n and _apart(p, g)
    if count > 2:
        plain = plain and s.shape[0] == n and _apart(p, s) and _apart(g, s)
    if count > 3:
        plain = plain and t.shape[0] == n and _apart(p, t) and _apart(g, t) and _apart(s, t)
    if count > 4:
        plain = plain and u.shape[0] == n and _apart(p, u) and _apart(g, u)
        plain = plain and _apart(s, u) and _apart(t, u)
    if plain:  # as ELEMENTWISE has its arguments
        vectors = (p.ctypes.data, g.ctypes.data, s.ctypes.data, t.ctypes.data, u.ctypes.data)
        _call(function, (*vectors, n, constants.ctypes.data))
    return plain


def _read(kind: Any, ndim: int) -> Any:
    return types.Array(kind, ndim, "A", readonly=True)


def _entrances(kind: Any) -> tuple[Entrance, Entrance]:
    matrix, own, whole = _read(kind, 2), types.Array(kind, 1, "C"), types.int64
    out, constants = types.Array(kind, 2, "C"), types.Array(types.float64, 1, "C")
    arrays = (matrix, matrix, matrix, _read(kind, 1), _read(types.int64, 1), out)
    vectors = (own, _read(kind, 1), own, own, own, constants)
    return (
        Entrance(_enter, f"enter_{kind}", types.boolean(whole, whole, *arrays)),
        Entrance(_elements, f"elements_{kind}", types.boolean(whole, whole, *vectors)),
    )


#: By what they take and the size of their reals.
ENTRANCES = {
    (name, itemsize): entrance
    for kind, itemsize in ((types.float32, 4), (types.float64, 8))
    for name, entrance in zip(("enter", "elements"), _entrances(kind), strict=True)
}
