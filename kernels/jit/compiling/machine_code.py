"""Functions as machine code: from disk where they are there, else compiled and kept.

Each piece of code has an engine of LLVM's of its own, so it can be freed, and what is kept on disk
is an object file. (Numba never frees code: all of it lies in one engine.)
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from llvmlite import ir

from .._llvm import object_code, running
from ..vector.code import Code
from ..vector.kernel import Kernel
from .cache import CodeFile
from .turn import compiling


class Made(NamedTuple):
    """Functions in memory, for as long as this is kept, or until it is disposed of.

    Their addresses, whether they were compiled (else they were loaded), and what frees them.
    """

    addresses: list[int]
    compiled: bool
    dispose: Callable[[], None]


def made(name: str, symbols: Sequence[str], write: Callable[[Any], None]) -> Made:
    """Compile functions, or load them.

    Parameters
    ----------
    name : str
        Says all about what they do: code on disk is found by it.
    symbols : sequence of str
        Their names.
    write : function
        Writes them into a module of ``llvmlite.ir``.
    """
    with compiling():
        file = CodeFile(name)
        content = file.read()
        compiled = content is None
        if content is None:
            module = ir.Module(name)
            write(module)
            content = object_code(module)
            file.write(content)
        addresses, dispose = running(content, symbols)
        return Made(addresses, compiled, dispose)


class MachineCode:
    """A kernel of a user's function; its code is there as long as this object.

    Parameters
    ----------
    name : str
        Says all about what it does.
    kernel : Kernel
    itemsize : int
        Of its reals.

    Attributes
    ----------
    address : int
    """

    def __init__(self, name: str, kernel: Kernel, itemsize: int) -> None:
        def write(module: Any) -> None:
            kernel.write(module, itemsize, name).linkage = "external"

        code = made(f"{name}_float{8 * itemsize}", [Code.symbol(name, itemsize)], write)
        (self.address,) = code.addresses
        weakref.finalize(self, code.dispose).atexit = False
