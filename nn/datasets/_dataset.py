"""Tables in memory: features, targets, and how columns became features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .._typing import Array
from ._text import DATE_PARTS

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Column:
    """Description of how one column of a file becomes features.

    Parameters
    ----------
    name : str
        Its name in the file.
    categories : tuple of str, optional
        The values of a text column, each of which is one feature that is 1 where the column has
        that value and else 0; ``None`` for a column of numbers, which is one feature itself.
    other : bool
        Whether one more feature stands for rarer values, and those that are met later.
    fold : bool
        Whether ``Yes`` and ``YES`` are one category, then written ``yes``.
    date : str, optional
        For a column of dates their format, such as ``"d.m.y"``: five features (year, month, day,
        weekday, days since 1970).
    decimal, thousands : str
        Signs within the numbers of the column.
    missing : {"refused", "filled", "marked"}
        What a missing value is: an error, or ``fill`` (a category: none of them), or that and a
        feature of its own that is 1 where the value is missing.
    fill : float
        In place of a missing number, or of the days since 1970 of a missing date: the median.
    """

    name: str
    categories: tuple[str, ...] | None = None
    other: bool = False
    fold: bool = False
    date: str | None = None
    decimal: str = "."
    thousands: str = ""
    missing: Literal["refused", "filled", "marked"] = "refused"
    fill: float = 0.0

    @property
    def n_features(self) -> int:
        """Features that the column becomes."""
        main = 1 if self.date is None else len(DATE_PARTS)
        if self.categories is not None:
            main = len(self.categories) + self.other
        return main + (self.missing == "marked")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """``name``, or ``name=category`` for each category, or ``name: year`` and so on."""
        if self.categories is not None:
            names = tuple(f"{self.name}={category}" for category in self.categories)
            names += (f"{self.name}=(other)",) * self.other
        elif self.date is not None:
            names = tuple(f"{self.name}: {part}" for part in DATE_PARTS)
        else:
            names = (self.name,)
        return names + (f"{self.name} is missing",) * (self.missing == "marked")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of features with their targets.

    Parameters
    ----------
    X : (n, n_features) array
        Floating point features, as they stand in the source: nothing is scaled.
    y : (n,) or (n, n_targets) array
        Class numbers ``0…k-1`` (int64) for classification, real values for regression.
    task : {"classification", "regression"}
    target_names : tuple of str
        The classes' names in the order of their numbers, or the names of the target columns.
    columns : tuple of Column
        The columns that the features were made from, in order.
    name : str
        What the data is called in reports.
    targets : tuple of str
        Names of the columns that are to be predicted.
    notes : tuple of str
        What was decided while reading: formats, columns and rows left out.
    """

    X: Array
    y: Array
    task: Task
    target_names: tuple[str, ...]
    columns: tuple[Column, ...]
    name: str = "data"
    targets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.X.ndim != 2 or len(self.X) != len(self.y):
            raise ValueError(
                f"X must have shape (n, n_features) and y n rows, got {self.X.shape} and "
                f"{self.y.shape}"
            )
        named = sum(column.n_features for column in self.columns)
        if named != self.X.shape[1]:
            raise ValueError(f"X has {self.X.shape[1]} features, but columns name {named}")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name for each column of ``X``."""
        return tuple(name for column in self.columns for name in column.feature_names)

    def __repr__(self) -> str:
        what = (
            f"{len(self.target_names)} classes"
            if self.task == "classification"
            else f"{len(self.target_names)} real targets"
        )
        return f"Dataset({self.name!r}, {len(self.X)} rows, {self.X.shape[1]} features, {what})"


def pixel_columns(height: int, width: int) -> tuple[Column, ...]:
    """Names for the pixels of an image, row by row."""
    return tuple(Column(f"pixel_{i}_{j}") for i, j in np.ndindex(height, width))
