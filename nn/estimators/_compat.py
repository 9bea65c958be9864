"""The one file that imports scikit-learn: its base classes and input checks where it is installed.

Without it the small equals of ``_standalone`` take their place. Type checkers see those, because
scikit-learn carries no types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _standalone

__all__ = [
    "BaseEstimator",
    "ClassifierMixin",
    "ConvergenceWarning",
    "DataConversionWarning",
    "InvalidParameterError",
    "NotFittedError",
    "RegressorMixin",
    "validate",
]

Array = np.ndarray[Any, Any]

_sklearn_validate: Any = None

if TYPE_CHECKING:
    from ._standalone import (
        BaseEstimator,
        ClassifierMixin,
        ConvergenceWarning,
        DataConversionWarning,
        InvalidParameterError,
        NotFittedError,
        RegressorMixin,
    )
else:
    try:
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
        from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
        from sklearn.utils._param_validation import InvalidParameterError
        from sklearn.utils.validation import validate_data as _sklearn_validate
    except ImportError:
        from ._standalone import (
            BaseEstimator,
            ClassifierMixin,
            ConvergenceWarning,
            DataConversionWarning,
            InvalidParameterError,
            NotFittedError,
            RegressorMixin,
        )

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
    X : (n, n_features) array of float32 or float64
    y : (n,) or (n, n_outputs) array, only where targets were given
    """
    if _sklearn_validate is None:
        if y is NO_TARGET:
            return _standalone.validate_rows(estimator, X, reset=reset)
        return _standalone.validate(estimator, X, y, reset=reset, y_numeric=y_numeric)
    options: dict[str, Any] = {"dtype": (np.float64, np.float32), "reset": reset}
    if y is not NO_TARGET:
        options |= {"y": y, "multi_output": True, "y_numeric": y_numeric}
    return _sklearn_validate(estimator, X, **options)
