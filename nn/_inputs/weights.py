"""Weights of rows and of single targets, as people give them and as the kernels take them.

A target that is missing is one of weight 0. The mean over rows is that of the rows' weights, and a
row weighs as much as the most of its targets: weights that are equal in a row are those of the row,
and a row of which something was observed is one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp.kernels import Loss, TargetWeights, targets_of_a_row

from .._typing import Array
from .arrays import finite, numeric


def of_rows(value: Any, n: int, dtype: np.dtype[Any]) -> Array | None:
    """Optional factor of each row, ``(n,)``, not negative and not all zero."""
    if value is None:
        return None
    weight = numeric(value, "sample_weight").astype(dtype, copy=False)
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weight.shape}")
    return _checked(weight)


def of_targets(
    value: Any,
    target: Array,
    loss: Any,
    n_out: int,
    dtype: np.dtype[Any],
    *,
    block: bool = False,
) -> tuple[Array, Array | TargetWeights | None]:
    """Targets without holes, and the weights of rows or targets.

    Parameters
    ----------
    value : (n,) or (n, n_targets) array-like, TargetWeights, or None
        As a user gives them; ``TargetWeights`` are taken as they are.
    target : array
        Checked; NaN where it was not observed, if ``loss`` takes that.
    loss : object
        What the kernels take, with ``missing`` and ``factors`` where it has them.
    block : bool
        Whether these are some of many rows: all weights may be 0, and no shortcut is taken that
        other rows may not allow.

    Raises
    ------
    ValueError
        For another shape, negative weights, or none at all.
    """
    missing, constants = getattr(loss, "missing", False), getattr(loss, "factors", ())
    if isinstance(value, TargetWeights):  # which have been here before
        return target, value
    weight = value
    if value is not None:
        weight = _checked(_shaped(value, len(target), loss, n_out, dtype), block)
    if not missing and not constants and (weight is None or weight.ndim == 1):
        return target, weight
    k = targets_of_a_row(loss, n_out)
    assert k is not None  # or it would have been refused before
    each = np.ones((len(target), k), dtype) if weight is None else weight
    each = np.broadcast_to(each if each.ndim == 2 else each[:, None], (len(target), k))
    if missing and target.ndim == 2:
        seen = ~np.isnan(target).reshape(len(target), k, -1).any(axis=2)
        each = each * seen
        hidden = np.repeat(~seen, n_out // k, axis=1)
        target = np.where(hidden, target.dtype.type(0), target) if hidden.any() else target
    rows = each.max(axis=1)
    if not (block or rows.any()):
        raise ValueError("y holds no target that is observed and has a weight")
    factors = np.divide(each, rows[:, None], out=np.zeros_like(each), where=rows[:, None] > 0)
    if constants:
        factors = factors * np.asarray(constants, dtype)
    if not block and np.all(factors[rows > 0] == 1):
        return target, None if weight is None and rows.all() else rows
    return target, TargetWeights(np.ascontiguousarray(rows), np.ascontiguousarray(factors))


def concatenated(parts: Sequence[Array | TargetWeights]) -> Array | TargetWeights:
    """Weights of several blocks, one behind the other."""
    if not isinstance(parts[0], TargetWeights):
        return np.concatenate(parts)  # type: ignore[arg-type]
    found: list[Any] = list(parts)
    return TargetWeights(
        np.concatenate([part.rows for part in found]),
        np.concatenate([part.factors for part in found]),
    )


def kind(weight: Any) -> str:
    """What weights there are, in words."""
    if weight is None:
        return "none"
    return "of targets" if isinstance(weight, TargetWeights) else "of rows"


def _shaped(value: Any, n: int, loss: Any, n_out: int, dtype: np.dtype[Any]) -> Array:
    """Weights of rows ``(n,)`` or of targets ``(n, n_targets)``, several of them."""
    weight = numeric(value, "sample_weight").astype(dtype, copy=False)
    if weight.shape == (n,):
        return weight
    k = targets_of_a_row(loss, n_out)
    if k is None:
        raise ValueError(
            f"sample_weight must have shape ({n},) for loss {Loss.of(loss).name!r}, which is one "
            f"of all outputs of a row together, got {weight.shape}"
        )
    if weight.shape != (n, k):
        raise ValueError(
            f"sample_weight must have shape ({n},), or ({n}, {k}) with one for each target, got "
            f"{weight.shape}"
        )
    return weight[:, 0] if k == 1 else weight


def _checked(weight: Array, block: bool = False) -> Array:
    finite(weight, "sample_weight")
    if weight.size and (weight.min() < 0 or (weight.max() == 0 and not block)):
        what = "row" if weight.ndim == 1 else "target"
        raise ValueError(f"sample_weight must not be negative, nor zero for every {what}")
    return weight
