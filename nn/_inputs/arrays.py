"""Checks and conversion of the arguments of users to arrays of the network's dtype.

Every function returns a new or the same array, or raises ``TypeError`` or ``ValueError`` with what
was expected and what came, before anything is computed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from fastmlp.kernels import CSR, LOSS_SPECS

from .._typing import Array
from . import tables
from .sparse import for_engine, is_sparse

#: Numbers whose squares are summed sooner than NumPy's warnings are set aside, on one thread.
_FEW = 1024


def rows(
    value: Any, n_in: int, dtype: np.dtype[Any], name: str = "X", *, convert: bool = True
) -> Any:
    """Samples in rows, ``(n, n_in)``: an array, or of a sparse matrix ``kernels.CSR``.

    Without ``convert`` rows keep their dtype: who reads them converts them block by block.
    """
    if is_sparse(value):
        own = value.data.dtype if isinstance(value, CSR) else value.dtype
        return _sparse_rows(value, n_in, dtype if convert else own, name)
    x = numeric(value, name)
    if x.ndim != 2:
        raise ValueError(
            f"{name} must have shape (n, {n_in}), got {x.shape}; {_advice(x, n_in, name)}"
        )
    if x.shape[1] != n_in:
        raise ValueError(f"{name} must have shape (n, {n_in}) for this network, got {x.shape}")
    return x.astype(dtype, copy=False) if convert else x


def _advice(x: Array, n_in: int, name: str) -> str:
    """How to make rows of an array that has none."""
    if x.ndim > 2:
        return f"make each sample a row with {name}.reshape(len({name}), -1)"
    if x.ndim == 1 and n_in == 1:
        return f"reshape it with {name}.reshape(-1, 1)"
    return f"reshape one sample with {name}.reshape(1, -1)"


def _sparse_rows(value: Any, n_in: int, dtype: np.dtype[Any], name: str) -> CSR:
    if len(value.shape) != 2 or value.shape[1] != n_in:
        raise ValueError(f"{name} must have shape (n, {n_in}) for this network, got {value.shape}")
    numeric(value.data if isinstance(value, CSR) else value.dtype.type(0), name)
    found: CSR = for_engine(value, dtype)
    return found


def targets(value: Any, n: int, n_out: int, dtype: np.dtype[Any], loss: Any) -> Array:
    """Targets for ``n`` rows: class labels ``(n,)`` of dtype intp, or values ``(n, n_out)``.

    ``(n,)`` stands for ``(n, 1)`` where the network has one output. ``loss`` is its name, or an
    object that has one; for the hinge losses 0 and 1 become -1 and 1.
    """
    y = numeric(value, "y")
    if len(y.shape) == 0 or len(y) != n:
        raise ValueError(f"X and y must have the same number of rows, got {n} and {y.shape}")
    several = getattr(loss, "outputs_a_target", 0) or 1
    if y.ndim == 1 and n_out == several:
        y = y.reshape(-1, 1)
    if y.ndim == 1:
        return _labels(y, n_out)
    if several > 1 and y.shape == (n, n_out // several):
        y = np.repeat(y, several, axis=1)
    if y.shape != (n, n_out):
        wanted = f"({n}, {n_out})" + (f", or ({n},) with class labels" if n_out > 1 else "")
        raise ValueError(f"y must have shape {wanted}, got {y.shape}")
    y = y.astype(dtype, copy=False)
    if getattr(loss, "missing", False):
        return _where_observed(y, loss)
    if np.isnan(y.sum()) and np.isnan(y).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(y))[0])
        raise ValueError(
            f"y must be finite, got nan at index {where}; missing_targets='ignore' takes NaN for "
            "targets that were not observed"
        )
    finite(y, "y")
    return _for_loss(y, loss if isinstance(loss, str) else loss.name)


def _where_observed(y: Array, loss: Any) -> Array:
    """Targets of which NaN are missing; the others are checked."""
    seen = ~np.isnan(y)
    values = y[seen]
    finite(values, "y where it is observed")
    result = np.full_like(y, np.nan)
    result[seen] = _for_loss(values, loss.name)
    return result


def _for_loss(y: Array, loss: str) -> Array:
    """Check that ``(n, n_out)`` targets mean something to the loss."""
    spec = LOSS_SPECS.get(loss)
    if spec is None or not y.size:
        return y
    low, high, (words, lowest, highest) = y.min(), y.max(), spec.targets
    if not lowest <= low <= high <= highest:
        got = f"{low}" if highest == np.inf else f"{low}…{high}"
        raise ValueError(f"{loss} needs {words}, got {got}")
    if spec.low:
        yes = y == 1
        if np.all(yes | (y == 0)):
            signs: Array = np.where(yes, y.dtype.type(1), y.dtype.type(spec.low))
            return signs
        if not np.all(yes | (y == spec.low)):
            raise ValueError(f"{loss} needs y of {spec.low:g} and 1, or 0 and 1, got {low}…{high}")
    return y


def plain_targets(loss: Any) -> tuple[float, float]:
    """From where to where values need no closer look to be targets of a loss."""
    if getattr(loss, "factors", ()):  # which go with the targets
        return np.inf, -np.inf
    spec = LOSS_SPECS.get(loss if isinstance(loss, str) else loss.name)
    if spec is None:
        return -np.inf, np.inf
    _, low, high = spec.targets
    return (np.inf, -np.inf) if spec.low else (low, high)


def _labels(y: Array, n_out: int) -> Array:
    if y.dtype.kind == "f":
        raise ValueError(
            f"y of shape {y.shape} must hold integer class labels for a network with {n_out} "
            f"outputs, got dtype {y.dtype}; use y.astype(int), or real targets of shape "
            f"({len(y)}, {n_out})"
        )
    if y.size and (y.min() < 0 or y.max() >= n_out):
        raise ValueError(
            f"class labels must lie in 0…{n_out - 1} for a network with {n_out} outputs, "
            f"got {y.min()}…{y.max()}"
        )
    return y.astype(np.intp, copy=False)


def numeric(value: Any, name: str) -> Array:
    """An array of real numbers or booleans."""
    if is_sparse(value):
        raise TypeError(f"{name} is a sparse matrix; convert it with {name}.toarray()")
    not_masked(value, name)
    if tables.is_table(value):
        return tables.array(value, name)
    try:
        array = np.asarray(tables.column(value))
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be an array: {error}") from None
    if array.dtype.kind not in "fiub":
        hint = "; MLPClassifier takes class names as labels" if name == "y" else ""
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}{hint}")
    return array


def not_masked(value: Any, name: str) -> None:
    """Raise ``TypeError`` for a masked array, whose mask would be lost."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array; leave out what is masked, or fill it with {name}.filled(…)"
        )


def finite(array: Any, name: str) -> None:
    """Raise ``ValueError`` where ``array`` (of sparse rows the stored part) is not finite."""
    if isinstance(array, CSR):
        array = array.data[: array.indptr[-1]]
    if not all_finite(array):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[where]} at index {where}")


def all_finite(array: Array) -> bool:
    """Whether all numbers of an array are finite.

    A sum of them, or of few of their squares, is finite where all are, unless it overflows: one
    pass without a temporary array in the ordinary case.
    """
    if array.size <= _FEW:
        finite = math.isfinite(np.vdot(array, array))
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            finite = math.isfinite(array.sum())
    return finite or bool(np.isfinite(array).all())
