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

import ctypes
import functools
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ._names import ACTIVATIONS, LOSSES, OUTPUTS
from ._specs import Loss
from ._typing import Array

#: Steps on numbers, named and defined as NumPy's functions; ``sigmoid(x) = 1 / (1 + exp(-x))``.
ELEMENTWISE_STEPS = (
    *("negative", "absolute", "sign", "square", "sqrt", "floor", "ceil", "rint", "trunc"),
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sigmoid"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2"),
    *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "logaddexp", "clip"),
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "isnan", "where"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
)
#: Steps over the outputs of a row.
REDUCTION_STEPS = ("sum", "max", "min")


class Step(NamedTuple):
    """One operation on values that are already there.

    ``operation`` is ``"constant"`` (the one of ``values``, or one for each output) or a name of
    ``ELEMENTWISE_STEPS`` or ``REDUCTION_STEPS``. Comparisons and what is logical give conditions,
    which only ``where`` (its first operand) and logical steps take. ``operands`` count the
    program's inputs first, then its steps.
    """

    operation: str
    operands: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Program:
    """Straight-line code for one element of a block; reductions run over the outputs of its row.

    Attributes
    ----------
    n_inputs : int
        1 (``z``) or 2 (``z``, ``y``).
    steps : tuple of Step
        In an order in which operands come before their use.
    outputs : tuple of int
        The value (of a loss: of a row) and its derivative by ``z``.
    """

    n_inputs: int
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


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
        _check_name("activation", self.name, ACTIVATIONS + OUTPUTS)

    def __str__(self) -> str:
        return self.name

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """``σ(z)`` and ``σ'(z)``, of the shape and dtype of ``z``."""
        a, slope = self.function(z)
        return (
            _fitted(f"activation {self.name!r}", a, z.shape, z.dtype),
            _fitted(f"derivative of activation {self.name!r}", slope, z.shape, z.dtype),
        )

    def program(self) -> Program | None:
        """What native code is made of, or ``None``."""
        make = getattr(self.function, "program", None)
        return None if make is None else make()

    def address(self, dtype: Any) -> int | None:
        """Address of native code, or ``None`` where there is none."""
        return _native(self, self.program(), np.dtype(dtype))

    def callback(self, dtype: Any) -> int:
        """Address of a function that calls :meth:`evaluate`; says once that it is slow."""
        return _callback(self, np.dtype(dtype))

    def run_block(self, dtype: np.dtype[Any], z: int, a: int, slope: int, n: int) -> None:
        """What the C function does, on memory at these addresses."""
        outputs = memory(a, (n,), dtype), memory(slope, (n,), dtype)
        run_block(self, (memory(z, (n,), dtype),), outputs)


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A loss of the scores and targets of a row; its networks may have any output activation.

    Parameters
    ----------
    name : str
    function : callable
        ``(z, y) -> (row_losses, delta)`` for ``(n, n_out)`` arrays: ``(n,)`` and ``(n, n_out)``.
        Where it has a method ``program(n_out)``, native code is made of what that returns;
        ``program(None)`` is asked for code that fits any number of outputs.
    """

    constants: Mapping[str, float] = field(default_factory=dict, init=False)
    function: Callable[[Array, Array], tuple[Array, Array]]

    def __post_init__(self) -> None:
        _check_name("loss", self.name, LOSSES)

    def __hash__(self) -> int:
        return hash((self.name, self.function))

    def __str__(self) -> str:
        return self.name

    def evaluate(self, z: Array, y: Array) -> tuple[Array, Array]:
        """Loss ``(n,)`` of every row, and ``∂C/∂z``, ``(n, n_out)``."""
        value, delta = self.function(z, y)
        return (
            _fitted(f"loss {self.name!r}", value, z.shape[:1], z.dtype),
            _fitted(f"derivative of loss {self.name!r}", delta, z.shape, z.dtype),
        )

    def program(self, n_out: int | None = None) -> Program | None:
        """What native code is made of, for so many outputs or (``None``) any; or ``None``."""
        make = getattr(self.function, "program", None)
        return None if make is None else make(n_out)

    def address(self, dtype: Any, n_out: int | None = None) -> int | None:
        """Address of native code, or ``None`` where there is none.

        Some losses need to be told the number of outputs: those in which it, or an array with a
        number for each output, takes part.
        """
        return _native(self, self.program(n_out), np.dtype(dtype))

    def callback(self, dtype: Any) -> int:
        """Address of a function that calls :meth:`evaluate`; says once that it is slow."""
        return _callback(self, np.dtype(dtype))

    def run_block(
        self, dtype: np.dtype[Any], z: int, y: int, value: int, delta: int, n: int, n_out: int
    ) -> None:
        """What the C function does, on memory at these addresses."""
        inputs = memory(z, (n, n_out), dtype), memory(y, (n, n_out), dtype)
        outputs = memory(value, (n,), dtype), memory(delta, (n, n_out), dtype)
        run_block(self, inputs, outputs)


def _check_name(what: str, name: Any, taken: tuple[str, ...]) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a custom {what} must be text, got {name!r}")
    if name in taken:
        raise ValueError(f"{name!r} is the name of a built-in {what}; choose another, name=")


def _fitted(what: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    result = np.asarray(value)
    if result.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {result.shape}")
    return result.astype(dtype, copy=False)


def _native(owner: Any, program: Program | None, dtype: np.dtype[Any]) -> int | None:
    """Address of a compiled program; the code lives as long as its owners."""
    if program is None or importlib.util.find_spec("numba") is None:
        return None
    # Native code is written in the Numba backend's vector language, whichever backend calls it.
    jit = importlib.import_module(".jit.compiling.custom_functions", __package__)
    address: int | None = jit.address(program, dtype.itemsize, owner)
    return address


# Calling back into NumPy

#: An exception cannot pass through C: it waits here for the backend that has made the call.
_pending: list[BaseException] = []


def raise_pending() -> None:
    """Raise what went wrong in callbacks since the last call; C callers ask after each run."""
    if _pending:
        error = _pending[0]
        _pending.clear()
        raise error


def run_block(
    custom: CustomActivation | CustomLoss, inputs: tuple[Array, ...], outputs: tuple[Array, ...]
) -> None:
    """Evaluate into arrays; an exception is kept for :func:`raise_pending`."""
    try:
        for array, value in zip(outputs, custom.evaluate(*inputs), strict=True):
            array[...] = value
    except BaseException as error:
        _pending.append(error)
        for array in outputs:
            array.fill(np.nan)


def memory(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Memory at an address as an array."""
    n = int(np.prod(shape))
    if n == 0:
        return np.empty(shape, dtype)
    buffer = (ctypes.c_char * (n * dtype.itemsize)).from_address(address)
    return np.ndarray(shape, dtype, buffer)  # type: ignore[arg-type]


@functools.cache
def _c_function(custom: CustomActivation | CustomLoss, dtype: np.dtype[Any]) -> Any:
    pointers, counts = (3, 1) if isinstance(custom, CustomActivation) else (4, 2)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * pointers, *[ctypes.c_int64] * counts)
    return kind(functools.partial(custom.run_block, dtype))


def _callback(custom: CustomActivation | CustomLoss, dtype: np.dtype[Any]) -> int:
    say_that_it_is_slow(custom.name)
    function = _c_function(custom, dtype)  # kept alive by the cache
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


@functools.cache
def say_that_it_is_slow(name: str) -> None:
    """Warn once for each name."""
    missing = importlib.util.find_spec("numba") is None
    reason = (
        "numba is not installed (pip install 'fastmlp[numba]')"
        if missing
        else "it has operations that native code does not"
    )
    # The line that called the package, however many frames away it is.
    level, frame = 2, sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(
        f"{name!r} runs as NumPy inside the engine, which is slow: {reason}",
        RuntimeWarning,
        stacklevel=level,
    )
