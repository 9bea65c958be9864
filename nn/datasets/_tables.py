"""Tables of your own: CSV with a header, NPZ with arrays, Parquet and Excel files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .._files import open_regular, shown
from .._typing import Array
from . import _frames, _labels
from ._csv import BadRows, TextFormat, TextTable, listed, read_text_table
from ._dataset import Column, Dataset, Task
from ._description import Rules, describe
from ._encoding import Findings, encode
from ._npz import array_features, load_arrays
from ._text import is_missing

CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
NPZ_SUFFIX = ".npz"
#: Suffix → reader, of files that other packages read.
FOREIGN = {".parquet": _frames.read_parquet, ".xlsx": _frames.read_excel}
SUFFIXES = (*CSV_SUFFIXES, NPZ_SUFFIX, *FOREIGN)

Source = str | Path | BinaryIO
Missing = Literal["error", "drop", "impute"]
NAME_OF_STREAM = "standard input"


def load_table(
    path: Source,
    target: str | Sequence[str],
    *,
    task: Literal["auto", "classification", "regression"] = "auto",
    missing: Missing = "error",
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    bad_rows: Literal["error", "skip"] = "error",
    form: TextFormat | None = None,
) -> Dataset:
    """Load a table and say which columns are to be predicted.

    Parameters
    ----------
    path : path or binary file
        A CSV file (plain or gzip), an NPZ file (array ``X`` of shape (n, n_features) and the
        target, both of n rows), a Parquet file (pyarrow or polars) or an Excel file (openpyxl).
    target : str or sequence of str
        Name of the target column (of the array, for NPZ). Several columns are several real
        targets.
    task : {"auto", "classification", "regression"}
        Whether the target names classes. ``"auto"`` takes text for classes, and whole numbers
        where there are at most 20 different ones, each on average at least twice.
    missing : {"error", "drop", "impute"}
        What to do with missing values: empty cells and the words NA, N/A, #N/A, <NA>, NaN, NaT,
        null, none, ``?`` and ``-`` in any case. ``"drop"`` leaves out their rows; ``"impute"``
        fills in the median (a category: none of them) and adds a feature that is 1 where the
        value was missing. Rows without a target are left out in both cases.
    drop, keep : sequences of str
        Columns not to use; columns to use even where they look like identifiers.
    bad_rows : {"error", "skip"}
        What to do with rows of another length, and with text in a column of numbers.
    form : TextFormat, optional
        Separator, signs of numbers, encoding, header of a text file.

    Returns
    -------
    Dataset
        ``X`` is float64 and not scaled. A text column among the features becomes one 0/1 feature
        for each of its values, in sorted order; a column of dates becomes year, month, day,
        weekday and days. ``notes`` says what was decided.

    Raises
    ------
    ValueError
        For a missing or non-finite value, a text value as a real target (each naming line and
        column), or an unknown target (listing the columns).

    Examples
    --------
    >>> import csv
    >>> from fastmlp.datasets import load_table
    >>> rows = [("size", "garden", "price"), (60, "yes", 120), (95, "no", 180)]
    >>> with open("houses.csv", "w", newline="") as file:
    ...     csv.writer(file).writerows(rows)
    >>> houses = load_table("houses.csv", "price", task="regression")
    >>> houses.X.tolist(), houses.y.ravel().tolist()
    ([[60.0, 0.0, 1.0], [95.0, 1.0, 0.0]], [120.0, 180.0])
    """
    rules = Rules(missing, frozenset(keep), bad_rows, (form or TextFormat()).numbers)
    targets = (target,) if isinstance(target, str) else tuple(target)
    if not targets:
        raise ValueError("target must name at least one column")
    if _kind(path) == NPZ_SUFFIX:
        return load_arrays(cast(str, path), targets, task, rules)
    return _load(path, targets, task, tuple(drop), rules, form)


def load_features(
    path: Source, columns: Sequence[Column], *, form: TextFormat | None = None
) -> NDArray[np.float64]:
    """Load the features of a table alone, encoded like those of an earlier one.

    Parameters
    ----------
    path : path or binary file
        As for :func:`load_table`. A text file must have every column that is asked for, in any
        order; others are ignored. NPZ files and text files may also lack the target.
    columns : sequence of Column
        ``Dataset.columns`` of the table that the features are to be like.
    form : TextFormat, optional
        As for :func:`load_table`.

    Returns
    -------
    (n, n_features) float64 array
        Not scaled.

    Examples
    --------
    >>> import csv
    >>> from fastmlp.datasets import load_features, load_table
    >>> rows = [("size", "garden", "price"), (60, "yes", 120), (95, "no", 180)]
    >>> with open("houses.csv", "w", newline="") as file:
    ...     csv.writer(file).writerows(rows)
    >>> houses = load_table("houses.csv", "price", task="regression")
    >>> load_features("houses.csv", houses.columns).tolist()
    [[60.0, 0.0, 1.0], [95.0, 1.0, 0.0]]
    """
    return read_features(path, tuple(columns), Findings(), form)


def _load(
    path: Source,
    targets: tuple[str, ...],
    task: Literal["auto", "classification", "regression"],
    drop: tuple[str, ...],
    rules: Rules,
    form: TextFormat | None,
) -> Dataset:
    """A text table: its targets, descriptions of the other columns, and the features they give."""
    table = read_columns(path, form, rules.bad_rows)
    for name in (*targets, *drop, *sorted(rules.keep)):
        table.column(name)  # an unknown target before anything that the other columns may have
    chosen = task if task != "auto" else _task(table, targets)
    if rules.missing != "error":
        table = _labels.without_target(table, targets)
    y, names, bad = _targets(table, targets, chosen, rules)
    features = tuple(name for name in table.names if name not in (*targets, *drop))
    columns = describe(table, features, rules)
    if not columns:
        raise ValueError(
            "; ".join([f"{table.name} has no column besides the target", *table.notes])
        )
    # Whatever is refused without raising is to be left out.
    findings = Findings(strict=rules.bad_rows == "error" and rules.missing != "drop")
    x = encode(table, columns, findings, rules.numbers)
    if findings.filled:
        counts = ", ".join(f"{n} of {name!r}" for name, n in findings.filled.items())
        table.notes.append(f"missing values are filled in and marked: {counts}")
    left_out = sorted({*bad, *findings.bad})
    if left_out:
        x, y = np.delete(x, left_out, axis=0), np.delete(y, left_out, axis=0)
        example = next(iter(findings.bad.values()), "a target that is no number")
        table.notes.append(f"{len(left_out)} rows are left out ({example})")
        if not len(x):
            raise ValueError(f"{table.name}: no row is left: {table.notes[-1]}")
    return Dataset(x, y, chosen, names, columns, base_name(path), targets, tuple(table.notes))


def read_features(
    path: Source, columns: tuple[Column, ...], findings: Findings, form: TextFormat | None = None
) -> NDArray[np.float64]:
    """The features of a table; ``findings`` is told what is wrong with its rows."""
    if _kind(path) != NPZ_SUFFIX:
        table = read_columns(path, form, "error" if findings.strict else "keep")
        return encode(table, columns, findings, (form or TextFormat()).numbers)
    return array_features(cast(str, path), columns, findings)


def read_columns(path: Source, form: TextFormat | None, bad_rows: BadRows) -> TextTable:
    """A table as text, whatever file it comes from."""
    kind = _kind(path)
    if kind in FOREIGN:
        return FOREIGN[kind](Path(cast(str, path)))
    with _opened(path) as file:
        return read_text_table(file, name_of(path), form, bad_rows)


def is_table(path: str | Path) -> bool:
    """Whether the name ends like that of a table."""
    return str(path).lower().endswith(SUFFIXES)


def name_of(path: Source) -> str:
    """Name of a table, for complaints."""
    return shown(path) if isinstance(path, (str, os.PathLike)) else NAME_OF_STREAM


def base_name(path: Source) -> str:
    """Name of a data set: its file without the folder."""
    return name_of(path if not isinstance(path, (str, os.PathLike)) else Path(path).name)


@contextlib.contextmanager
def _opened(path: Source) -> Iterator[BinaryIO]:
    if isinstance(path, (str, os.PathLike)):
        with open_regular(path) as file:
            yield file
    else:
        yield path


def _kind(path: Source) -> str:
    """The suffix that decides how a table is read."""
    if not isinstance(path, (str, os.PathLike)):
        return CSV_SUFFIXES[0]
    if not is_table(path):
        raise ValueError(f"{shown(path)}: a table's name ends in {', '.join(SUFFIXES)}")
    with open_regular(path):
        pass
    lower = str(path).lower()
    return next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), CSV_SUFFIXES[0])


def _task(table: TextTable, targets: tuple[str, ...]) -> Task:
    """Task that the values of the target suggest; a single one may name classes."""
    if len(targets) > 1:
        return "regression"
    texts = [text for text in table.column(targets[0]) if not is_missing(text)]
    if not texts or not _labels.looks_like_classes(texts):
        return "regression"
    distinct = sorted(set(texts))
    if all(text.lstrip("+-").isdecimal() for text in distinct):
        table.notes.append(
            f"{targets[0]!r}: its {len(distinct)} whole numbers ({listed(tuple(distinct), 3)}) are "
            "taken for classes; --task regression predicts them as numbers"
        )
    return "classification"


def _targets(
    table: TextTable, names: tuple[str, ...], task: Task, rules: Rules
) -> tuple[Array, tuple[str, ...], list[int]]:
    """Targets, their names (or those of the classes), and the rows that have none."""
    if task == "classification":
        if len(names) > 1:
            raise ValueError(f"classification has one target column, got {listed(names)}")
        return (*_labels.class_numbers(table, names[0]), [])
    found = [_labels.real_values(table, name, rules) for name in names]
    bad = [row for _, rows in found for row in rows]
    values = [column for column, _ in found]
    return (values[0] if len(names) == 1 else np.column_stack(values)), names, bad
