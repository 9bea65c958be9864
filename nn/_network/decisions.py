"""From outputs to decisions: the class of a row, or which of several labels it has.

The same decision comes from probabilities, of which the highest wins or those of at least one half,
and from scores, where the bound is 0.
"""

from __future__ import annotations

import numpy as np

from .._typing import Array


def threshold(output: str) -> float:
    """What an output has to reach: one half for probabilities, 0 for scores."""
    return 0.5 if output in ("sigmoid", "softmax") else 0.0


def classes(outputs: Array, bound: float) -> Array:
    """Class of each row, ``(n,)``: the highest output, or for one output 1 where it reaches."""
    if outputs.shape[1] == 1:
        reached: Array = (outputs[:, 0] >= bound).astype(np.intp)
        return reached
    highest: Array = outputs.argmax(axis=1)
    return highest


def labels(outputs: Array, bound: float) -> Array:
    """1 where a label applies, else 0: ``(n, n_out)``."""
    reached: Array = (outputs >= bound).astype(np.intp)
    return reached


def log_probabilities(scores: Array, output: str) -> Array:
    """Logarithms of the probabilities of scores ``z``, finite where those are, ``(n, n_out)``.

    Softmax: ``z - log Σ exp z``; sigmoid: ``-log(1 + exp(-z))``.
    """
    if output == "softmax":
        shifted: Array = scores - scores.max(axis=1, keepdims=True)
        shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return shifted
    logs: Array = -np.logaddexp(scores.dtype.type(0), -scores)
    return logs


def true_classes(target: Array) -> Array | None:
    """Class of each row of targets: labels, 0 and 1 (or -1 and 1) of one output, or one-hot rows.

    ``None`` where the rows do not name one class each.
    """
    if target.ndim == 1:
        return target
    if target.shape[1] == 1:
        values = target[:, 0]
        positive = values == 1
        if np.all(positive | (values == 0)) or np.all(positive | (values == -1)):
            numbers: Array = positive.astype(np.intp)
            return numbers
        return None
    low = -1 if target.size and target.min() == -1 else 0  # targets of a hinge loss are ±1
    hits = target == 1
    if np.all(hits | (target == low)) and np.all(hits.sum(axis=1) == 1):
        places: Array = hits.argmax(axis=1)
        return places
    return None


def true_labels(target: Array) -> Array | None:
    """0 and 1 for each label of targets ``(n, n_out)`` of 0 and 1 or -1 and 1, else ``None``."""
    yes = target == 1
    if np.all(yes | (target == 0)) or np.all(yes | (target == -1)):
        numbers: Array = yes.astype(np.intp)
        return numbers
    return None
