"""Metrics of decisions: classes, or labels of 0 and 1."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .._typing import Array
from ._arguments import mean, pair, weights


def accuracy(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Share of rows whose class is right; of multilabel rows, those where all labels are.

    Parameters
    ----------
    y_true, y_pred : (n,) arrays of classes, or (n, n_labels) arrays of 0 and 1
        Right classes, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """
    true, pred = pair(y_true, y_pred)
    right = true == pred
    return mean(right.all(axis=1) if right.ndim == 2 else right, sample_weight)


def balanced_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Mean over the classes of the share of their rows that is right.

    Parameters
    ----------
    y_true, y_pred : (n,) arrays of classes
        Right classes, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        For several labels a row.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    true, pred = pair(y_true, y_pred)
    if true.ndim != 1:
        raise ValueError(f"balanced accuracy needs one class a row, got shape {true.shape}")
    weight = weights(sample_weight, len(true))
    _, classes = np.unique(true, return_inverse=True)
    total = np.bincount(classes, weight)
    right = np.bincount(classes, weight * (true == pred))
    return float(np.mean(right[total > 0] / total[total > 0]))


def f1(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    average: Literal["binary", "macro"] = "macro",
) -> float:
    """F1, the harmonic mean of precision and recall, ``2 TP / (2 TP + FP + FN)``.

    Zero for a class that is neither there nor predicted.

    Parameters
    ----------
    y_true, y_pred : (n,) arrays of classes, or (n, n_labels) arrays of 0 and 1
        Right classes, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.
    average : {"macro", "binary"}
        The mean over all classes (or labels) that occur in either, or the F1 of class 1 alone.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        For another ``average``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> round(metrics.f1([0, 1, 1, 0], [0, 1, 0, 0]), 4)
    0.7333
    """
    if average not in ("binary", "macro"):
        raise ValueError(f"average must be 'binary' or 'macro', got {average!r}")
    true, pred = pair(y_true, y_pred)
    weight = weights(sample_weight, len(true))[:, None]
    if true.ndim == 1:
        classes = np.array([1]) if average == "binary" else np.union1d(true, pred)
        true, pred = true[:, None] == classes, pred[:, None] == classes
    true, pred = true.astype(bool), pred.astype(bool)
    hits = (weight * (true & pred)).sum(axis=0)
    both = (weight * true).sum(axis=0) + (weight * pred).sum(axis=0)
    return float(np.mean(np.divide(2 * hits, both, out=np.zeros(both.shape), where=both > 0)))


def confusion(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> Array:
    """Confusion matrix: rows of each true class (down) by predicted class (across).

    Parameters
    ----------
    y_true, y_pred : (n,) arrays of classes
        Right classes, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.
    labels : (k,) array, optional
        The classes, in the order of the matrix; by default all that occur, sorted. Rows with
        another class are left out.

    Returns
    -------
    (k, k) array
        Counts, or with weights their sums.

    Raises
    ------
    ValueError
        For several labels a row, or ``labels`` that are no list.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.confusion([0, 1, 1, 2], [0, 1, 2, 2])
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 0, 1]])
    """
    true, pred = pair(y_true, y_pred)
    if true.ndim != 1:
        raise ValueError(f"a confusion matrix needs one class a row as y_true, got {true.shape}")
    classes = np.union1d(true, pred) if labels is None else np.asarray(labels)
    if classes.ndim != 1 or len(classes) == 0:
        raise ValueError(f"labels must be a list of classes, got shape {classes.shape}")
    weight = None if sample_weight is None else weights(sample_weight, len(true))
    order = np.argsort(classes, kind="stable")
    ranked = classes[order]
    places = [order[np.minimum(np.searchsorted(ranked, y), len(ranked) - 1)] for y in (true, pred)]
    known = (classes[places[0]] == true) & (classes[places[1]] == pred)
    k = len(classes)
    cells = (places[0] * k + places[1])[known]
    counts = np.bincount(cells, None if weight is None else weight[known], minlength=k * k)
    return counts.reshape(k, k)


def mcc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Matthews' correlation coefficient of two or more classes, between -1 and 1.

    0 where all rows are of one class, or predicted to be.

    Parameters
    ----------
    y_true, y_pred : (n,) arrays of classes
        Right classes, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        1 where all rows are right.

    References
    ----------
    J. Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient",
    2004.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> round(metrics.mcc([0, 1, 1, 0], [0, 1, 0, 0]), 4)
    0.5774
    """
    matrix = confusion(y_true, y_pred, sample_weight).astype(np.float64)
    true, pred, total = matrix.sum(axis=1), matrix.sum(axis=0), matrix.sum()
    covariance = np.trace(matrix) * total - true @ pred
    variances = (total**2 - pred @ pred) * (total**2 - true @ true)
    return float(covariance / math.sqrt(variances)) if variances > 0 else 0.0
