"""Whether arrays can be taken as they are: what the live backend can tell fastest."""

from __future__ import annotations

from typing import Any

from . import _chooser
from ._specs import Architecture


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
    dtype : numpy.dtype of float32 or float64
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
