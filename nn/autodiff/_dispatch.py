"""Which of NumPy's functions traced arrays take part in: tables that ``_functions`` fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._operations import TABLE

#: NumPy's other names of an operation.
ALIASES = {"fabs": "absolute", "float_power": "power"}
#: Ufuncs that are written with others.
UFUNCS: dict[str, Callable[..., Any]] = {}
#: Reductions by a ufunc's ``reduce``.
REDUCTIONS: dict[str, Callable[..., Any]] = {}
#: What NumPy calls by ``__array_function__``.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def supported() -> list[str]:
    """Names of NumPy's functions that traced arrays take part in.

    Returns
    -------
    list of str
        Such as ``"np.tanh"``, sorted.

    Examples
    --------
    >>> from fastmlp import autodiff
    >>> "tanh" in autodiff.supported()
    False
    """
    functions = {name_of(function) for function in FUNCTIONS}
    ufuncs = {f"np.{name}" for name in TABLE if isinstance(getattr(np, name, None), np.ufunc)}
    ufuncs |= {f"np.{name}" for name in UFUNCS}
    reductions = {f"np.{name}.reduce" for name in REDUCTIONS}
    return sorted(functions | ufuncs | reductions | {f"np.{name}" for name in ALIASES})


def name_of(function: Any) -> str:
    """The name of a function as it is written after ``import numpy as np``."""
    return f"{str(function.__module__).replace('numpy', 'np', 1)}.{function.__name__}"


def unsupported(name: str) -> TypeError:
    """The error for a function that is in no table."""
    return TypeError(f"{name} has no derivative rule here; there are: {', '.join(supported())}")
