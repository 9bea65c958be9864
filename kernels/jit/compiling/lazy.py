"""Compiling at first use: tasks, whose address other compiled code calls, and functions for Python.

A task is ``task(plan, step, index)``: one block of a phase of a job (see ``threads/team``). Tasks
are compiled each on its own and called by address, so that a program compiles only what it runs,
and once.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

import numba
from numba import extending, types

from .._numba import cached_function, cached_task
from .cache import CodeFile
from .turn import compiling

OPTIONS = {"nogil": True, "error_model": "numpy"}
TASK = types.void(types.int64, types.int64, types.int64)

Function = TypeVar("Function", bound=Callable[..., Any])

#: ``carray(pointer, shape, dtype)``: memory as an array, in compiled code.
carray: Any = numba.carray


def inline(function: Function) -> Function:
    """For the helpers that tasks are made of."""
    compiled: Function = numba.njit(error_model="numpy")(function)
    return compiled


def intrinsic(function: Callable[..., Any]) -> Any:
    """A function that builds LLVM code, as ``function(typingctx, *types) -> (signature,
    codegen)``."""
    return extending.intrinsic(function)


def literal_intrinsic(function: Callable[..., Any]) -> Any:
    """The same with constants as types of their own."""
    return extending.intrinsic(prefer_literal=True)(function)


#: Everything that is compiled at first use, for those who want it earlier (``_warm_up``).
COMPILED: list[Any] = []


def renamed(function: Callable[..., Any], name: str, **values: Any) -> Callable[..., Any]:
    """A copy of a function under another name, which is also that of its file in the cache; its
    globals are the function's own with these values."""
    copy = FunctionType(function.__code__, {**function.__globals__, **values}, name)
    copy.__qualname__ = name
    return copy


def compiled_task(function: Callable[..., Any], signature: Any) -> Any:
    """A function for callers in C: it has an ``address``, and ``cache_hits`` if it was loaded."""
    options = {"nopython": True, **OPTIONS}
    return cached_task(function, signature, options, CodeFile(function.__qualname__))


class Task:
    """A task that is compiled when its address is asked for."""

    parallel = False

    def __init__(self, function: Callable[[int, int, int], None]) -> None:
        self._function = function
        self._compiled: Any = None
        self.name = function.__qualname__
        COMPILED.append(self)

    def compile(self) -> bool:
        """Compile, or load from the cache; whether it was compiled."""
        return self.address > 0 and not self._compiled.cache_hits

    @property
    def address(self) -> int:
        if self._compiled is None:
            with compiling():
                if self._compiled is None:
                    self._compiled = compiled_task(self._function, TASK)
        return int(self._compiled.address)


class Lazy:
    """A function of one signature that is compiled at its first call."""

    def __init__(
        self,
        function: Callable[..., Any],
        signature: Any,
        *,
        registered: bool = True,
        **options: Any,
    ) -> None:
        self._function, self._signature, self._options = function, signature, options
        self._compiled: Any = None
        self.name, self.parallel = function.__qualname__, bool(options.get("parallel"))
        if registered:
            COMPILED.append(self)

    def compile(self) -> bool:
        """Compile, or load from the cache; whether it was compiled."""
        return not self.function.stats.cache_hits

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    @property
    def function(self) -> Any:
        """The function itself; it is compiled, or loaded from the cache, when asked for."""
        if self._compiled is None:
            with compiling():
                if self._compiled is None:
                    self._compiled = cached_function(
                        self._function,
                        self._signature,
                        {**OPTIONS, **self._options},
                        CodeFile(self.name),
                    )
        return self._compiled


def lazy(signature: Any, **options: Any) -> Callable[[Callable[..., Any]], Lazy]:
    """Decorator form of :class:`Lazy`."""

    def decorate(function: Callable[..., Any]) -> Lazy:
        return Lazy(function, signature, **options)

    return decorate
