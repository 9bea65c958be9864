"""Measures of predictions in the units of the data, beside a baseline."""

from __future__ import annotations

import math

import numpy as np
from fastmlp import metrics

from .._model import Model, Preprocessing
from .._typing import Array

#: Classes of which a table is printed, and a confusion matrix.
MOST_CLASSES, MOST_CONFUSED = 30, 12


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
        ``accuracy`` (0…1), or ``rmse`` (the unit of the target, mean over the targets) and ``r2``.
    """
    if preprocessing.task == "classification":
        return {"accuracy": metrics.accuracy(y, preprocessing.classes(output))}
    return _errors(y.reshape(len(y), -1), preprocessing.values(output.astype(np.float64)))


def baseline(preprocessing: Preprocessing, train: Array, y: Array) -> dict[str, float]:
    """The measures of who knows the training targets alone: the commonest class, or the mean."""
    if preprocessing.task == "classification":
        commonest = np.bincount(train).argmax()
        return {"accuracy": metrics.accuracy(y, np.full(len(y), commonest))}
    train, y = train.reshape(len(train), -1), y.reshape(len(y), -1)
    largest = max(float(np.abs(train).max()), 1.0)
    mean = (train / largest).mean(axis=0) * largest
    return _errors(y, np.broadcast_to(mean, y.shape))


def show(measures: dict[str, float]) -> str:
    """Measures for a person: ``accuracy 97.50 %``, or ``RMSE 3.14, R² 0.87``."""
    if "accuracy" in measures:
        return f"accuracy {100 * measures['accuracy']:.2f} %"
    return f"RMSE {measures['rmse']:.4g}, R² {measures['r2']:.4f}"


def show_guess(preprocessing: Preprocessing, measures: dict[str, float]) -> str:
    """The baseline for a person."""
    if preprocessing.task == "classification":
        return f"{show(measures)} by always naming the commonest class"
    return f"RMSE {measures['rmse']:.4g} by always predicting the mean"


def details(model: Model, output: Array, y: Array) -> list[str]:
    """Lines with the area under the ROC curve, a table by class and a confusion matrix."""
    prepare = model.preprocessing
    k = len(prepare.target_names)
    if prepare.task != "classification":
        return []
    lines = []
    if model.has_probabilities:
        known = len(np.unique(y)) == k
        area = metrics.roc_auc(y, prepare.probabilities(output)) if known else math.nan
        if math.isfinite(area):
            how = " (mean over the classes, each against the others)" if k > 2 else ""
            lines.append(f"AUC      {area:.4f}{how}")
    if k > MOST_CLASSES:
        return lines
    counts = metrics.confusion(y, prepare.classes(output), labels=np.arange(k))
    width = max(5, *(len(_short(name)) for name in prepare.target_names))
    lines.append(f"{'class':<{width}}  precision  recall     F1   rows")
    for place, name in enumerate(prepare.target_names):
        hits, said, there = counts[place, place], counts[:, place].sum(), counts[place].sum()
        parts = (_share(hits, said), _share(hits, there), _share(2 * hits, said + there))
        lines.append(
            f"{_short(name):<{width}}  {parts[0]:>9}  {parts[1]:>6} {parts[2]:>6} {int(there):>6}"
        )
    if k <= MOST_CONFUSED:
        cells = max(5, len(str(int(counts.max()))))
        lines.append("true class (down) and prediction (across)")
        head = "".join(f" {_short(name)[:cells]:>{cells}}" for name in prepare.target_names)
        lines.append(f"{'':<{width}} {head}")
        for name, row in zip(prepare.target_names, counts, strict=True):
            numbers = "".join(f" {int(count):>{cells}}" for count in row)
            lines.append(f"{_short(name):<{width}} {numbers}")
    return lines


def _errors(y: Array, predicted: Array) -> dict[str, float]:
    """RMSE and R²; in a unit in which the squares of large values do not overflow."""
    unit = max(float(np.abs(y).max()), float(np.abs(predicted).max()))
    unit = unit if 1e100 < unit < math.inf else 1.0
    found = {
        "rmse": unit * metrics.rmse(y / unit, predicted / unit),
        "r2": metrics.r2(y / unit, predicted / unit) if len(y) > 1 else math.nan,
    }
    if not math.isfinite(found["rmse"]):
        raise ValueError(
            f"the error of the predictions is {found['rmse']}: values as large as {unit:.3g} are "
            "beyond what can be measured; rescale the target"
        )
    return found


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def _short(name: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in name)
    return plain if len(plain) <= 20 else f"{plain[:19]}…"
