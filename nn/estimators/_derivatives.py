"""What hidden layers of a fitted estimator compute, and the derivatives of its predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels

from .._inputs import numbers, sparse
from .._typing import Array
from ._fitted import FittedArrays
from ._sklearn.compat import NotFittedError, validate


class _Fitted:
    """A network at the estimator's parameters, as derivatives take it."""

    def __init__(self, estimator: Any, parameters: Array) -> None:
        self.architecture = estimator._architecture()
        self.parameters, self.n_threads = parameters, estimator.n_threads


class EstimatorDerivatives(FittedArrays):
    """The part of both estimators that looks inside."""

    def transform(self, X: Any, layer: int = -1) -> Array:
        """What a hidden layer computes: features for other models.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.
        layer : int, default -1
            Which hidden layer, 0 the first and -1 the last.

        Returns
        -------
        (n, n_neurons) array
            After the activation.

        Raises
        ------
        ValueError
            For a layer that there is not.
        """
        x, point = self._looked_at(X)
        hidden = len(point.architecture.sizes) - 2
        place = numbers.integer("layer", layer)
        if not -hidden <= place < hidden:
            raise ValueError(f"layer must lie in {-hidden}…{hidden - 1}, got {layer}")
        from .._derivatives.tape import tapes

        out = np.empty((len(x), point.architecture.sizes[1 + place % hidden]), x.dtype)
        for rows, tape in tapes(point, x, False, max(point.architecture.sizes)):
            out[rows] = tape.inputs[1 + place % hidden]
        return out

    def fit_transform(self, X: Any, y: Any, **options: Any) -> Array:
        """``fit(X, y, **options).transform(X)``.

        Parameters
        ----------
        X, y : arrays
            As in :meth:`fit`.
        **options
            Further arguments of :meth:`fit`.

        Returns
        -------
        (n, n_neurons) array
            As of :meth:`transform`.
        """
        fitted: Any = self
        result: Array = fitted.fit(X, y, **options).transform(X)
        return result

    def prediction_gradients(self, X: Any) -> Array:
        """Derivatives of the outputs (values, or probabilities) of each row by its features.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.

        Returns
        -------
        array
            ``(n, n_features)``, or ``(n, n_outputs, n_features)`` for several outputs.
        """
        from .._derivatives import arguments

        x, point = self._looked_at(X)
        sizes = point.architecture.sizes
        out = np.empty((len(x), sizes[-1], sizes[0]), x.dtype)
        network = kernels.network(point.architecture, x.dtype, n_threads=point.n_threads)
        sweeps = min(sizes[0], sizes[-1])
        for rows, part in arguments.blocks_of_rows(point.architecture, x, sweeps):
            network.jacobian(point.parameters, part, out=out[rows])
        return out[:, 0] if sizes[-1] == 1 else out

    def _looked_at(self, X: Any) -> tuple[Any, _Fitted]:
        """Checked rows, and the network at the fitted parameters in their dtype."""
        if not hasattr(self, "coefs_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            )
        x = validate(self, X, reset=False)
        flat = self._packed()
        dtype = flat.dtype if x.dtype == flat.dtype else np.result_type(x.dtype, flat.dtype)
        return sparse.for_engine(x, dtype), _Fitted(self, flat.astype(dtype, copy=False))
