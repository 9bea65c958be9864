"""Single steps of a trainer: whether arrays can be taken as they are; the shards of a step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ._architecture import Architecture
from ._typing import Array

#: Shards of one call of a ``ShardTrainer``, and rows of several of them together.
MOST_SHARDS, SHARD_ROWS = 8, 1024


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


def shard_groups(cuts: Sequence[int], sparse: bool) -> list[list[int]]:
    """Cut shards into calls of a ``ShardTrainer``; the tree over their sums is that of the shards.

    As many shards as there is memory for at once are added up while their gradients are in the
    cache: a power of two of them.

    Parameters
    ----------
    cuts : sequence of int
        Where the rows are cut into shards, of which there are a power of two.
    sparse : bool
        Whether the rows are sparse: then each shard is a call of its own.

    Returns
    -------
    list of list of int
        The cuts of each call.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.shard_groups([0, 400, 800, 1200, 1600], False)
    [[0, 400, 800], [800, 1200, 1600]]
    """
    count = len(cuts) - 1
    size = 1 if sparse else min(count, MOST_SHARDS)
    while size > 1 and (count % size or _most(cuts, size) > SHARD_ROWS):
        size //= 2
    return [list(cuts[first : first + size + 1]) for first in range(0, count, size)]


def shard_rows(of_shard: int, count: int) -> int:
    """Say how many rows a call of a ``ShardTrainer`` takes at most, of so many shards.

    Parameters
    ----------
    of_shard : int
        Rows of the largest shard.
    count : int
        How many there are.

    Returns
    -------
    int
        The ``batch_size`` of the trainer.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.shard_rows(100, 8), kernels.shard_rows(300, 8), kernels.shard_rows(5000, 8)
    (800, 1024, 5000)
    """
    return max(of_shard, min(of_shard * count, SHARD_ROWS))


def _most(cuts: Sequence[int], size: int) -> int:
    """Rows of the largest group of so many shards."""
    return max(cuts[first + size] - cuts[first] for first in range(0, len(cuts) - size, size))


def check_shards(cuts: Sequence[int], n: int, batch_size: int, sparse: bool) -> None:
    """Raise ``ValueError`` where these are no shards of ``n`` rows for one call."""
    count = len(cuts) - 1
    if count < 1 or count & (count - 1) or count > MOST_SHARDS or (sparse and count > 1):
        raise ValueError(
            f"a call takes a power of two of shards, at most {MOST_SHARDS} and one of sparse rows, "
            f"got {count}"
        )
    if cuts[0] != 0 or cuts[-1] != n or any(b < a for a, b in pairwise(cuts)):
        raise ValueError(f"shards must be cut from 0 to the {n} rows, got {list(cuts)}")
    most = min(batch_size, SHARD_ROWS) if count > 1 else batch_size
    if n > most:
        raise ValueError(f"{count} shards take at most {most} rows together, got {n}")


def tree_sum(vectors: Iterable[Array]) -> Array:
    """Add up a power of two of arrays as they come, in a binary tree.

    ``((v⁰ + v¹) + (v² + v³)) + …``: a part of them whose number is a power of two, and that begins
    at a multiple of it, is a subtree, so whoever adds up parts finds the same bits. While number
    ``k`` is made, counted from 0, as many partial sums wait as ``k`` has bits that are 1.

    Parameters
    ----------
    vectors : iterable of array
        Of one shape and dtype. Some of them are overwritten.

    Returns
    -------
    array
        The sum, in the memory of the first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> kernels.tree_sum(np.full(2, k) for k in range(4))
    array([6, 6])
    """
    waiting: list[Array] = []
    for n, vector in enumerate(vectors, 1):
        total, pairs = vector, n
        while pairs % 2 == 0:
            left = waiting.pop()
            left += total
            total, pairs = left, pairs // 2
        waiting.append(total)
    (total,) = waiting
    return total
