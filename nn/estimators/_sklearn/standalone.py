"""What the estimators need of scikit-learn, for machines without it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._inputs import arrays, sparse, tables
from ..._typing import Array
from ...metrics import accuracy, r2


class NotFittedError(ValueError, AttributeError):
    """The estimator has not been fitted yet."""


class ConvergenceWarning(UserWarning):
    """Training ended before it converged."""


class DataConversionWarning(UserWarning):
    """Input was taken in another shape than it came in."""


class InvalidParameterError(ValueError, TypeError):
    """A constructor parameter has a wrong type or value."""


class BaseEstimator:
    """Parameters by the names of the constructor's arguments."""

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's parameters and their present values."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name; an unknown name is a ``ValueError`` and sets nothing."""
        known = self._parameter_names()
        for name in params:
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for {type(self).__name__}: it has {known}"
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Show the parameters that differ from their defaults."""
        signature = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(signature[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class CallbackSupportMixin:
    """Stands for scikit-learn's, which exists since its version 1.9."""


def with_callbacks(method: Callable[..., Any]) -> Any:
    """Leave a method as it is."""
    return method


class ClassifierMixin:
    """``score`` of classifiers."""

    _estimator_type = "classifier"
    predict: Any

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows (by weight) whose prediction equals ``y``, in all its outputs."""
        return accuracy(np.asarray(y), self.predict(X), sample_weight)


class RegressorMixin:
    """``score`` of regressors."""

    _estimator_type = "regressor"
    predict: Any

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R², averaged over the outputs."""
        return r2(np.asarray(y), self.predict(X), sample_weight)


def validate_rows(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Finite samples in rows, float32 where they came so, else float64; sparse ones as CSR."""
    x = X.tocsr() if sparse.is_sparse(X) else arrays.numeric(X, "X")
    if x.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {x.ndim}D array of shape {x.shape} instead. Reshape one "
            "feature with X.reshape(-1, 1) and one sample with X.reshape(1, -1)."
        )
    if 0 in x.shape:
        raise ValueError(f"Found array with {x.shape[0]} sample(s) and {x.shape[1]} feature(s).")
    x = x.astype(np.float32 if x.dtype == np.float32 else np.float64, copy=False)
    arrays.finite(x.data if sparse.is_sparse(x) else x, "X")
    if reset:
        estimator.n_features_in_ = x.shape[1]
    # Estimators whose fitted arrays were assigned by hand never saw a number of features.
    elif x.shape[1] != getattr(estimator, "n_features_in_", x.shape[1]):
        raise ValueError(
            f"X has {x.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    return x


def validate(estimator: Any, X: Any, y: Any, *, reset: bool, y_numeric: bool) -> tuple[Any, Array]:
    """Rows and as many targets, ``(n,)`` or ``(n, n_outputs)``."""
    x = validate_rows(estimator, X, reset=reset)
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but it is None")
    target = np.asarray(tables.column(y))
    if y_numeric and target.dtype.kind not in "fiub":
        target = target.astype(np.float64)
    n = x.shape[0]
    if target.ndim not in (1, 2) or len(target) != n:
        raise ValueError(f"y must have shape ({n},) or ({n}, n_outputs), got {target.shape}")
    if target.dtype.kind == "f":
        arrays.finite(target, "y")
    return x, target
