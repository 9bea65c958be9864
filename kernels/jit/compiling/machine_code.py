"""Functions in the vector language that are compiled apart from Numba, and freed with their users.

Numba never frees code: all of it lies in one engine of LLVM's. Kernels of users' functions may be
any number, so each has an engine of its own, and its pages go with the last who uses it. It is a
single LLVM function, so nothing of Numba's types is needed, and what is kept on disk is the object
file alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .._numba import object_code, running
from ..vector.code import Code
from ..vector.host import host
from .cache import CodeFile
from .turn import compiling


class MachineCode:
    """A compiled function; its code is there as long as this object.

    Parameters
    ----------
    name : str
        Says all about what it does: code on disk is found by it.
    build : function
        Writes the function, given its :class:`Code`.
    n_ints, n_doubles : int
        Its arguments.
    itemsize : int
        Of its reals.

    Attributes
    ----------
    address : int
    """

    def __init__(
        self,
        name: str,
        build: Callable[[Code], Any],
        n_ints: int,
        n_doubles: int,
        itemsize: int,
    ) -> None:
        with compiling():
            file = CodeFile(f"{name}_float{8 * itemsize}")
            content = file.read()
            if content is None:
                module = ir.Module(name)
                function = build(Code(module, host(), itemsize, name, n_ints, n_doubles))
                function.linkage = "external"
                content = object_code(module)
                file.write(content)
            symbol = Code.symbol(name, itemsize)
            self.address, dispose = running(content, symbol)
            weakref.finalize(self, dispose).atexit = False
