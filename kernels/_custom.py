"""Activations and losses that users define, and weights of targets: objects for names and arrays.

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

:class:`TargetWeights` stand in the place of weights of rows. A loss that is a sum over targets then
is ``Σ_i w_i Σ_t f_it l_it / Σ_i w_i``, with a weight ``w_i`` for each row as elsewhere and a factor
``f_it`` for each of its targets; what is missing has the factor 0. All that depends on weights of
rows alone (sums over a batch, penalties divided by them) stays what it is without factors.
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
from ._specs import Loss, loss_spec
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
        ``program(None)`` is asked for code that fits any number of outputs. Where it has an
        attribute ``elementwise`` that is true, each output has a loss of its own.
    outputs_a_target : int, default 0
        Outputs that are one target, side by side: the function sees those of each target as a row,
        and a row's loss is the sum of theirs. 0: it sees rows as they are.
    """

    constants: Mapping[str, float] = field(default_factory=dict, init=False)
    function: Callable[[Array, Array], tuple[Array, Array]]
    outputs_a_target: int = 0

    def __post_init__(self) -> None:
        check_name("loss", self.name, LOSSES)

    def __hash__(self) -> int:
        return hash((self.name, self.function))

    @property
    def elementwise(self) -> bool:
        """Whether each output has a loss of its own, and a row the sum of them."""
        return bool(getattr(self.function, "elementwise", False))

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
        each = self.outputs_a_target
        if each and z.shape[1] != each:
            value, delta = self.evaluate(z.reshape(-1, each), y.reshape(-1, each))
            return value.reshape(len(z), -1).sum(axis=1), delta.reshape(z.shape)
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


# Weights of single targets


@dataclass(frozen=True, eq=False)
class TargetWeights:
    """What stands in the place of ``(n,)`` sample weights where targets have weights of their own.

    Indexing takes rows; :meth:`sum` and :meth:`any` are those of the rows' weights.

    Parameters
    ----------
    rows : (n,) array
        Weight of each row, finite and not negative.
    factors : (n, n_targets) array
        Factor of each target, finite and not negative, any strides. What has the factor 0 counts
        nothing, whatever its loss may be.
    """

    rows: Array
    factors: Array

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> TargetWeights:
        return TargetWeights(self.rows[rows], self.factors[rows])

    def __mul__(self, weight: Array) -> TargetWeights:
        return TargetWeights(self.rows * weight, self.factors)

    __rmul__ = __mul__
    __array_ufunc__ = None  # so that ``array * weights`` comes here

    def sum(self, dtype: Any = None) -> Any:
        """Sum of the rows' weights.

        Parameters
        ----------
        dtype : dtype, optional
            In which it is added up.

        Returns
        -------
        float
            ``Σ w_i``.
        """
        return self.rows.sum(dtype=dtype)

    def any(self) -> bool:
        """Whether any row has a weight.

        Returns
        -------
        bool
            ``False`` where all are 0.
        """
        return bool(self.rows.any())

    def astype(self, dtype: Any) -> TargetWeights:
        """The same in another precision.

        Parameters
        ----------
        dtype : dtype
            Of both arrays.

        Returns
        -------
        TargetWeights
            With arrays of it.
        """
        return TargetWeights(self.rows.astype(dtype), self.factors.astype(dtype))

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.rows.nbytes + self.factors.nbytes

    @property
    def products(self) -> Array:
        """Weight of each target, ``w_i f_it``, ``(n, n_targets)``."""
        result: Array = self.rows[:, None] * self.factors
        return result


def targets_of_a_row(loss: str | Loss, n_out: int) -> int | None:
    """How many targets a loss adds up in each row; ``None`` where a row's loss is no such sum.

    Parameters
    ----------
    loss : str or Loss
        A name or an object.
    n_out : int
        Outputs of the network.

    Returns
    -------
    int or None
        As many as outputs for most. Cross-entropy and the multiclass hinge are none, nor is a loss
        of a user in which outputs meet.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.targets_of_a_row("huber", 3), kernels.targets_of_a_row("cross_entropy", 3)
    (3, None)
    """
    if isinstance(loss, CustomLoss):
        each = loss.outputs_a_target or int(loss.elementwise)
        return n_out // each if each and n_out % each == 0 else None
    return None if loss_spec(loss).exclusive else n_out


def check_target_weights(weight: Any, loss: str | Loss, n_out: int) -> None:
    """Raise ``ValueError`` for weights of targets that the loss does not have."""
    if weight.__class__ is not TargetWeights:
        return
    k = targets_of_a_row(loss, n_out)
    if k is None:
        raise ValueError(
            f"loss {Loss.of(loss).name!r} is one of all outputs of a row together: its targets "
            "have no weights of their own"
        )
    if weight.factors.ndim != 2 or weight.factors.shape[1] != k:
        raise ValueError(
            f"sample_weight.factors must have shape (n, {k}) for loss {Loss.of(loss).name!r}, got "
            f"{weight.factors.shape}"
        )
