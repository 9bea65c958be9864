"""Targets and weights of an estimator, where single targets may be missing or have weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels

from .._inputs import arrays, sparse, weights
from .._typing import Array
from ..metrics import r2
from ..metrics._arguments import over_outputs
from . import _names
from ._sklearn.compat import row_weights, validate


class WholeTargets:
    """An estimator all of whose targets count as much as their rows."""

    loss: Any
    out_activation_: str
    n_outputs_: int
    _y_numeric = False

    def _engine_loss(self) -> Any:
        return _names.engine_loss(self.loss, self.out_activation_, self.n_outputs_)

    def _validate(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        """Rows and targets, checked."""
        found: tuple[Any, Any] = validate(self, X, y, reset=reset, y_numeric=self._y_numeric)
        return found

    def _weights(self, given: Any, x: Any, dtype: Any) -> Array | None:
        """Weights of rows, where ``given`` are such."""
        return row_weights(given, x, dtype)

    def _weigh_targets(
        self, given: Any, target: Array, weight: Any, dtype: Any, block: bool = False
    ) -> tuple[Array, Any]:
        """The engine's targets and weights; ``weight`` are those of rows, ``given`` a user's."""
        return target, weight


class TargetsWithHoles(WholeTargets):
    """An estimator with ``missing_targets``, and ``sample_weight`` of shape ``(n, n_outputs)``."""

    missing_targets: str
    predict: Any

    def _validate(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        if self.missing_targets == "error" or y is None or sparse.is_sparse(y):
            return super()._validate(X, y, reset)
        target = arrays.numeric(y, "y")
        hidden = np.isnan(target) if target.dtype.kind == "f" else np.zeros(target.shape, bool)
        # What is not there is no concern of scikit-learn's.
        x, target = super()._validate(X, np.where(hidden, target.dtype.type(0), target), reset)
        return x, np.where(hidden, np.nan, target) if hidden.any() else target

    def _weights(self, given: Any, x: Any, dtype: Any) -> Array | None:
        return None if _of_targets(given) else super()._weights(given, x, dtype)

    def _weigh_targets(
        self, given: Any, target: Array, weight: Any, dtype: Any, block: bool = False
    ) -> tuple[Array, Any]:
        value = given if _of_targets(given) else weight
        loss = self._engine_loss()
        if self.missing_targets == "ignore":
            from ..losses._of_targets import observed

            loss = observed(kernels.Loss.of(loss), self.n_outputs_)
        elif value is weight and not getattr(loss, "factors", ()):
            return target, weight
        return weights.of_targets(
            value, target, loss, self.n_outputs_, np.dtype(dtype), block=block
        )

    def _r2(self, target: Array, outputs: Array, weight: Any) -> float:
        """R², the mean over the outputs that have targets."""
        if not isinstance(weight, kernels.TargetWeights):
            return r2(target, outputs, weight)
        return over_outputs(r2, target, outputs, weight.products)

    def _score_of_observed(self, X: Any, y: Any, sample_weight: Any) -> float | None:
        """R² over what was observed; ``None`` where that is all."""
        if self.missing_targets == "error" or y is None:
            return None
        target = arrays.numeric(y, "y")
        if target.dtype.kind != "f" or not (hidden := np.isnan(target)).any():
            return None
        values = self.predict(X)
        if target.shape != values.shape and target.size == values.size:
            target, hidden = (a.reshape(values.shape) for a in (target, hidden))
        if target.shape != values.shape:
            raise ValueError(f"y must have shape {values.shape}, got {target.shape}")
        weight = row_weights(sample_weight, target, np.dtype(np.float64))
        each = np.where(hidden, 0.0, 1.0).reshape(len(target), -1)
        each *= 1.0 if weight is None else weight[:, None]
        shape = each.shape
        return over_outputs(
            r2, np.where(hidden, 0.0, target).reshape(shape), values.reshape(shape), each
        )


def _of_targets(given: Any) -> bool:
    """Whether weights are those of single targets."""
    return given is not None and np.asarray(given).ndim == 2
