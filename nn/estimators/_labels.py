"""Class labels: from what users pass to targets of the engine, and from its outputs back.

============ =================== ============== ================================================
kind         targets             output         predicted
============ =================== ============== ================================================
binary       ``(n, 1)`` 0 or 1   sigmoid        second class where the output is above ½
multiclass   ``(n,)`` indices    softmax        class of the largest output
multilabel   ``(n, k)`` 0 or 1   sigmoid        1 for each output above ½
============ =================== ============== ================================================
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ._compat import DataConversionWarning

Array = np.ndarray[Any, Any]


def flatten_column(y: Array) -> Array:
    """``(n, 1)`` becomes ``(n,)``, with a warning."""
    if y.ndim == 2 and y.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape "
            "of y to (n_samples,), for example using ravel().",
            DataConversionWarning,
            stacklevel=5,
        )
        return y.ravel()
    return y


def check_kind(y: Array) -> bool:
    """Return whether ``y`` is multilabel; raise ``ValueError`` where it holds no classes."""
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise ValueError(
            "Unknown label type: continuous. Maybe you are trying to fit a classifier, which "
            "expects discrete classes on a regression target with continuous values."
        )
    if y.ndim == 1:
        return False
    if y.dtype.kind not in "fiub" or len(np.unique(y)) > 2:
        raise ValueError(
            "Multioutput target data is not supported: several columns must be an indicator "
            "matrix of zeros and ones"
        )
    return True


def find_classes(y: Array) -> Array:
    """Sorted classes; those of an indicator matrix are its column numbers."""
    return np.arange(y.shape[1]) if check_kind(y) else np.unique(y)


def encode(y: Array, classes: Array, dtype: Any) -> Array:
    """Targets of the engine; ``y`` holds known classes only."""
    if y.ndim == 2:
        return (y > 0).astype(dtype)
    if len(classes) == 1:
        return np.zeros((len(y), 1), dtype)
    indices = np.searchsorted(classes, y).astype(np.intp, copy=False)
    return indices if len(classes) > 2 else indices[:, None].astype(dtype)


def decode(outputs: Array, classes: Array, output: str) -> Array:
    """Predicted labels from the network's outputs ``(n, n_outputs)``."""
    labels: Array
    if output == "softmax":
        labels = classes[outputs.argmax(axis=1)]
        return labels
    positive = outputs > 0.5
    if outputs.shape[1] > 1:
        return positive.astype(int)
    # With a single class in the training data there is nothing else to predict.
    indices = np.minimum(positive[:, 0].astype(np.intp), len(classes) - 1)
    labels = classes[indices]
    return labels
