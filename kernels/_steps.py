"""Single steps of a trainer: whether arrays can be taken as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._architecture import Architecture
from ._typing import Array


def _reals(value: Any, shape: tuple[int, ...], dtype: Any, low: float, high: float) -> bool:
    """Whether it is a contiguous array of finite numbers from ``low`` to ``high``."""
    if not (isinstance(value, np.ndarray) and value.dtype == dtype and value.flags.c_contiguous):
        return False
    if value.shape != shape and not (shape[1:] == (1,) and value.shape == shape[:1]):
        return False
    # NaN lies nowhere.
    limit = np.finfo(dtype).max
    return bool(np.all((value >= max(low, -limit)) & (value <= min(high, limit))))


def plain(
    architecture: Architecture,
    dtype: Any,
    batch_size: int,
    arrays: tuple[Any, Any, Any],
    of_output: bool,
    low: float,
    high: float,
) -> bool:
    """Whether ``(x, target, sample_weight)`` need no closer look; see ``Trainer.run_step``."""
    x, target, weight = arrays
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    if not isinstance(x, np.ndarray) or not 0 < len(x) <= batch_size:
        return False
    n, inf = len(x), np.inf
    labels = isinstance(target, np.ndarray) and target.dtype == np.intp and not of_output
    if labels:
        fits = n_out > 1 and target.shape == (n,) and target.min() >= 0 and target.max() < n_out
    else:
        fits = _reals(target, (n, n_out), dtype, low, high)
    if not fits or not _reals(x, (n, n_in), dtype, -inf, inf):
        return False
    return weight is None or (_reals(weight, (n,), dtype, 0, inf) and bool(weight.any()))


def plain_samples(
    architecture: Architecture,
    dtype: Any,
    x: Any,
    target: Any,
    sample_weight: Any,
    low: float,
    high: float,
) -> bool:
    """Whether rows, targets and weights need no closer look."""
    most = x.shape[0] if isinstance(x, np.ndarray) and x.ndim else 0
    return plain(architecture, dtype, most, (x, target, sample_weight), False, low, high)


def fits(parameters: Any, n: int, dtype: Any) -> bool:
    """Whether it is a contiguous vector like the parameters."""
    return (
        isinstance(parameters, np.ndarray)
        and parameters.shape == (n,)
        and parameters.dtype == dtype
        and parameters.flags.c_contiguous
    )


def changed(parameters: Array, shown: Array) -> bool:
    """Whether the two differ, as bytes, so that NaN equals itself."""
    return not np.array_equal(parameters.view(np.uint8), shown.view(np.uint8))
