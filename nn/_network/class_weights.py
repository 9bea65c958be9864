"""Weights of rows: their own, times those of their classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._inputs.numbers import number
from .._typing import Array
from .decisions import true_classes


def by_class(
    class_weight: Mapping[int, float] | str | None,
    target: Array,
    n_out: int,
    weight: Array | None,
    dtype: Any,
) -> Array | None:
    """Multiply the weights of rows by those of their classes.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weight of each class, 1 for those that are not named; ``"balanced"`` gives every class the
        same sum: ``n / (classes · rows of the class)``, scikit-learn's definition.
    target : labels (n,), or values (n, n_out)
    n_out : int
        Outputs of the network; one output tells two classes apart.
    weight : (n,) array or None
        Weights so far.
    """
    found = factors(class_weight, target, n_out)
    return weight if found is None else weighted(found, target, weight, dtype)


def factors(
    class_weight: Mapping[int, float] | str | None, target: Array, n_out: int
) -> Array | None:
    """Weight of each class, ``(n_classes,)``; see :func:`by_class`."""
    if class_weight is None:
        return None
    rows = true_classes(target)
    if rows is None:
        raise ValueError(
            "class_weight needs targets with one class a row: labels, one-hot rows, or 0 and 1 of "
            "one output; use sample_weight for others"
        )
    n_classes = max(n_out, 2)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight must be a dict or 'balanced', got {class_weight!r}")
        counts = np.bincount(rows, minlength=n_classes)
        present = np.count_nonzero(counts)
        balanced: Array = np.divide(
            len(rows), present * counts, out=np.ones(n_classes), where=counts > 0
        )
        return balanced
    if isinstance(class_weight, Mapping):
        return _given(class_weight, n_classes)
    raise TypeError(f"class_weight must be a dict or 'balanced', got {class_weight!r}")


def weighted(found: Array, target: Array, weight: Array | None, dtype: Any) -> Array:
    """Weights of rows times those of their classes.

    Raises
    ------
    ValueError
        Where no row has a weight.
    """
    result = of_rows(found, target, weight, dtype)
    if not result.any():
        raise ValueError("class_weight and sample_weight leave every row the weight zero")
    return result


def of_rows(found: Array, target: Array, weight: Array | None, dtype: Any) -> Array:
    """The same, whether or not any row has a weight."""
    rows = true_classes(target)
    if rows is None:
        raise ValueError("class_weight needs targets with one class a row")
    result: Array = found[rows].astype(dtype)
    return result if weight is None else result * weight


def _given(class_weight: Mapping[int, float], n_classes: int) -> Array:
    found = np.ones(n_classes)
    for label, value in class_weight.items():
        if label not in range(n_classes):
            raise ValueError(
                f"classes of class_weight must be whole numbers of 0…{n_classes - 1}, got {label!r}"
            )
        factor = number(f"class_weight of class {label}", value)
        if not (factor >= 0 and math.isfinite(factor)):
            raise ValueError(
                f"class_weight must be finite and not negative, got {value!r} for class {label}"
            )
        found[int(label)] = factor
    return found
