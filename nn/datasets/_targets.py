"""Features and targets of a table that is like an earlier one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .._typing import Array
from ._csv import TextFormat, TextTable, listed
from ._dataset import Column
from ._encoding import Findings, encode
from ._labels import numbers_of
from ._npz import Arrays, array_features
from ._tables import NPZ_SUFFIX, read_columns
from ._text import PLAIN, Floats, NumberFormat, detect_format, is_missing, parse_numbers


def read_labelled(
    path: str | Path | BinaryIO,
    columns: tuple[Column, ...],
    targets: tuple[str, ...],
    classes: tuple[str, ...] | None,
    findings: Findings,
    form: TextFormat | None = None,
) -> tuple[Floats, Array]:
    """Read features and targets, encoded like those of an earlier table.

    Parameters
    ----------
    path : path or binary file
    columns : tuple of Column
    targets : tuple of str
        Names of the target columns.
    classes : tuple of str or None
        The classes by number; ``None`` for real targets.
    findings : Findings
        Is told of rows that cannot be used, those without a known target among them.
    form : TextFormat, optional

    Returns
    -------
    X, y : arrays
        ``y`` holds class numbers or real values.
    """
    numbers = (form or TextFormat()).numbers
    if isinstance(path, (str, os.PathLike)) and str(path).lower().endswith(NPZ_SUFFIX):
        x = array_features(path, columns, findings)
        table = _target_table(path, targets[0])
        if len(table) != len(x):
            raise ValueError(f"{table.name}: X has {len(x)} rows, {targets[0]} {len(table)}")
    else:
        table = read_columns(path, form, "error" if findings.strict else "keep")
        for name in targets:
            table.column(name)
        x = encode(table, columns, findings, numbers)
    if classes is not None:
        return x, _classes(table, targets[0], classes, findings)
    # One array of an NPZ file may be several targets.
    names = targets if all(name in table for name in targets) else table.names
    values = [_values(table, name, numbers, findings) for name in names]
    return x, values[0] if len(values) == 1 else np.column_stack(values)


def _classes(table: TextTable, name: str, classes: tuple[str, ...], findings: Findings) -> Array:
    found = numbers_of(table.column(name), classes)
    for row, number in enumerate(found):
        if number is None and row not in table.bad:
            text = table.column(name)[row]
            findings.refuse(
                row,
                f"{table.place(row, name)}: {text[:60]!r} is none of the classes {listed(classes)}",
            )
    return np.array([0 if number is None else number for number in found], np.int64)


def _values(
    table: TextTable, name: str, numbers: NumberFormat | None, findings: Findings
) -> Floats:
    texts = table.column(name)
    values, bad = parse_numbers(texts, numbers or detect_format(texts) or PLAIN)
    for row in (*bad, *(row for row, text in enumerate(texts) if is_missing(text))):
        if row not in table.bad:
            place = table.place(row, name)
            findings.refuse(row, f"{place}: expected a number as target, found {texts[row][:60]!r}")
    return np.nan_to_num(values)


def _target_table(path: str | os.PathLike[str], name: str) -> TextTable:
    """A target array as text: what it names is decided as for a CSV."""
    with Arrays(path) as arrays:
        y = arrays.read(name)
    if y.ndim not in (1, 2) or y.dtype.kind not in "fiubU":
        raise ValueError(f"{arrays.path}: {name} must be numbers or text, got {y.dtype}")
    columns = y.reshape(len(y), -1).T
    names = (name,) if y.ndim == 1 else tuple(f"{name}{k}" for k in range(len(columns)))
    texts = tuple([str(value) for value in column.tolist()] for column in columns)
    return TextTable(arrays.path, names, texts, list(range(len(y))))
