"""Tables in NPZ files: only the arrays that are wanted, no more of them than they announce."""

from __future__ import annotations

import io
import math
import os
import sys
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from .._files import open_regular, shown
from .._files.unpacking import CHUNK
from .._typing import Array
from . import _labels
from ._csv import TextTable, listed
from ._dataset import Column, Dataset
from ._description import Rules
from ._encoding import Findings, number_blocks
from ._text import Floats

#: Deflate packs no more than this into a byte.
_LARGEST_RATIO = 1032
_LONGEST_HEADER = 1 << 16


class Arrays:
    """The arrays of an NPZ file by name; one is unpacked when it is asked for.

    Raises
    ------
    ValueError
        For a file that is none, a damaged one, and an array of Python objects.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = shown(path)
        self._file = open_regular(path)
        try:
            self._archive = zipfile.ZipFile(self._file)
        except Exception as error:
            self._file.close()
            raise self._unreadable(error) from error
        self._members = {
            entry.filename.removesuffix(".npy"): entry for entry in self._archive.infolist()
        }
        self.names = tuple(self._members)

    def __enter__(self) -> Arrays:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> Array:
        """Unpack one array."""
        if name not in self._members:
            raise ValueError(f"{self.path} has no array {name!r}; it has {listed(self.names)}")
        entry = self._members[name]
        try:
            if entry.file_size > _LARGEST_RATIO * entry.compress_size + CHUNK:
                raise ValueError(f"{name} announces more than so few bytes can hold")
            with self._archive.open(entry) as file:
                return _read(file, entry.file_size)
        except MemoryError:
            raise
        except Exception as error:  # the standard library's readers raise many kinds
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ValueError:
        said = str(error)[:200] or type(error).__name__
        return ValueError(f"{self.path} is no readable NPZ file of plain arrays: {said}")


def load_arrays(
    path: str | os.PathLike[str], targets: tuple[str, ...], task: str, rules: Rules
) -> Dataset:
    """A table in an NPZ file: the array ``X`` and the target's."""
    with Arrays(path) as arrays:
        x = _features(arrays)
        if len(targets) > 1:
            raise ValueError(
                f"{arrays.path}: an NPZ file has one target array, got {listed(targets)}"
            )
        name = targets[0]
        if name == "X" or name not in arrays:
            others = tuple(other for other in arrays.names if other != "X")
            raise ValueError(
                f"{arrays.path} has no target array {name!r}; besides X it has "
                f"{listed(others) or 'none'}"
            )
        y = arrays.read(name)
    if y.ndim not in (1, 2) or len(y) != len(x) or y.dtype.kind not in "fiubU":
        raise ValueError(
            f"{arrays.path}: {name} must be numbers or text with {len(x)} rows as X, got {y.dtype} "
            f"of shape {y.shape}"
        )
    if y.dtype.kind == "f":
        _refuse_non_finite(arrays.path, name, y.astype(np.float64))
    x, y, columns = _complete(arrays.path, x, y, rules)
    file = (columns, shown(Path(path).name), targets)
    if y.ndim == 1 and task != "regression":
        # What counts as classes is decided on text, as for a CSV.
        texts = [str(v) for v in y.tolist()]
        table = TextTable(arrays.path, (name,), (texts,), list(range(len(y))))
        if task == "classification" or _labels.looks_like_classes(texts):
            codes, classes = _labels.class_numbers(table, name)
            return Dataset(x, codes, "classification", classes, *file)
    if y.dtype.kind == "U" or task == "classification":
        raise ValueError(
            f"{arrays.path}: {name} of type {y.dtype} and shape {y.shape} cannot be used for "
            f"{'classification' if task == 'classification' else 'regression'}"
        )
    names = (name,) if y.ndim == 1 else tuple(f"{name}{i}" for i in range(y.shape[1]))
    return Dataset(x, y.astype(np.float64), "regression", names, *file)


def array_features(
    path: str | os.PathLike[str], columns: tuple[Column, ...], findings: Findings
) -> Floats:
    """The features of an NPZ file; ``findings`` is told what is wrong with its rows."""
    with Arrays(path) as arrays:
        x = _features(arrays)
    if x.shape[1] != len(columns) or any(column.categories for column in columns):
        raise ValueError(
            f"{arrays.path}: X has {x.shape[1]} columns, expected "
            f"{listed(tuple(column.name for column in columns))}"
        )
    for k, column in enumerate(columns):
        for row in np.flatnonzero(~np.isfinite(x[:, k])):
            if column.missing == "refused" or not np.isnan(x[row, k]):
                findings.refuse(int(row), f"{arrays.path}: X[{row}, {k}] is missing or not finite")
            else:
                findings.filled[column.name] += 1
    return number_blocks(x, columns)


def _features(arrays: Arrays) -> Floats:
    x = arrays.read("X")
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        raise ValueError(
            f"{arrays.path}: X must be numbers of shape (n, n_features), got {x.dtype} of shape "
            f"{x.shape}"
        )
    return x.astype(np.float64)


def _complete(
    path: str, x: Floats, y: Array, rules: Rules
) -> tuple[Floats, Array, tuple[Column, ...]]:
    """Features without NaN: their rows refused, left out, or filled in."""
    missing = np.isnan(x)
    if rules.missing == "drop":
        kept = ~missing.any(axis=1)
        x, y, missing = x[kept], y[kept], missing[kept]
    _refuse_non_finite(path, "X", np.where(missing, 0, x) if rules.missing == "impute" else x)
    if rules.missing != "impute":
        return x, y, tuple(Column(f"x{i}") for i in range(x.shape[1]))
    some = [k for k in range(x.shape[1]) if not missing[:, k].all()]
    columns = tuple(
        Column(
            f"x{k}",
            missing="marked" if missing[:, k].any() else "filled",
            fill=float(np.median(x[~missing[:, k], k])) if k in some else 0.0,
        )
        for k in range(x.shape[1])
    )
    return number_blocks(x, columns), y, columns


def _refuse_non_finite(path: str, name: str, values: Floats) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = ", ".join(str(int(i)) for i in bad[0])
        raise ValueError(f"{path}: {name}[{place}] is missing or not finite")


def _read(file: Any, size: int) -> Array:
    """An array whose header announces as many bytes as its entry in the archive."""
    # Headers are read from a copy that is short, whatever length they announce.
    start = io.BytesIO(file.read(min(size, _LONGEST_HEADER)))
    version = npy.read_magic(start)
    if version == (1, 0):
        shape, by_columns, dtype = npy.read_array_header_1_0(start)
    elif version in ((2, 0), (3, 0)):
        shape, by_columns, dtype = npy.read_array_header_2_0(start)
    else:
        raise ValueError(f"unknown version {version} of the array format")
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"an array of {dtype} is not read")
    announced = math.prod(shape) * dtype.itemsize
    if announced != size - start.tell():
        raise ValueError(f"an array announces {announced} bytes and has {size - start.tell()}")
    content = bytearray(start.read())
    _append(content, file, announced)
    if dtype.kind == "U" and announced:
        codes = np.frombuffer(content, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if codes.max() > sys.maxunicode:
            raise ValueError(f"an array of text holds {codes.max()}, which is no character")
    array = np.frombuffer(content, dtype) if announced else np.empty(math.prod(shape), dtype)
    return array.reshape(shape, order="F" if by_columns else "C")


def _append(content: bytearray, file: BinaryIO, size: int) -> None:
    """Read until there are ``size`` bytes; memory grows with what comes, not with promises."""
    while len(content) < size:
        part = file.read(min(CHUNK, size - len(content)))
        if not part:
            raise ValueError("an array ends too early")
        content += part
