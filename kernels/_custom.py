"""Activations and losses that users define: objects that stand where a name stands.

A :class:`CustomActivation` may be an item of ``Architecture.activations``, a :class:`CustomLoss`
the loss of a network or trainer. Every backend asks them in the way that suits it:

=====================  ============================================================================
``evaluate``           values and derivatives in NumPy: the definition, for the reference backend
``address``            a C function for a block, compiled where Numba is installed; else ``None``
``callback``           a C function of the same kind that holds the GIL and calls ``evaluate``
=====================  ============================================================================

The C functions, with ``T`` float or double, contiguous blocks, rows one after the other::

    void activation(const T *z, T *a, T *slope, int64_t n);
    void loss(const T *z, const T *y, T *row_loss, T *delta, int64_t rows, int64_t n_out);

write ``a = σ(z)`` and ``slope = σ'(z)`` of ``n`` elements, and the loss of every row with its
derivative ``delta = ∂C/∂z``, not divided by anything. The native ones may be called from any
number of threads at once, without the GIL.

What they compile is a :class:`Program`, which the ``function`` of an object may have to offer;
``fastmlp.activations.custom`` and ``fastmlp.losses.custom`` derive one from the user's expression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _callbacks
from ._custom_activation import CustomActivation as CustomActivation
from ._custom_activation import check_name, fitted, native_address
from ._names import LOSSES
from ._program import Program
from ._specs import Loss
from ._typing import Array


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A loss of the scores and targets of a row; its networks may have any output activation.

    Parameters
    ----------
    name : str
        What the loss is called in messages.
    function : callable
        ``(z, y) -> (row_losses, delta)`` for ``(n, n_out)`` arrays: ``(n,)`` and ``(n, n_out)``.
        Where it has a method ``program(n_out)``, native code is made of what that returns;
        ``program(None)`` is asked for code that fits any number of outputs.
    """

    constants: Mapping[str, float] = field(default_factory=dict, init=False)
    function: Callable[[Array, Array], tuple[Array, Array]]

    def __post_init__(self) -> None:
        check_name("loss", self.name, LOSSES)

    def __hash__(self) -> int:
        return hash((self.name, self.function))

    def __str__(self) -> str:
        return self.name

    def evaluate(self, z: Array, y: Array) -> tuple[Array, Array]:
        """Loss ``(n,)`` of every row, and ``∂C/∂z``, ``(n, n_out)``; the function has copies.

        Parameters
        ----------
        z : (n, n_out) array
            Scores.
        y : (n, n_out) array
            Targets.

        Returns
        -------
        row_losses : (n,) array
            Loss of each row.
        delta : (n, n_out) array
            ``∂C/∂z`` of each row.
        """
        value, delta = self.function(z.copy(), y.copy())
        return (
            fitted(f"loss {self.name!r}", value, z.shape[:1], z.dtype),
            fitted(f"derivative of loss {self.name!r}", delta, z.shape, z.dtype),
        )

    def program(self, n_out: int | None = None) -> Program | None:
        """What native code is made of, for so many outputs or (``None``) any; or ``None``.

        Parameters
        ----------
        n_out : int, optional
            Outputs of the network.

        Returns
        -------
        Program or None
            ``None`` where the function offers none.
        """
        make = getattr(self.function, "program", None)
        return None if make is None else make(n_out)

    def address(self, dtype: Any, n_out: int | None = None) -> int | None:
        """Address of native code, or ``None`` where there is none.

        Some losses need to be told the number of outputs: those in which it, or an array with a
        number for each output, takes part.

        Parameters
        ----------
        dtype : float32 or float64
            Type of the network.
        n_out : int, optional
            Outputs of the network; ``None`` for code that fits any number.

        Returns
        -------
        int or None
            Of a C function for the compiled backend.
        """
        return native_address(self, self.program(n_out), np.dtype(dtype))

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
        return _callbacks.address(self, np.dtype(dtype), 4, 2)

    def run_block(
        self, dtype: np.dtype[Any], z: int, y: int, value: int, delta: int, n: int, n_out: int
    ) -> None:
        """What the C function does, on memory at these addresses.

        Parameters
        ----------
        dtype : numpy.dtype
            Type of what lies at the addresses.
        z, y : int
            Addresses of scores and targets, ``(n, n_out)`` each.
        value, delta : int
            Addresses of what is written: ``(n,)`` losses, ``(n, n_out)`` errors.
        n, n_out : int
            Rows and outputs.
        """
        memory = _callbacks.memory
        inputs = memory(z, (n, n_out), dtype), memory(y, (n, n_out), dtype)
        outputs = memory(value, (n,), dtype), memory(delta, (n, n_out), dtype)
        _callbacks.run_block(self, inputs, outputs)
