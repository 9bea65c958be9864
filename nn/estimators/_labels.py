"""Class labels: from what users pass to targets of the engine, and from its outputs back.

============ =================== ============== ================================================
kind         targets             output         predicted
============ =================== ============== ================================================
binary       ``(n, 1)`` 0 or 1   sigmoid        second class where the output is above ½
multiclass   ``(n,)`` indices    softmax        class of the largest output
multilabel   ``(n, k)`` 0 or 1   sigmoid        1 for each output above ½
============ =================== ============== ================================================

The losses of margins (hinge and its relatives) have an identity output: targets are -1 or 1, and
the threshold is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._inputs.arrays import not_masked
from .._inputs.sparse import is_sparse
from .._typing import Array
from ._sklearn.compat import DataConversionWarning
from ._sklearn.warn import warn

MULTILABEL = "multilabel-indicator"


@dataclass(frozen=True)
class LabelCodes:
    """What is known of the labels, under the names of scikit-learn's ``LabelBinarizer``.

    Attributes
    ----------
    classes_ : (n_classes,) array
        Sorted labels; column numbers of an indicator matrix.
    y_type_ : {"binary", "multiclass", "multilabel-indicator"}
    sparse_input_ : bool
        Whether the indicator matrix was sparse; predictions then are.
    """

    classes_: Array
    y_type_: str
    sparse_input_: bool = False

    @classmethod
    def of(cls, y: Any) -> LabelCodes:
        """Codes for the labels that ``y`` holds, a sparse matrix or what :func:`plain` gives."""
        sparse = is_sparse(y)
        if sparse or check_kind(y):
            return cls(np.arange(y.shape[1]), MULTILABEL, sparse)
        return cls.of_classes(distinct(y))

    @classmethod
    def of_classes(cls, classes: Array) -> LabelCodes:
        """Codes for these classes."""
        return cls(classes, "binary" if len(classes) <= 2 else "multiclass")


def are_plain_labels(y: Any, classes: Any) -> bool:
    """Whether ``y`` is an array of one label a row, comparable with these classes as it is."""
    return (
        y.__class__ is np.ndarray
        and y.ndim == 1
        and y.dtype.kind in "biuU"
        and y.dtype.kind == getattr(getattr(classes, "dtype", None), "kind", "")
    )


def plain(y: Any) -> Array:
    """Labels as scikit-learn's classes are: native numbers or strings, no Python objects.

    Raises
    ------
    ValueError
        For objects that are no strings.
    TypeError
        For strings among other objects.
    """
    not_masked(y, "labels")
    labels = np.asarray(y)
    if labels.dtype.kind == "O" and labels.size:
        kinds = sorted({type(label).__name__ for label in labels.ravel().tolist()})
        if "str" not in kinds:
            raise ValueError(
                f"Unknown label type: unknown. Labels must be numbers or strings, got objects: "
                f"{', '.join(kinds)}; convert them, as by y.astype(int)"
            )
        if kinds != ["str"]:
            raise TypeError(f"labels must be of one kind, got {' and '.join(kinds)}")
        return np.array(labels.tolist())
    if labels.dtype.isnative:
        return labels
    native: Array = labels.astype(labels.dtype.newbyteorder("="))
    return native


#: Labels of which Python has made a set before NumPy's calls have begun.
_FEW = 256
#: Unsigned integers by their size in bytes.
_UNSIGNED = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}


def distinct(labels: Array) -> Array:
    """The labels that there are, sorted; numbers of a small range are counted, not sorted."""
    if labels.dtype.kind in "iu" and 0 < labels.size <= _FEW:
        return np.array(sorted(set(labels.tolist())), labels.dtype)
    if labels.dtype.kind in "iu" and labels.size:
        # Seen without their sign, negative numbers are those from half of the range on.
        unsigned, half = _UNSIGNED[labels.itemsize], 1 << 8 * labels.itemsize - 1
        if np.maximum.reduce(labels.view(unsigned)) < min(labels.size, half):
            counts = np.bincount(labels.astype(np.intp, copy=False))
            found: Array = counts.nonzero()[0].astype(labels.dtype, copy=False)
            return found
    return np.unique(labels)


def flatten_column(y: Array) -> Array:
    """``(n, 1)`` becomes ``(n,)``, with a warning."""
    if y.ndim == 2 and y.shape[1] == 1:
        warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape "
            "of y to (n_samples, ), for example using ravel().",
            DataConversionWarning,
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


def indices(y: Array, classes: Array) -> Array:
    """Positions in ``classes`` of labels that are all among them."""
    whole = y.dtype.kind in "iu" and classes.dtype.kind in "iu"
    if whole and classes[0] == 0 and classes[-1] == len(classes) - 1:
        found: Array = y  # sorted and distinct, they are their own positions
    else:
        found = classes.searchsorted(y)
    return found.astype(np.intp, copy=False)


def encode(y: Any, labels: Any, n_outputs: int, dtype: Any, low: float = 0.0) -> Array:
    """Targets of the engine; ``y`` holds known classes only.

    ``low`` is the value that stands for "no": 0 for probabilities, -1 for margins.
    """
    if labels.y_type_ == MULTILABEL:
        dense = y.toarray() if is_sparse(y) else y
        return np.where(dense > 0, 1.0, low).astype(dtype)
    if n_outputs > 1:
        return indices(y, labels.classes_)
    if len(labels.classes_) == 1:
        return np.full((len(y), 1), low, dtype)
    return np.where(indices(y, labels.classes_) == 1, 1.0, low).astype(dtype)[:, None]


def decode(outputs: Array, labels: Any, threshold: float) -> Any:
    """Predicted labels from the network's outputs ``(n, n_outputs)``."""
    if labels.y_type_ == MULTILABEL:
        return _indicator(outputs > threshold, getattr(labels, "sparse_input_", False))
    classes = labels.classes_
    if outputs.shape[1] > 1:
        return classes[outputs.argmax(axis=1)]
    # With a single class in the training data there is nothing else to predict.
    positive = (outputs[:, 0] > threshold).astype(np.intp)
    return classes[np.minimum(positive, len(classes) - 1)]


def _indicator(positive: Array, sparse: bool) -> Any:
    if not sparse:
        return positive.astype(int)
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped,unused-ignore]

    return csr_matrix(positive.astype(int))


def class_factors(
    class_weight: dict[Any, float] | str | None, labels: Any, y: Any, weight: Array | None
) -> Array | None:
    """Factor of each class: of a dictionary, or balanced, ``Σ w / (k Σ_class w)``.

    ``k`` is the number of classes that occur in ``y``.

    Returns
    -------
    (n_classes,) array, or (n_labels, 2) for several labels a row, each a matter of two classes
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        if labels.y_type_ != MULTILABEL:
            return _balanced(indices(y, labels.classes_), len(labels.classes_), weight)
        dense = y.toarray() if is_sparse(y) else y
        return np.array([_balanced((column > 0).astype(np.intp), 2, weight) for column in dense.T])
    if labels.y_type_ == MULTILABEL:
        raise ValueError("class_weight must be 'balanced' or None for multilabel targets")
    classes = labels.classes_
    unknown = [key for key in class_weight if key not in classes]
    if unknown:
        raise ValueError(f"class_weight names {unknown}, which are not among {classes}")
    factors = np.array([class_weight.get(c, 1.0) for c in classes.tolist()], np.float64)
    if not (np.isfinite(factors).all() and (factors >= 0).all()):
        raise ValueError(f"class_weight must be finite and not negative, got {class_weight!r}")
    return factors


def weigh(factors: Array, labels: Any, y: Any, weight: Array | None, dtype: Any) -> Array:
    """Weights of rows times the factors of their classes, of several labels the product.

    Raises
    ------
    ValueError
        Where they leave no row a weight.
    """
    of_rows = factors_of_rows(factors, labels, y)
    found: Array = (of_rows if weight is None else weight * of_rows).astype(dtype)
    if len(found) and not found.any():
        raise ValueError("class_weight and sample_weight leave every row the weight zero")
    return found


def factors_of_rows(factors: Array, labels: Any, y: Any) -> Array:
    """The factors of the classes of rows, ``(n,)``."""
    if labels.y_type_ != MULTILABEL:
        one: Array = factors[indices(y, labels.classes_)]
        return one
    dense = y.toarray() if is_sparse(y) else y
    places = (dense > 0).astype(np.intp)
    several: Array = np.prod(np.take_along_axis(factors, places.T, axis=1), axis=0)
    return several


def _balanced(positions: Array, n_classes: int, weight: Array | None) -> Array:
    totals = np.bincount(positions, weights=weight, minlength=n_classes)
    factors: Array = totals.sum() / (np.count_nonzero(totals) * np.where(totals > 0, totals, 1))
    return factors
