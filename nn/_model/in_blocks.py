"""Tables in blocks for a model: what scales them, and the blocks as its network takes them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .._typing import Array
from ..data import Source, arrays
from ..datasets import Column
from .preprocessing import Preprocessing


class Moments:
    """Means and standard deviations of columns whose rows come block by block.

    After T. Chan, G. Golub and R. LeVeque, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances", 1979: the squares are those of distances from the mean so far.
    """

    def __init__(self) -> None:
        self._n = 0
        self._mean: Array | float = 0.0
        self._squares: Array | float = 0.0

    def add(self, x: Array) -> None:
        """Take rows in, ``(n, n_columns)``."""
        n = len(x)
        if not n:
            return
        mean = x.mean(axis=0)
        apart, total = mean - self._mean, self._n + n
        self._squares = self._squares + np.square(x - mean).sum(axis=0)
        self._squares = self._squares + np.square(apart) * (self._n * n / total)
        self._mean, self._n = self._mean + apart * (n / total), total

    def of(self) -> tuple[Array, Array]:
        """Mean and deviation of each column; 1 for one that does not vary."""
        mean, deviation = np.asarray(self._mean), np.sqrt(self._squares / max(self._n, 1))
        constant = deviation <= 1e-12 * np.maximum(np.abs(mean), np.finfo(np.float64).tiny)
        return mean, np.where(constant, 1.0, deviation)


def spooled(source: Source, folder: Path) -> Source:
    """The same rows as numbers in a file without a name, which goes with the process.

    Text is read once, then, not in every epoch.

    Parameters
    ----------
    source : Source
        Of features and targets without weights.
    folder : Path
        On a disk with room for it.

    Raises
    ------
    ValueError
        Where a block cannot be read, naming its place.
    """
    n, shapes, kinds = 0, [(), ()], [np.dtype(np.float64)] * 2
    with tempfile.TemporaryFile(dir=folder) as of_x, tempfile.TemporaryFile(dir=folder) as of_y:
        files = of_x, of_y
        for i in range(len(source)):
            try:
                block = source[i]
            except ValueError as error:
                raise ValueError(f"{source.place(i)}: {error}") from error
            for k, part in enumerate(block):
                shapes[k], kinds[k] = part.shape[1:], part.dtype
                files[k].write(np.ascontiguousarray(part).data)
            n += len(block[0])
        x, y = (
            np.memmap(file, kind, "r+", shape=(n, *shape))
            for file, kind, shape in zip(files, kinds, shapes, strict=True)
        )
    return arrays(x, y, memory=source.memory)


class Blocks:
    """Rows of a source in the place of arrays: targets are held, features are read when needed.

    Parameters
    ----------
    source : Source
        Of features and targets as they stand in a file.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    @cached_property
    def y(self) -> Array:
        """All targets, from one pass."""
        return np.concatenate([y for _, y in self.source.blocks()])

    def __len__(self) -> int:
        return len(self.y)

    def inputs(self, prepare: Preprocessing, dtype: Any) -> Source:
        """Blocks as a network with this preprocessing takes them."""
        return self.source.map(lambda x, y: (prepare.inputs(x, dtype), prepare.targets(y, dtype)))


def preprocessing_of(
    name: str,
    source: Any,
    rows: Iterable[tuple[Array, Array]],
    columns: tuple[Column, ...],
    scale_targets: bool,
) -> Preprocessing:
    """For a text table in blocks: features, and real targets on request, to mean 0 and deviation 1.

    Parameters
    ----------
    source : object
        With ``task``, ``target_names`` and ``targets``.
    rows : iterable of (X, y)
        The blocks of the training rows.
    """
    of_x, of_y = Moments(), Moments()
    for x, y in rows:
        of_x.add(x)
        if scale_targets:
            of_y.add(y.reshape(len(y), -1))
    offset, scale = of_x.of()
    target_offset, target_scale = of_y.of() if scale_targets else (0.0, 1.0)
    return Preprocessing(
        name,
        source.task,
        source.target_names,
        columns,
        offset=offset,
        scale=scale,
        target_offset=target_offset,
        target_scale=target_scale,
        target_columns=source.targets,
    )
