"""The type of arrays in annotations, one for the whole package."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

#: Any NumPy array; shapes and dtypes stand in the docstrings and are checked where arrays come in.
Array: TypeAlias = np.ndarray[Any, Any]
