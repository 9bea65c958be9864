"""Rows dealt to a training and a test part, or also to a validation part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._inputs.numbers import number
from .._typing import Array


def train_test_split(
    X: Array,
    y: Array,
    test_size: float | int = 0.2,
    random_state: int | np.random.Generator | None = None,
    stratify: Array | None = None,
) -> tuple[Array, Array, Array, Array]:
    """Split rows at random in two parts.

    Parameters
    ----------
    X, y : arrays with n rows
        Also lists, data frames, series and sparse matrices; rows are taken by their place.
    test_size : float or int
        Share of the rows, between 0 and 1 (rounded to the nearest number of rows, at least one),
        or the number of rows.
    random_state : int or Generator, optional
        Seed; the same seed gives the same parts.
    stratify : (n,) array, optional
        Class of each row. The test part then holds each class in proportion: its exact share of
        rows rounded down or up. A class's last row always stays in the training part.

    Returns
    -------
    X_train, X_test, y_train, y_test
        Copies, in random order.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.datasets import train_test_split
    >>> X, y = np.arange(20).reshape(10, 2), np.arange(10)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
    >>> X_train.shape, X_test.shape
    ((7, 2), (3, 2))
    """
    X, y, n = _rows(X, y)
    n_test = _part_rows(test_size, n, "test")
    rng = np.random.default_rng(random_state)
    order = rng.permutation(n)
    if stratify is None:
        test, train = order[:n_test], order[n_test:]
    else:
        test, train = _stratified(order, np.asarray(stratify), n_test, rng)
    return X[train], X[test], y[train], y[test]


def train_validation_test_split(
    X: Array,
    y: Array,
    validation_size: float | int = 0.15,
    test_size: float | int = 0.15,
    random_state: int | np.random.Generator | None = None,
    stratify: Array | None = None,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Split rows at random in three parts: to train, to decide when to stop, and to report.

    Parameters
    ----------
    X, y : arrays with n rows
        Features and targets.
    validation_size, test_size : float or int
        Shares of all rows, between 0 and 1 (rounded to the nearest number of rows, at least one),
        or numbers of rows.
    random_state : int or Generator, optional
        Seed; the same seed gives the same parts. The test part is that of
        :func:`train_test_split` with the same seed.
    stratify : (n,) array, optional
        Class of each row, of which every part then has its proportion; see
        :func:`train_test_split`.

    Returns
    -------
    X_train, X_validation, X_test, y_train, y_validation, y_test
        Copies, in random order.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.datasets import train_validation_test_split
    >>> X, y = np.arange(40).reshape(20, 2), np.arange(20)
    >>> parts = train_validation_test_split(X, y, random_state=0)
    >>> [len(part) for part in parts]
    [14, 3, 3, 14, 3, 3]
    """
    X, y, n = _rows(X, y)
    n_validation = _part_rows(validation_size, n, "validation")
    rng = np.random.default_rng(random_state)
    rows = np.arange(n)
    rest, test, _, _ = train_test_split(rows, rows, test_size, rng, stratify)
    classes = None if stratify is None else np.asarray(stratify)[rest]
    train, validation, _, _ = train_test_split(rest, rest, n_validation, rng, classes)
    return X[train], X[validation], X[test], y[train], y[validation], y[test]


def _rows(X: Any, y: Any) -> tuple[Any, Any, int]:
    """Both so that ``[rows]`` takes rows by their place, and how many these are."""
    X, y = (v if hasattr(v, "shape") else np.asarray(v) for v in (X, y))
    X, y = (v.tocsr() if hasattr(v, "tocsr") else v for v in (X, y))
    n, n_y = X.shape[0], y.shape[0]
    if n != n_y:
        raise ValueError(f"X and y must have as many rows, got {n} and {n_y}")
    # A frame's own [rows] would take columns, and a series' those with these labels.
    return getattr(X, "iloc", X), getattr(y, "iloc", y), n


def _part_rows(size: float | int, n: int, part: str) -> int:
    """Rows of a part, from its share or number."""
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool):
        count = int(size)
    elif 0 < number(f"{part}_size", size) < 1:
        count = max(1, round(size * n))
    else:
        raise ValueError(f"{part}_size must be a share between 0 and 1 or rows, got {size!r}")
    if not 0 < count < n:
        raise ValueError(f"cannot put {count} of {n} rows into a {part} part: each part needs one")
    return count


def _stratified(
    order: NDArray[np.intp], classes: Array, n_test: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Largest remainders: each class gets its share rounded down, the most wronged get one more."""
    if classes.shape != order.shape:
        raise ValueError(f"stratify must have shape {order.shape}, got {classes.shape}")
    _, members, counts = np.unique(classes, return_inverse=True, return_counts=True)
    shares = counts * (n_test / len(order))
    quotas = np.minimum(np.floor(shares).astype(np.intp), counts - 1)
    while quotas.sum() < n_test:
        wronged = np.where(quotas < counts - 1, shares - quotas, -np.inf)
        if np.isneginf(wronged).all():
            raise ValueError(
                f"cannot put {n_test} of {len(order)} rows into a test part and keep one of each "
                f"of the {len(counts)} classes for training"
            )
        # Ties are broken at random, so that no class is favoured for its place in the list.
        best = np.flatnonzero(wronged == wronged.max())
        quotas[rng.choice(best)] += 1
    in_test = np.zeros(len(order), bool)
    shuffled = members[order]
    for k, quota in enumerate(quotas):
        in_test[np.flatnonzero(shuffled == k)[:quota]] = True
    return order[in_test], order[~in_test]
