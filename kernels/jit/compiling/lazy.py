"""Tasks and other functions of compiled Python, compiled at first use.

A task is ``task(plan, step, index)``: one block of a phase of a job (see ``threads/team``). Tasks
are compiled each on its own and called by address, so that a program compiles only what it runs,
and once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..scalar.builtins import TASK
from ..scalar.functions import write
from .machine_code import Made, made
from .turn import compiling


class Compiled(Protocol):
    """What is compiled at first use."""

    name: str
    parallel: bool

    def compile(self) -> bool:
        """Compile, or load from the cache; whether it was compiled."""
        ...


#: Everything that is compiled at first use, for those who want it earlier (``_warm_up``).
COMPILED: list[Compiled] = []


class Function:
    """A function of integers that is compiled when its address is asked for.

    Parameters
    ----------
    function : callable
        Of compiled Python (:mod:`..scalar`).
    name : str, optional
        Another name than its own.
    **values
        What it finds under these names instead of its module's.
    """

    parallel = False

    def __init__(
        self, function: Callable[..., None], name: str | None = None, **values: Any
    ) -> None:
        self._function, self._values = function, values
        self._made: Made | None = None
        self.name = name or function.__name__
        COMPILED.append(self)

    def write(self, module: Any) -> Any:
        """Write it into a module of LLVM's."""
        return write(module, self._function, self.name, **self._values)

    def _ready(self) -> Made:
        if self._made is None:
            # Of two threads that come at once the second must not make it anew: what the first has
            # would be freed, and with it the code that it is about to run.
            with compiling():
                if self._made is None:
                    self._made = made(self.name, [self.name], self.write)
        return self._made

    def compile(self) -> bool:
        """Compile, or load from the cache; whether it was compiled."""
        return self._ready().compiled

    @property
    def address(self) -> int:
        """Of the machine code."""
        return self._ready().addresses[0]


class Task(Function):
    """A task of a phase."""

    def __init__(
        self, function: Callable[[int, int, int], None], name: str | None = None, **values: Any
    ) -> None:
        if function.__code__.co_argcount != len(TASK.ints):
            raise TypeError(f"a task takes {TASK.ints}: {function.__name__}")
        super().__init__(function, name, **values)
