"""The rows that early stopping sets apart, drawn as scikit-learn's ``train_test_split`` draws them.

The draws from the random state are the same in number and order, so that equal seeds give equal
splits and equal shuffles after them, with and without scikit-learn.
"""

from __future__ import annotations

import math

import numpy as np

from ..._typing import Array


def train_and_validation(
    n: int, fraction: float, random_state: np.random.RandomState, labels: Array | None
) -> tuple[Array, Array]:
    """Indices of training and validation rows.

    Parameters
    ----------
    n : int
        Number of rows.
    fraction : float
        Share of the validation rows, rounded up to a whole row.
    random_state : numpy.random.RandomState
    labels : (n,) array or None
        Classes whose shares both parts are to keep.
    """
    n_validation = math.ceil(n * fraction)
    n_train = n - n_validation
    if n_validation < 2 or n_train < 1:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            f"your dataset: {n} rows would be split into {n_train} and {n_validation}."
        )
    if labels is None:
        order = random_state.permutation(n)
        return order[n_validation:], order[:n_validation]
    return _stratified(labels, n_train, n_validation, random_state)


def _stratified(
    labels: Array, n_train: int, n_validation: int, random_state: np.random.RandomState
) -> tuple[Array, Array]:
    _, indices, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            "early_stopping needs at least 2 rows of every class, to have each in both parts; "
            "the smallest class has 1"
        )
    if min(n_train, n_validation) < len(counts):
        raise ValueError(
            f"{len(counts)} classes need as many rows in both parts, got {n_train} rows for "
            f"training and {n_validation} for validation"
        )
    train_shares = _shares(counts, n_train, random_state)
    validation_shares = _shares(counts - train_shares, n_validation, random_state)
    train: list[Array] = []
    validation: list[Array] = []
    for label, count in enumerate(counts):
        rows = np.flatnonzero(indices.ravel() == label)[random_state.permutation(count)]
        cut = train_shares[label]
        train.append(rows[:cut])
        validation.append(rows[cut : cut + validation_shares[label]])
    return (
        random_state.permutation(np.concatenate(train)),
        random_state.permutation(np.concatenate(validation)),
    )


def _shares(counts: Array, n_draws: int, random_state: np.random.RandomState) -> Array:
    """Split ``n_draws`` over classes in proportion to ``counts``: largest remainders win.

    Classes with equal remainders draw lots.
    """
    exact = counts / counts.sum() * n_draws
    shares = np.floor(exact)
    missing = int(n_draws - shares.sum())
    remainders = exact - shares
    for value in np.unique(remainders)[::-1]:
        if missing == 0:
            break
        tied = np.flatnonzero(remainders == value)
        winners = random_state.choice(tied, size=min(len(tied), missing), replace=False)
        shares[winners] += 1
        missing -= len(winners)
    result: Array = shares.astype(np.intp)
    return result
