"""Validation of scalar arguments, shared by the whole public API."""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import numpy as np


def number(name: str, value: Any) -> float:
    """A real number as Python's own, which leaves the dtype of arrays as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a finite number, got one above 1e308") from None


def integer(name: str, value: Any) -> int:
    """An integer as Python's own; True and False are none."""
    if not isinstance(value, (bool, np.bool_)):
        with contextlib.suppress(TypeError):
            return operator.index(value)
    kind = type(value).__name__
    raise TypeError(f"{name} must be an integer, got the {kind} {value!r}")


def count(name: str, value: Any, minimum: int) -> int:
    """An integer of at least ``minimum``."""
    found = integer(name, value)
    if found < minimum:
        words = "not be negative" if minimum == 0 else f"be at least {minimum}"
        raise ValueError(f"{name} must {words}, got {found}")
    return found


def switch(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)
