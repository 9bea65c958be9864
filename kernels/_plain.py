"""Predictions of rows that need no closer look, of the backends that are in Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._typing import Array


class PlainPredictions:
    """What a backend's network has beside ``predict``, for calls that take about a microsecond."""

    architecture: Any
    dtype: Any
    predict: Any

    def predict_plain(
        self, parameters: Any, x: Any, limit: int, out: Array | None = None
    ) -> Array | None:
        """Return ``predict(parameters, x, out=out)`` where all is plainly right, else ``None``.

        Parameters
        ----------
        parameters : (n_parameters,) array, or packed ones
        x : object
            Plainly right is an ``(n, n_in)`` array of the network's dtype, native and aligned.
        limit : int
            Of elements of ``x``: calls for more rows are cut into blocks, so that Ctrl-C is seen.
        out : (n, n_out) array, optional
            C-contiguous, of the network's dtype, apart from the others in memory.
        """
        if (
            x.__class__ is not np.ndarray
            or x.dtype is not self.dtype
            or x.ndim != 2
            or x.size > limit
            or x.shape[1] != self.architecture.sizes[0]
        ):
            return None
        try:
            result: Array = self.predict(parameters, x, out=out)
        except (TypeError, ValueError):  # who asks for rows as they are gets a better reason
            return None
        return result
