"""Scaling of inputs and targets, which belongs to the model as much as its weights do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..datasets import Column, Dataset
from ..datasets._dataset import Task, pixel_columns
from ..losses import GaussianNLL, Quantile


@dataclass(frozen=True)
class Preprocessing:
    """Transformations between a file and the network, in both directions.

    Attributes
    ----------
    name : str
        The data that the network was trained on.
    task : {"classification", "regression"}
    target_names : tuple of str
        Classes by number, or target columns.
    columns : tuple of Column
        Columns of a table; pixels for images.
    image_shape : (height, width), optional
        For images.
    offset, scale : float, or (n_features,) arrays
        The network sees ``(x - offset) / scale``.
    target_offset, target_scale : float, or (n_targets,) arrays
        The network predicts ``(y - target_offset) / target_scale``.
    target_columns : tuple of str
        Names of the columns that are predicted; empty for images.
    loss : GaussianNLL or Quantile, optional
        What says how several outputs of the network describe one target.
    """

    name: str
    task: Task
    target_names: tuple[str, ...]
    columns: tuple[Column, ...]
    image_shape: tuple[int, int] | None = None
    offset: Array | float = 0.0
    scale: Array | float = 1.0
    target_offset: Array | float = 0.0
    target_scale: Array | float = 1.0
    target_columns: tuple[str, ...] = ()
    loss: GaussianNLL | Quantile | None = None

    @property
    def n_features(self) -> int:
        """Inputs of the network."""
        return sum(column.n_features for column in self.columns)

    def inputs(self, x: Array, dtype: Any) -> Array:
        """Features of a file → inputs of the network."""
        # Bytes of images would be taken to float64, four times the memory of the result.
        x = x if x.dtype == np.float64 else x.astype(dtype)
        scaled = (x - np.asarray(self.offset, x.dtype)) / np.asarray(self.scale, x.dtype)
        return np.ascontiguousarray(scaled, dtype)

    def targets(self, y: Array, dtype: Any) -> Array:
        """Targets of a file → targets of the network; class numbers stay as they are."""
        if self.task == "classification":
            return y
        scaled = (y.reshape(len(y), -1) - self.target_offset) / self.target_scale
        return np.ascontiguousarray(scaled, dtype)

    def values(self, output: Array) -> Array:
        """Outputs of the network → real targets, shape (n, n_targets); means or medians."""
        point = output if self.loss is None else self.loss.point(output)
        result: Array = point * self.target_scale + self.target_offset
        return result

    def spread(self, output: Array) -> dict[str, Array]:
        """What outputs say of each target beside one value, ``(n, n_targets)`` each, by name.

        ``std`` is a standard deviation, ``q0.05`` a quantile; in the unit of the target.
        """
        if self.loss is None:
            return {}
        if isinstance(self.loss, GaussianNLL):
            return {"std": self.loss.distribution(output)[1] * self.target_scale}
        values, levels = self.loss.values(output), self.loss.quantile
        assert isinstance(levels, tuple)
        return {
            f"q{level:g}": values[:, :, k] * self.target_scale + self.target_offset
            for k, level in enumerate(levels)
        }

    def classes(self, output: Array) -> NDArray[np.intp]:
        """Outputs of the network → class numbers; a single output is that of class 1."""
        if output.shape[1] == 1:
            return (output[:, 0] > 0.5).astype(np.intp)
        numbers: NDArray[np.intp] = output.argmax(axis=1)
        return numbers

    def probabilities(self, output: Array) -> Array:
        """Outputs of a softmax, or of a single sigmoid, → one column for each class."""
        return np.column_stack([1 - output[:, 0], output[:, 0]]) if output.shape[1] == 1 else output


def of_images(
    name: str, classes: tuple[str, ...], shape: tuple[int, int], largest: float
) -> Preprocessing:
    """For images: pixels divided by their largest possible value."""
    columns = pixel_columns(*shape)
    return Preprocessing(name, "classification", classes, columns, shape, scale=largest)


def of_table(data: Dataset, train: Array, y: Array, scale_targets: bool) -> Preprocessing:
    """For tables: features, and real targets on request, to mean 0 and deviation 1.

    Parameters
    ----------
    data : Dataset
    train, y : arrays
        The training rows alone, so that nothing of the test is known beforehand.
    scale_targets : bool
    """
    offset, scale = _moments(train)
    target_offset, target_scale = _moments(y.reshape(len(y), -1)) if scale_targets else (0.0, 1.0)
    return Preprocessing(
        data.name,
        data.task,
        data.target_names,
        data.columns,
        None,
        offset,
        scale,
        target_offset,
        target_scale,
        data.targets,
    )


def _moments(x: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column; 1 for one that does not vary."""
    # Squares of large values would overflow, and sums of the largest.
    largest = np.abs(x).max(axis=0, initial=0)
    unit = np.where(largest > 0, largest, 1.0)
    mean, deviation = (x / unit).mean(axis=0) * unit, (x / unit).std(axis=0) * unit
    # A constant column's deviation is rounding noise, which must not be blown up to 1.
    constant = deviation <= 1e-12 * np.maximum(np.abs(mean), np.finfo(np.float64).tiny)
    return mean, np.where(constant, 1.0, deviation)
