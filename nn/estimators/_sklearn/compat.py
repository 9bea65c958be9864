"""The one file that imports scikit-learn: its base classes and input checks where it is installed.

Without it the small equals of ``_standalone`` take their place. Type checkers see those, because
scikit-learn carries no types.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._inputs import arrays, tables, weights
from ..._typing import Array
from . import standalone

__all__ = [
    "BaseEstimator",
    "CallbackSupportMixin",
    "ClassifierMixin",
    "ConvergenceWarning",
    "DataConversionWarning",
    "InvalidParameterError",
    "NotFittedError",
    "RegressorMixin",
    "row_weights",
    "scorer_of",
    "skip_parameter_validation",
    "split_error",
    "validate",
    "with_callbacks",
]


_sklearn: Any = None
_check_sample_weight: Any = None
_validate_data: Any = None

if TYPE_CHECKING:
    from .standalone import (
        BaseEstimator,
        CallbackSupportMixin,
        ClassifierMixin,
        ConvergenceWarning,
        DataConversionWarning,
        InvalidParameterError,
        NotFittedError,
        RegressorMixin,
        with_callbacks,
    )
else:
    try:
        import sklearn as _sklearn
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
        from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
        from sklearn.utils._param_validation import InvalidParameterError
        from sklearn.utils.validation import _check_sample_weight
        from sklearn.utils.validation import validate_data as _validate_data
    except ImportError:
        from .standalone import (
            BaseEstimator,
            ClassifierMixin,
            ConvergenceWarning,
            DataConversionWarning,
            InvalidParameterError,
            NotFittedError,
            RegressorMixin,
        )
    try:  # since scikit-learn 1.9
        from sklearn.callback import CallbackSupportMixin
        from sklearn.callback import with_callbacks as _managed
    except ImportError:
        from .standalone import CallbackSupportMixin, with_callbacks
    else:

        def with_callbacks(method):
            """Let scikit-learn look after the callbacks of a fit, where the estimator has some."""
            managed = _managed(method)

            @functools.wraps(method)
            def fit(estimator, *args, **kwargs):
                looked_after = estimator.__dict__.get("_skl_callbacks")
                return (managed if looked_after else method)(estimator, *args, **kwargs)

            return fit


_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
#: Stands for "no targets to check".
NO_TARGET = object()


def validate(
    estimator: Any,
    X: Any,
    y: Any = NO_TARGET,
    *,
    reset: bool,
    y_numeric: bool = False,
) -> Any:
    """Check and convert input; remember (``reset``) or compare the number of features.

    Returns
    -------
    X : (n, n_features) array, or CSR or CSC matrix, of float32 or float64
    y : (n,) or (n, n_outputs) array, only where targets were given
    """
    if _is_plain(estimator, X, reset) and (y is NO_TARGET or _is_plain_target(y, len(X))):
        if reset:
            estimator.n_features_in_ = X.shape[1]
        return X if y is NO_TARGET else (X, y)
    for value, name in ((X, "X"), (y, "y")):
        arrays.not_masked(value, name)
    kind = getattr(getattr(X, "dtype", None), "kind", "f")
    if kind in "mM":
        raise TypeError(f"X must hold real numbers, got dates or times of dtype {X.dtype}")
    if tables.is_table(X):
        X = tables.frame(X, "X")
    if y is NO_TARGET and kind in "SU":
        # Only where it learns does scikit-learn read numbers from text.
        raise ValueError("X must hold numbers, and is an array of bytes/strings")
    if _sklearn is None:
        if y is NO_TARGET:
            return standalone.validate_rows(estimator, X, reset=reset)
        return standalone.validate(estimator, X, y, reset=reset, y_numeric=y_numeric)
    options: dict[str, Any] = {
        "accept_sparse": ["csr", "csc"],
        "dtype": (np.float64, np.float32),
        "reset": reset,
    }
    if y is not NO_TARGET:
        options |= {"y": y, "multi_output": True, "y_numeric": y_numeric}
    return _validate_data(estimator, X, **options)


def _is_plain(estimator: Any, X: Any, reset: bool) -> bool:
    """Whether rows need no more than a look: a finite array of floats that fits the estimator.

    The checks of scikit-learn would return it as it is, after about a millisecond.
    """
    known = estimator.__dict__
    return (
        X.__class__ is np.ndarray
        and X.dtype in _FLOATS
        and X.ndim == 2
        and X.size > 0
        and "feature_names_in_" not in known
        and (reset or known.get("n_features_in_") == X.shape[1])
        and arrays.all_finite(X)
    )


def _is_plain_target(y: Any, n: int) -> bool:
    return (
        y.__class__ is np.ndarray
        and y.ndim in (1, 2)
        and len(y) == n
        and y.size > 0
        and (y.dtype.kind in "biuU" or (y.dtype.kind == "f" and arrays.all_finite(y)))
    )


def row_weights(value: Any, x: Any, dtype: Any) -> Array | None:
    """Factor of each row: ``(n,)``, or one number for all; finite, not negative, not all zero."""
    if value is None:
        return None
    n = x.shape[0]
    arrays.not_masked(value, "sample_weight")
    if _sklearn is not None:
        value = _check_sample_weight(value, x)
    elif np.ndim(value) == 0:
        value = np.full(n, value)
    return weights.of_rows(value, n, dtype)


def skip_parameter_validation() -> bool:
    """Whether the user has told scikit-learn not to check constructor parameters."""
    return _sklearn is not None and bool(_sklearn.get_config()["skip_parameter_validation"])


def split_error(n: int, fraction: float, labels: Array | None) -> None:
    """Let scikit-learn say, in its words, why it would not split these rows, if it would not."""
    if _sklearn is not None:
        from sklearn.model_selection import (  # type: ignore[import-untyped,unused-ignore]
            train_test_split,
        )

        # As a column of booleans: the message names the classes as it does for scikit-learn's own.
        stratify = None if labels is None else labels.astype(bool)[:, None]
        train_test_split(np.arange(n), test_size=fraction, random_state=0, stratify=stratify)


def scorer_of(scoring: str | Callable[..., float]) -> Callable[..., float]:
    """``scorer(estimator, X, y, weight)`` for a function of the user's, or scikit-learn's scorer.

    Weights of rows, which may be ``None``, are passed on where the function takes them.
    """
    scorer = scoring if callable(scoring) else _named_scorer(scoring)
    weighs = _has_weights(getattr(scorer, "_score_func", scorer))

    def score(estimator: Any, X: Any, y: Any, weight: Array | None) -> float:
        given = {"sample_weight": weight} if weighs and weight is not None else {}
        return float(scorer(estimator, X, y, **given))

    return score


def _has_weights(function: Any) -> bool:
    try:
        return "sample_weight" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin that does not say
        return False


def _named_scorer(scoring: str) -> Callable[..., float]:
    if _sklearn is None:
        raise ImportError(
            f"scoring={scoring!r} needs scikit-learn: pip install 'fastmlp[sklearn]', or pass a "
            "function of (estimator, X, y)"
        )
    from sklearn.metrics import get_scorer  # type: ignore[import-untyped,unused-ignore]

    scorer: Callable[..., float] = get_scorer(scoring)
    return scorer
