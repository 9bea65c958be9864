"""How good predictions are, in the units of the data."""

from __future__ import annotations

import numpy as np

from .._model import Preprocessing
from .._typing import Array


def measure(preprocessing: Preprocessing, output: Array, y: Array) -> dict[str, float]:
    """Accuracy for classes; RMSE and R² for real targets.

    Parameters
    ----------
    preprocessing : Preprocessing
    output : (n, n_out) array
        Outputs of the network.
    y : (n,) or (n, n_targets) array
        Targets as they stand in the source.

    Returns
    -------
    dict
        ``accuracy`` (0…1), or ``rmse`` (the unit of the target; root of the mean over rows and
        targets) and ``r2`` (1 - residual / total sum of squares, averaged over the targets; NaN
        where a target does not vary).
    """
    if preprocessing.task == "classification":
        return {"accuracy": float(np.mean(preprocessing.classes(output) == y))}
    y = y.reshape(len(y), -1)
    squares = np.square(preprocessing.values(output.astype(np.float64)) - y)
    total = np.square(y - y.mean(axis=0)).sum(axis=0)
    residual = squares.sum(axis=0)
    r2 = 1 - np.divide(residual, total, out=np.full(total.shape, np.nan), where=total > 0)
    return {"rmse": float(np.sqrt(squares.mean())), "r2": float(r2.mean())}


def show(metrics: dict[str, float]) -> str:
    """Metrics for a person: ``accuracy 97.50 %``, or ``RMSE 3.14, R² 0.87``."""
    if "accuracy" in metrics:
        return f"accuracy {100 * metrics['accuracy']:.2f} %"
    return f"RMSE {metrics['rmse']:.4g}, R² {metrics['r2']:.4f}"
