"""The embedded data: small, real, and there without a network connection."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np

from ._dataset import Dataset, pixel_columns


def load_digits(*, dtype: Any = np.float32) -> Dataset:
    """Load 1797 handwritten digits of 8 × 8 pixels.

    The rows of ``sklearn.datasets.load_digits`` in the same order; scikit-learn is not needed.

    Parameters
    ----------
    dtype : float32 or float64
        Type of ``X``.

    Returns
    -------
    Dataset
        ``X`` of shape (1797, 64) with whole numbers 0…16, ``y`` with the digits 0…9.

    References
    ----------
    E. Alpaydin and C. Kaynak (1998), *Optical Recognition of Handwritten Digits*, UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.

    Examples
    --------
    >>> from fastmlp.datasets import load_digits
    >>> digits = load_digits()
    >>> digits.X.shape, digits.y[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    source = resources.files("fastmlp").joinpath("datasets", "digits.npz")
    with source.open("rb") as file, np.load(file) as arrays:
        x, y = arrays["X"].astype(dtype), arrays["y"].astype(np.int64)
    names = tuple(str(digit) for digit in range(10))
    return Dataset(x, y, "classification", names, pixel_columns(8, 8), "digits")
