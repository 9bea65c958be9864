"""Fields of records: what they hold, and structures of C that have no others."""

from __future__ import annotations

import ctypes
import inspect
import sys
from typing import Any, TypeAlias, TypeVar

# What a field holds, all as 64-bit integers; a ``float`` is a double.
Address: TypeAlias = int
Bytes: TypeAlias = int
Count: TypeAlias = int
Flag: TypeAlias = int
#: A place in the table of kernels; -1 for none.
Index: TypeAlias = int

Kind = TypeVar("Kind", bound=type[ctypes.Structure])


def record(kind: Kind) -> Kind:
    """Give a structure the fields that its annotations name.

    With its ``__slots__`` empty it has no others: a wrong name is an error, not a field of Python's
    that compiled code never sees.
    """
    if "__slots__" not in vars(kind):
        raise TypeError(f"{kind.__name__} must have empty __slots__")
    here = vars(sys.modules[kind.__module__])
    fields: list[tuple[str, Any]] = []
    for name, annotation in inspect.get_annotations(kind).items():
        known: Any = here.get(annotation)
        nested = isinstance(known, type) and issubclass(known, ctypes.Structure)
        real = annotation == "float"
        fields.append((name, known if nested else ctypes.c_double if real else ctypes.c_int64))
    kind._fields_ = fields
    return kind


def offset_of(kind: type[ctypes.Structure], name: str) -> int:
    """Bytes before a field."""
    offset: int = getattr(kind, name).offset
    return offset
