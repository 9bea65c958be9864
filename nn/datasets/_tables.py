"""Tables of your own: CSV with a header, or NPZ with arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from . import _encoding
from ._csv import TextTable, listed, read_text_table
from ._dataset import Column, Dataset, Task

CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
NPZ_SUFFIX = ".npz"


def load_table(
    path: str | Path,
    target: str | Sequence[str],
    *,
    task: Literal["auto", "classification", "regression"] = "auto",
) -> Dataset:
    """Load a table and say which columns are to be predicted.

    Parameters
    ----------
    path : path
        A CSV file (comma, semicolon or tab; a header line; UTF-8; plain or gzip) or an NPZ file
        (array ``X`` of shape (n, n_features) and the target, both of n rows).
    target : str or sequence of str
        Name of the target column (of the array, for NPZ). Several columns are several real
        targets.
    task : {"auto", "classification", "regression"}
        Whether the target names classes. ``"auto"`` takes text for classes, and whole numbers
        where there are at most 20 different ones, each on average at least twice.

    Returns
    -------
    Dataset
        ``X`` is float64 and not scaled. A text column among the features becomes one 0/1 feature
        for each of its values, in sorted order.

    Raises
    ------
    ValueError
        For a missing or non-finite value, a text column with more than 64 values, a text value as
        a real target (each naming line and column), or an unknown target (listing the columns).
    """
    path, kind = Path(path), _kind(path)
    targets = (target,) if isinstance(target, str) else tuple(target)
    if not targets:
        raise ValueError("target must name at least one column")
    if kind == "npz":
        return _from_arrays(path, targets, task)
    table = read_text_table(path)
    for name in targets:
        table.column(name)  # an unknown target before anything that the other columns may have
    features = tuple(name for name in table.names if name not in targets)
    chosen: Task
    if task == "auto":
        single = len(targets) == 1
        if single:
            _encoding.refuse_missing(table, targets[0])
        as_classes = single and _encoding.looks_like_classes(table.column(targets[0]))
        chosen = "classification" if as_classes else "regression"
    else:
        chosen = task
    y, names = _targets(table, targets, chosen)
    x, columns = _encoding.encode_features(table, features, None)
    return Dataset(x, y, chosen, names, columns, path.name)


def load_features(path: str | Path, columns: Sequence[Column]) -> NDArray[np.float64]:
    """Load the features of a table alone, encoded like those of an earlier one.

    Parameters
    ----------
    path : path
        CSV or NPZ, as for :func:`load_table`. A CSV must have every column that is asked for, in
        any order; others are ignored. NPZ files and CSV files may also lack the target.
    columns : sequence of Column
        ``Dataset.columns`` of the table that the features are to be like.

    Returns
    -------
    (n, n_features) float64 array
    """
    path, kind = Path(path), _kind(path)
    if kind == "csv":
        return _encoding.encode_features(read_text_table(path), (), tuple(columns))[0]
    x = _feature_array(path, _read_arrays(path))
    if x.shape[1] != len(columns) or any(column.categories for column in columns):
        raise ValueError(
            f"{path}: X has {x.shape[1]} columns, expected "
            f"{listed(tuple(column.name for column in columns))}"
        )
    return x


def is_table(path: str | Path) -> bool:
    """Whether the name ends like that of a table."""
    return str(path).lower().endswith((*CSV_SUFFIXES, NPZ_SUFFIX))


def _kind(path: str | Path) -> str:
    if not is_table(path):
        raise ValueError(f"{path}: a table's name ends in {', '.join((*CSV_SUFFIXES, NPZ_SUFFIX))}")
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return "npz" if str(path).lower().endswith(NPZ_SUFFIX) else "csv"


def _targets(table: TextTable, names: tuple[str, ...], task: Task) -> tuple[Array, tuple[str, ...]]:
    if task == "classification":
        if len(names) > 1:
            raise ValueError(f"classification has one target column, got {listed(names)}")
        return _encoding.class_numbers(table, names[0])
    values = [_encoding.real_values(table, name) for name in names]
    return (values[0] if len(names) == 1 else np.column_stack(values)), names


def _read_arrays(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise ValueError(f"{path} is no readable NPZ file of plain arrays: {error}") from error


def _feature_array(path: Path, arrays: dict[str, Array]) -> NDArray[np.float64]:
    if "X" not in arrays:
        raise ValueError(f"{path} has no array 'X'; it has {listed(tuple(arrays))}")
    x = arrays["X"]
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        raise ValueError(
            f"{path}: X must be numbers of shape (n, n_features), got {x.dtype} of shape {x.shape}"
        )
    x = x.astype(np.float64)
    _refuse_non_finite(path, "X", x)
    return x


def _from_arrays(path: Path, targets: tuple[str, ...], task: str) -> Dataset:
    arrays = _read_arrays(path)
    x = _feature_array(path, arrays)
    if len(targets) > 1:
        raise ValueError(f"{path}: an NPZ file has one target array, got {listed(targets)}")
    name = targets[0]
    if name == "X" or name not in arrays:
        others = tuple(other for other in arrays if other != "X")
        raise ValueError(
            f"{path} has no target array {name!r}; besides X it has {listed(others) or 'none'}"
        )
    y = arrays[name]
    if y.ndim not in (1, 2) or len(y) != len(x) or y.dtype.kind not in "fiubU":
        raise ValueError(
            f"{path}: {name} must be numbers or text with {len(x)} rows as X, got {y.dtype} of "
            f"shape {y.shape}"
        )
    if y.dtype.kind == "f":
        _refuse_non_finite(path, name, y.astype(np.float64))
    columns = tuple(Column(f"x{i}") for i in range(x.shape[1]))
    if y.ndim == 1 and task != "regression":
        # What counts as classes is decided on text, as for a CSV.
        table = TextTable(path, (name,), ([str(v) for v in y.tolist()],), list(range(len(y))))
        if task == "classification" or _encoding.looks_like_classes(table.values[0]):
            codes, classes = _encoding.class_numbers(table, name)
            return Dataset(x, codes, "classification", classes, columns, path.name)
    if y.dtype.kind == "U" or task == "classification":
        raise ValueError(
            f"{path}: {name} of type {y.dtype} and shape {y.shape} cannot be used for "
            f"{'classification' if task == 'classification' else 'regression'}"
        )
    names = (name,) if y.ndim == 1 else tuple(f"{name}{i}" for i in range(y.shape[1]))
    return Dataset(x, y.astype(np.float64), "regression", names, columns, path.name)


def _refuse_non_finite(path: Path, name: str, values: NDArray[np.float64]) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = ", ".join(str(int(i)) for i in bad[0])
        raise ValueError(f"{path}: {name}[{place}] is missing or not finite")
