"""Arrays that computations of equal shapes take one after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array


class Workspace:
    """Keeps arrays by name, for who makes them again and again.

    To touch memory that comes fresh from the system takes longer than to compute what is written
    there: a third of the sums of Levenberg–Marquardt of 410 parameters and 5 outputs.
    """

    def __init__(self) -> None:
        self._arrays: dict[Any, Array] = {}

    def array(self, name: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of any values: that of the last call with this name, where it fits."""
        found = self._arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            found = self._arrays[name] = np.empty(shape, dtype)
        return found
