"""Kernels: functions in the vector language, with the names of their arguments.

The signature of a kernel is that of the Python function which writes it::

    @kernel
    def scale(code: Code, name: str, *, x: Int, n: Int, factor: Real) -> None:
        ...

Arguments given by name are those of the machine code, in this order, first all integers (addresses,
counts, bytes), then all reals, which arrive as doubles and are handed on as vectors. What stands
before them chooses among kernels of one signature. Nobody counts arguments: callers name them
(``scalar.calls``), and whoever names a wrong one gets a ``TypeError`` before anything is compiled.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from .code import Code
from .host import Host, host


class Signature(NamedTuple):
    """Names of the arguments of a kernel: 64-bit integers, then doubles."""

    ints: tuple[str, ...]
    doubles: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in order."""
        return self.ints + self.doubles

    @staticmethod
    def of(function: Callable[..., None]) -> Signature:
        """The signature of a function that writes a kernel."""
        parameters = inspect.signature(function).parameters.values()
        named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        kinds = [str(p.annotation) for p in named]
        n_ints = kinds.count("Int")
        if kinds != ["Int"] * n_ints + ["Real"] * (len(kinds) - n_ints):
            raise TypeError(f"{function.__name__} must take integers, then reals, got {kinds}")
        names = [p.name for p in named]
        return Signature(tuple(names[:n_ints]), tuple(names[n_ints:]))


class Kernel:
    """What writes kernels of one signature.

    Parameters
    ----------
    function : callable
        ``function(code, *variant, **arguments)``.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self._variant: tuple[Any, ...] = ()
        self.name = function.__name__
        self.__doc__ = function.__doc__
        self.signature = Signature.of(function)

    def of(self, *variant: Any) -> Kernel:
        """The one kernel that ``variant`` chooses."""
        chosen = copy.copy(self)
        chosen._variant = variant
        return chosen

    def like(self, signature: Signature) -> Kernel:
        """The same, once it has been seen to have this signature."""
        if self.signature != signature:
            raise TypeError(f"arguments of {self.name} must be {signature}, got {self.signature}")
        return self

    def write(
        self, module: Any, itemsize: int, name: str, *variant: Any, machine: Host | None = None
    ) -> Any:
        """Write one into a module of LLVM's; ``variant`` says which. Returns LLVM's function."""
        ints, doubles = self.signature
        code = Code(module, machine or host(), itemsize, name, len(ints), len(doubles))
        arguments: dict[str, Any] = dict(zip(ints, code.ints, strict=True))
        for argument, value in zip(doubles, code.doubles, strict=True):
            arguments[argument] = code.splat(value)
        self._function(code, *self._variant, *variant, **arguments)
        return code.finish()


def kernel(function: Callable[..., None]) -> Kernel:
    """Decorator form of :class:`Kernel`."""
    return Kernel(function)
