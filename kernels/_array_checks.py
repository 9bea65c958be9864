"""Checks of single arguments: arrays, targets, weights, names of activations, thread counts.

A check raises ``TypeError`` (not an array, wrong dtype) or ``ValueError`` (wrong shape, unknown
name) with what was expected and what came.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _chooser, _custom, _names, _specs
from ._architecture import Architecture, is_activation
from ._typing import Array

_ANY_LAYER = tuple(dict.fromkeys((*_names.ACTIVATIONS, *_names.OUTPUTS)))


def array(name: str, value: Any, shape: tuple[int | str, ...], dtype: Any = None) -> None:
    """Check that ``value`` is a float array of ``shape`` (names stand for any length)."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(value).__name__}")
    if not _specs.is_float(value.dtype):
        raise TypeError(f"{name} must be float32 or float64, got dtype {value.dtype}")
    if dtype is not None and value.dtype != dtype:
        raise TypeError(
            f"{name} must be {np.dtype(dtype)} like the other arrays, got {value.dtype}"
        )
    has_shape(name, value, shape)


def has_shape(name: str, value: Array, shape: tuple[int | str, ...]) -> None:
    """Check the shape of an array; names stand for any length."""
    if value.shape == shape:
        return
    fits = value.ndim == len(shape) and all(
        isinstance(want, str) or want == have for want, have in zip(shape, value.shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join(str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{name} must have shape {wanted}, got {value.shape}")


def output(
    name: str,
    out: Array | None,
    shape: tuple[int, ...],
    dtype: Any,
    *inputs: Any,
) -> Array:
    """Return ``out`` after checking it, or a new array. ``out`` must not overlap an input.

    Parameters
    ----------
    name : str
        What the argument is called in messages.
    out : array or None
        What a caller has given.
    shape : tuple of int
        Shape of the result.
    dtype : dtype
        Type of the result.
    *inputs : arrays
        What ``out`` must not share memory with.

    Returns
    -------
    array
        ``out``, or a new array where that is ``None``.

    Raises
    ------
    TypeError, ValueError
        For no array, another type or shape, one that is not C-contiguous or writeable, or overlap.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> out = np.empty((2, 3))
    >>> kernels.check_output("out", out, (2, 3), np.float64) is out
    True
    """
    if out is None:
        return np.empty(shape, dtype)
    array(name, out, shape, dtype)
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only")
    if not out.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")
    if not out.flags.aligned:
        raise ValueError(f"{name} must be aligned to its elements' size")
    for other in inputs:
        if isinstance(other, np.ndarray) and np.may_share_memory(out, other):
            raise ValueError(f"{name} must not share memory with an input")
    return out


def activation(name: Any, *, output_layer: bool = False) -> None:
    """Check the name of an activation; ``softmax`` and ``exp`` are for output layers only.

    Parameters
    ----------
    name : str or CustomActivation
        What a caller has given.
    output_layer : bool, default False
        Whether it is for the output layer.

    Raises
    ------
    ValueError
        For an unknown name, or one that such a layer cannot have.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.check_activation("tanh")
    """
    known = _ANY_LAYER if output_layer else _names.ACTIVATIONS
    if name not in known and not is_activation(name):
        raise ValueError(f"activation must be one of {known}, got {name!r}")


def target(value: Any, n: int, n_out: int, dtype: Any) -> None:
    """Check targets: ``(n, n_out)`` of the network's dtype, or integer class labels ``(n,)``."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"target must be a numpy.ndarray, got {type(value).__name__}")
    if value.dtype.kind not in "iu":
        array("target", value, (n, n_out), dtype)
        return
    has_shape("target (class labels)", value, (n,))
    if n_out < 2:
        raise ValueError(
            "integer class labels need at least 2 outputs; give float targets of shape (n, 1)"
        )
    if value.size and (value.min() < 0 or value.max() >= n_out):
        raise ValueError(f"class labels must lie in 0…{n_out - 1}, got {value.min()}…{value.max()}")


def sample_weight(value: Any, n: int, dtype: Any) -> None:
    """Check optional row weights: ``(n,)``, finite and not negative; or those of targets."""
    if value is None:
        return
    if value.__class__ is _custom.TargetWeights:
        array("sample_weight.rows", value.rows, (n,), dtype)
        array("sample_weight.factors", value.factors, (n, "k"), dtype)
        for name, values in (("rows", value.rows), ("factors", value.factors)):
            if not np.all(np.isfinite(values)) or np.any(values < 0):
                raise ValueError(f"sample_weight.{name} must be finite and not negative")
        return
    array("sample_weight", value, (n,), dtype)
    if not np.all(np.isfinite(value)) or np.any(value < 0):
        raise ValueError("sample_weight must be finite and not negative")


def threads(n_threads: int | None) -> None:
    """Check a thread count: ``None`` for the default, else a positive integer.

    Parameters
    ----------
    n_threads : int or None
        What a caller has given.

    Raises
    ------
    TypeError, ValueError
        For anything but ``None`` and a positive integer.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.check_threads(2)
    """
    if n_threads is None:
        return
    if isinstance(n_threads, bool) or not isinstance(n_threads, (int, np.integer)):
        raise TypeError(f"n_threads must be an integer or None, got {type(n_threads).__name__}")
    if n_threads < 1:
        raise ValueError(f"n_threads must be at least 1, got {n_threads}")


def plain_samples(
    architecture: Architecture,
    dtype: Any,
    x: Any,
    target: Any,
    sample_weight: Any,
    low: float,
    high: float,
) -> bool:
    """Whether rows, targets and weights need no closer look.

    Parameters
    ----------
    architecture : Architecture
        Of the network that the rows are for.
    dtype : numpy.dtype of float32 or float64
        Of the network.
    x, target, sample_weight : object
        Whatever a user has given.
    low, high : float
        Range of targets that are no class labels.

    Returns
    -------
    bool
        ``True`` where ``x`` is a contiguous ``(n, n_in)`` array of finite numbers of the dtype with
        at least one row, ``target`` one of ``(n, n_out)`` in the range (``(n,)`` for one output),
        or ``(n,)`` class labels of intp, and the weights are ``None`` or ``(n,)`` numbers of the
        dtype, not negative and not all 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> net = kernels.Architecture((2, 3, 1), ("tanh",), "identity")
    >>> x, y = np.ones((5, 2)), np.zeros((5, 1))
    >>> kernels.plain_samples(net, np.dtype("f8"), x, y, None, -np.inf, np.inf)
    True
    >>> kernels.plain_samples(net, np.dtype("f8"), x * np.nan, y, None, -np.inf, np.inf)
    False
    """
    result: bool = _chooser.active().plain_samples(
        architecture, dtype, x, target, sample_weight, low, high
    )
    return result
