"""Pieces of C99: numbers, arrays, and the two floating-point types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..._typing import Array


class Real:
    """``float`` or ``double``: how its literals and functions of ``math.h`` are spelt."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.name = "float" if self.dtype == np.float32 else "double"
        self.suffix = "f" if self.dtype == np.float32 else ""

    def number(self, value: Any) -> str:
        """A value of this type, exactly: in hexadecimal, and by name where it is not finite."""
        exact = float(self.dtype.type(value))
        if exact != exact:
            return "NAN"
        if exact in (np.inf, -np.inf):
            return "INFINITY" if exact > 0 else "-INFINITY"
        if exact == int(exact) and abs(exact) < 1000 and not np.signbit(exact):
            return f"{int(exact)}.0{self.suffix}"
        mantissa, exponent = exact.hex().split("p")
        head, _, digits = mantissa.partition(".")
        digits = digits.rstrip("0")
        return f"{head}{'.' + digits if digits else ''}p{int(exponent)}{self.suffix}"

    def function(self, name: str) -> str:
        """A function of ``math.h`` for this type."""
        return f"{name}{self.suffix}"

    def array(self, name: str, values: Array) -> str:
        """A constant array."""
        return array(self.name, name, (self.number(v) for v in values.ravel().tolist()))


def array(kind: str, name: str, items: Iterable[str]) -> str:
    """The definition of a constant array, in lines of at most 100 columns."""
    lines, line, n = [], "   ", 0
    for item in items:
        n += 1
        if len(line) + len(item) + 2 > 100:
            lines.append(line)
            line = "   "
        line += f" {item},"
    lines.append(line)
    return f"static const {kind} {name}[{n}] = {{\n" + "\n".join(lines) + "\n};\n"


def is_identifier(name: Any) -> bool:
    """Whether a text can begin the names of a header."""
    return isinstance(name, str) and name.isascii() and name.isidentifier()
