"""Activations that users define, and the checks that they share with losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _callbacks, _chooser
from ._names import ACTIVATIONS, OUTPUTS
from ._program import Program
from ._typing import Array


@dataclass(frozen=True)
class CustomActivation:
    """An elementwise activation of hidden layers.

    Parameters
    ----------
    name : str
        Under which networks are saved.
    function : callable
        ``z -> (σ(z), σ'(z))`` for arrays of any shape. Where it has a method ``program()``, native
        code is made of what that returns.
    """

    name: str
    function: Callable[[Array], tuple[Array, Array]]

    def __post_init__(self) -> None:
        check_name("activation", self.name, ACTIVATIONS + OUTPUTS)

    def __str__(self) -> str:
        return self.name

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """``σ(z)`` and ``σ'(z)``, like ``z`` in shape and dtype; the function has a copy of it.

        Parameters
        ----------
        z : array
            Pre-activations, of any shape.

        Returns
        -------
        a : array
            ``σ(z)``.
        slope : array
            ``σ'(z)``.
        """
        a, slope = self.function(z.copy())
        return (
            fitted(f"activation {self.name!r}", a, z.shape, z.dtype),
            fitted(f"derivative of activation {self.name!r}", slope, z.shape, z.dtype),
        )

    def program(self) -> Program | None:
        """What native code is made of, or ``None``.

        Returns
        -------
        Program or None
            ``None`` where the function offers none.
        """
        make = getattr(self.function, "program", None)
        return None if make is None else make()

    def address(self, dtype: Any) -> int | None:
        """Address of native code, or ``None`` where there is none.

        Parameters
        ----------
        dtype : float32 or float64
            Type of the network.

        Returns
        -------
        int or None
            Of a C function for the compiled backend.
        """
        return native_address(self, self.program(), np.dtype(dtype))

    def callback(self, dtype: Any) -> int:
        """Address of a function that calls :meth:`evaluate`; says once that it is slow.

        Parameters
        ----------
        dtype : float32 or float64
            Type of the network.

        Returns
        -------
        int
            Of a C function that enters Python.
        """
        return _callbacks.address(self, np.dtype(dtype), 3, 1)

    def run_block(self, dtype: np.dtype[Any], z: int, a: int, slope: int, n: int) -> None:
        """What the C function does, on memory at these addresses.

        Parameters
        ----------
        dtype : numpy.dtype
            Type of what lies at the addresses.
        z : int
            Address of ``n`` pre-activations.
        a, slope : int
            Addresses of what is written: ``n`` values ``σ(z)`` and as many ``σ'(z)``.
        n : int
            How many there are.
        """
        memory = _callbacks.memory
        outputs = memory(a, (n,), dtype), memory(slope, (n,), dtype)
        _callbacks.run_block(self, (memory(z, (n,), dtype),), outputs)


def check_name(what: str, name: Any, taken: tuple[str, ...]) -> None:
    """Check the name of a custom function, which no built-in one may have."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a custom {what} must be text, got {name!r}")
    if name in taken:
        raise ValueError(f"{name!r} is the name of a built-in {what}; choose another, name=")


def fitted(what: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A copy of what a user's function has returned, if it has the right shape."""
    result = np.asarray(value)
    if result.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {result.shape}")
    return result.astype(dtype)


def native_address(owner: Any, program: Program | None, dtype: np.dtype[Any]) -> int | None:
    """Address of a compiled program, or ``None``; the code lives as long as its owners."""
    if program is None:
        return None
    compiler = _chooser.native_compiler()
    return None if compiler is None else compiler.address(program, dtype.itemsize, owner)
