"""Metrics of real values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._inputs.numbers import number
from .._typing import Array
from ._arguments import columns, mean, weights


def r2(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Coefficient of determination, ``1 - Σ (y - a)² / Σ (y - ȳ)²``, mean over the outputs.

    An output whose targets are all equal counts 1 where it is met exactly and else 0, as with
    scikit-learn's ``force_finite=True``. NaN for a single row.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
        Right values, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        1 at best; 0 for the mean of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    true, pred = columns(y_true, y_pred)
    if len(true) < 2:
        return float("nan")
    weight = None if sample_weight is None else weights(sample_weight, len(true))
    factor = 1.0 if weight is None else weight[:, None]
    # The operations and their order are scikit-learn's, so that the bits are equal too.
    residual = (factor * (true - pred) ** 2).sum(axis=0)
    total = (factor * (true - np.average(true, axis=0, weights=weight)) ** 2).sum(axis=0)
    return _explained(residual, total)


def mae(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of ``|y - a|``, over rows and outputs.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
        Right values, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        In the unit of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.mae([1.0, 2.0], [1.5, 2.0])
    0.25
    """
    true, pred = columns(y_true, y_pred)
    return mean(np.abs(true - pred).mean(axis=1), sample_weight)


def mse(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of ``(y - a)²``, over rows and outputs.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
        Right values, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        In the square of the unit of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    true, pred = columns(y_true, y_pred)
    return mean(np.square(true - pred).mean(axis=1), sample_weight)


def rmse(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Root of the mean of ``(y - a)²`` over rows, mean over the outputs.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
        Right values, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        In the unit of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.rmse([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 6.0])
    1.0
    """
    true, pred = columns(y_true, y_pred)
    weight = weights(sample_weight, len(true))[:, None]
    squares = (weight * np.square(true - pred)).sum(axis=0) / weight.sum()
    return float(np.sqrt(squares).mean())


def mape(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of ``|y - a| / |y|``, over rows and outputs, as a share (not in per cent).

    ``|y|`` counts at least 2.2e-16: a target of 0 that is missed makes the mean huge, not infinite.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
        Right values, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.

    Returns
    -------
    float
        0.05 is five per cent.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.mape([10.0, 20.0], [11.0, 20.0])
    0.05
    """
    true, pred = columns(y_true, y_pred)
    size = np.maximum(np.abs(true), np.finfo(np.float64).eps)
    return mean((np.abs(true - pred) / size).mean(axis=1), sample_weight)


def pinball(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    alpha: float = 0.5,
) -> float:
    """Mean of the pinball loss of a quantile, ``max(α (y - a), (α - 1) (y - a))``.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, n_out) arrays
        Right values, and those that are predicted.
    sample_weight : (n,) array, optional
        Factor of each row, not negative.
    alpha : float, default 0.5
        Which quantile, between 0 and 1; of the median it is half of :func:`mae`.

    Returns
    -------
    float
        In the unit of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> round(metrics.pinball([1.0, 2.0], [0.0, 3.0], alpha=0.9), 4)
    0.5
    """
    true, pred = columns(y_true, y_pred)
    weight = weights(sample_weight, len(true))
    return float(_pinball(true, pred, weight, _quantile(alpha)).mean())


def d2(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    alpha: float = 0.5,
) -> float:
    """Share of the pinball loss that is explained, mean over the outputs.

    ``1 - pinball(y, a) / pinball(y, q)`` with the quantile ``q`` of the targets: with the default,
    the share of the absolute error about the median. Conventions as in :func:`r2`.

    Parameters
    ----------
    y_true, y_pred, sample_weight, alpha : arrays, and a float
        As for :func:`pinball`.

    Returns
    -------
    float
        1 at best; 0 for the quantile of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import metrics
    >>> metrics.d2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    true, pred = columns(y_true, y_pred)
    alpha = _quantile(alpha)
    if len(true) < 2:
        return float("nan")
    weight = weights(sample_weight, len(true))
    residual = _pinball(true, pred, weight, alpha)
    total = _pinball(true, _quantiles(true, weight, alpha), weight, alpha)
    return _explained(residual, total)


def _quantile(alpha: float) -> float:
    value = number("alpha", alpha)
    if not 0 <= value <= 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha!r}")
    return value


def _pinball(true: Array, pred: Array, weight: Array, alpha: float) -> Array:
    """Mean over rows, for each output."""
    error = true - pred
    means: Array = weight @ np.maximum(alpha * error, (alpha - 1) * error) / weight.sum()
    return means


def _quantiles(values: Array, weight: Array, alpha: float) -> Array:
    """The quantile of each column; the middle of two neighbours where both would do."""
    values, weight = values[weight > 0], weight[weight > 0]
    order = np.argsort(values, axis=0, kind="stable")
    found = np.empty(values.shape[1])
    for column, places in enumerate(order.T):
        sums = np.cumsum(weight[places])
        target = alpha * sums[-1] or np.nextafter(0.0, 1.0)
        at = min(int(np.searchsorted(sums, target)), len(sums) - 1)
        exact = sums[at] - target <= np.finfo(np.float64).eps
        pair = places[[at, min(at + exact, len(sums) - 1)]]
        found[column] = values[pair, column].mean()
    return found


def _explained(residual: Array, total: Array) -> float:
    """``1 - residual / total``, mean over outputs; 1 without residual, 0 where nothing varies."""
    scores = 1 - np.divide(residual, total, out=np.ones(total.shape), where=total != 0)
    scores[residual == 0] = 1
    return float(np.average(scores))
