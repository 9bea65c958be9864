"""Metrics of probabilities, and of scores, of which only the order matters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .._inputs.numbers import count
from .._typing import Array
from ._arguments import mean, weights


def log_loss(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of ``-log p`` of the right class.

    Probabilities are clipped to ``ε … 1 - ε`` with the ``ε`` of their dtype, so that no single row
    makes the mean infinite.

    Parameters
    ----------
    y_true : (n,) array of int, or (n, n_classes) array
        Classes ``0 … n_classes - 1``, or one-hot rows.
    y_pred : (n, n_classes), (n,) or (n, 1) array
        Probabilities of all classes, or those of class 1.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        In nats; 0 is best.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> round(metrics.log_loss([0, 1], [[0.9, 0.1], [0.2, 0.8]]), 4)
    0.1643
    """
    p = np.asarray(y_pred)
    if p.dtype.kind != "f":
        p = p.astype(np.float64)
    epsilon = np.finfo(p.dtype).eps
    p = np.clip(p, epsilon, 1 - epsilon).astype(np.float64)
    p = _columns_of_classes(p)
    true = _one_hot(y_true, p.shape)
    return mean(-(true * np.log(p)).sum(axis=1), sample_weight)


def brier(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Brier score: the mean of ``(y - p)²``; of more than two classes, of its sum over them.

    Parameters
    ----------
    y_true : (n,) array of int, or (n, n_classes) array
        Classes ``0 … n_classes - 1``, or one-hot rows.
    y_pred : (n, n_classes), (n,) or (n, 1) array
        Probabilities of all classes, or those of class 1.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        0 is best.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> round(metrics.brier([0, 1], [[0.9, 0.1], [0.2, 0.8]]), 4)
    0.025
    """
    p = _columns_of_classes(np.asarray(y_pred, np.float64))
    errors = np.square(_one_hot(y_true, p.shape) - p).sum(axis=1)
    return mean(errors / 2 if p.shape[1] == 2 else errors, sample_weight)


def top_k(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, k: int = 2
) -> float:
    """Share of rows whose class is among the ``k`` with the highest scores.

    Parameters
    ----------
    y_true : (n,) array of int, or (n, n_classes) array
        Classes ``0 … n_classes - 1``, or one-hot rows.
    y_pred : (n, n_classes), (n,) or (n, 1) array
        Scores or probabilities of all classes, or those of class 1.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.
    k : int, default 2
        Of classes with equal scores the later ones are taken first.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.top_k([2, 0], [[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]], k=2)
    0.5
    """
    count("k", k, 1)
    scores = np.asarray(y_pred, np.float64)
    if scores.ndim == 1 or scores.shape[1] == 1:
        scores = scores.ravel()
        bound = 0.5 if scores.size and scores.min() >= 0 and scores.max() <= 1 else 0.0
        yes = scores > bound
        scores = np.column_stack([~yes, yes]).astype(np.float64)
    highest = np.argsort(scores, axis=1, kind="stable")[:, ::-1][:, :k]
    hits = np.take_along_axis(_one_hot(y_true, scores.shape), highest, axis=1)
    return mean(np.any(hits, axis=1), sample_weight)


def roc_auc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Area under the ROC curve: how often a row of the class has a higher score than another.

    Of more than two classes (each against the rest) and of several labels a row, the mean over
    them. NaN where a class has no row, or every row.

    Parameters
    ----------
    y_true : (n,) array of int, or (n, n_classes) array
        Classes ``0 … n_classes - 1``, one-hot rows, or labels of 0 and 1.
    y_pred : (n, n_classes), (n,) or (n, 1) array
        Scores or probabilities of all classes, or those of class 1.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        Between 0 and 1; 0.5 is a guess.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return _over_classes(_area_under_roc, y_true, y_pred, sample_weight)


def average_precision(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Average precision, ``Σ (R_i - R_(i-1)) P_i`` over the thresholds, from the highest score on.

    Of more than two classes (each against the rest) and of several labels a row, the mean over
    them. 0 for a class that has no row.

    Parameters
    ----------
    y_true, y_pred, sample_weight : arrays
        As for :func:`roc_auc`.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> round(metrics.average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    return _over_classes(_average_precision, y_true, y_pred, sample_weight)


def _over_classes(
    curve: Callable[[Array, Array], float],
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None,
) -> float:
    """The mean of a measure of hits and misses, which are sums of weights at each threshold."""
    scores = np.asarray(y_pred, np.float64)
    if scores.ndim == 1:
        scores = scores[:, None]
    true = np.asarray(y_true)
    if scores.shape[1] <= 2 and (true.ndim == 1 or true.shape[1] == 1):
        positive = _positive(true.ravel())[:, None]
        scores = scores[:, -1:]
    elif true.ndim == 1:
        positive = _one_hot(true, scores.shape) == 1
    else:
        positive = np.column_stack([_positive(column) for column in true.T])
    if positive.shape != scores.shape or not len(scores):
        raise ValueError(f"y_true and y_pred do not fit: {true.shape} and {np.shape(y_pred)}")
    if np.isnan(scores).any():
        return float("nan")
    weight = weights(sample_weight, len(scores))
    return float(
        np.mean(
            [
                curve(*_hits_and_misses(positive[:, k], scores[:, k], weight))
                for k in range(scores.shape[1])
            ]
        )
    )


def _hits_and_misses(positive: Array, scores: Array, weight: Array) -> tuple[Array, Array]:
    """Weights of the rows at or above each score: those of the class, and others."""
    order = np.argsort(-scores, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    hits = np.cumsum((weight * positive)[order])[ends]
    misses = np.cumsum((weight * ~positive)[order])[ends]
    return hits, misses


def _area_under_roc(hits: Array, misses: Array) -> float:
    if hits[-1] == 0 or misses[-1] == 0:
        return float("nan")
    hits, misses = np.r_[0, hits], np.r_[0, misses]
    area = (np.diff(misses) * (hits[1:] + hits[:-1])).sum() / 2
    return float(area / (hits[-1] * misses[-1]))


def _average_precision(hits: Array, misses: Array) -> float:
    if hits[-1] == 0:
        return 0.0
    seen = hits + misses
    precision = np.divide(hits, seen, out=np.zeros(hits.shape), where=seen > 0)
    return float((np.diff(np.r_[0, hits]) * precision).sum() / hits[-1])


def _positive(labels: Array) -> Array:
    """Which of the labels 0 and 1, or -1 and 1, are 1."""
    yes: Array = labels == 1
    if not (yes | (labels == 0)).all() and not (yes | (labels == -1)).all():
        raise ValueError(f"y_true must hold 0 and 1 for each class, got {np.unique(labels)[:8]}")
    return yes


def _columns_of_classes(p: Array) -> Array:
    """A column for each class, also where only class 1 has one."""
    if p.ndim == 1 or p.shape[1] == 1:
        return np.column_stack([1 - p.ravel(), p.ravel()])
    return p


def _one_hot(y_true: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Classes, or rows that are one-hot already, as rows of 0 and 1 of that shape."""
    true = np.asarray(y_true)
    if true.ndim == 2 and true.shape[1] == 1:
        true = true[:, 0]
    if true.ndim == 1:
        if not np.isin(true, np.arange(shape[1])).all():
            raise ValueError(f"y_true must hold classes of 0…{shape[1] - 1}, got {true!r}")
        true = true.astype(np.intp)[:, None] == np.arange(shape[1])
    if true.shape != shape:
        raise ValueError(f"y_true and y_pred do not fit: {true.shape} and {shape}")
    return true.astype(np.float64)
