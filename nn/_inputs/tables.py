"""Tables of pandas, polars and pyarrow as arrays of numbers, column by column.

Every entry point reads them by these rules. Numbers and booleans are taken, also nullable ones
(what is missing is NaN), categories that are numbers, and text and objects that are numbers
throughout. Anything else is an error that names the column. None of the libraries is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._typing import Array

NUMBERS = "fiub"


def is_table(value: Any) -> bool:
    """Whether it is a data frame of pandas or polars, or a table of pyarrow."""
    if hasattr(value, "iloc") or hasattr(value, "get_column"):
        return hasattr(value, "columns") and hasattr(value, "dtypes")
    return hasattr(value, "column_names") and hasattr(value, "schema")


def is_plain(table: Any) -> bool:
    """Whether every column is an ordinary one of numbers, or sparse, which needs no reading."""
    types = getattr(table, "dtypes", ())
    return hasattr(table, "iloc") and all(
        (isinstance(kind, np.dtype) and kind.kind in NUMBERS) or hasattr(kind, "fill_value")
        for kind in types
    )


def array(table: Any, name: str) -> Array:
    """The values of a table, ``(n_rows, n_columns)``, called ``name`` in errors."""
    if is_plain(table):
        found: Array = np.asarray(table)
        if found.dtype.kind in NUMBERS:
            return found
    columns = [_numbers(column, f"column {label!r} of {name}") for label, column in _columns(table)]
    if not columns:
        return np.empty((len(table), 0))
    return np.column_stack(columns)


def frame(table: Any, name: str) -> Any:
    """A table of the same kind and names whose columns are ordinary ones of numbers."""
    if is_plain(table):
        return table
    values = array(table, name)
    if hasattr(table, "iloc"):
        return table.__class__(values, index=table.index, columns=table.columns)
    if hasattr(table, "columns") and hasattr(table, "get_column"):
        return table.__class__(dict(zip(table.columns, values.T.copy(), strict=True)))
    return values


def apart(table: Any, names: list[Any]) -> tuple[Array, list[Array]]:
    """The numbers of a table without some of its columns, and the values of those, as they are.

    Raises
    ------
    ValueError
        Where there is no such column, or no other.
    """
    columns = list(_columns(table))
    labels = [label for label, _ in columns]
    for name in names:
        if name not in labels:
            raise ValueError(f"X has no column {name!r}; it has {labels[:10]}")
    taken = {
        label: np.asarray(series) if hasattr(series, "iloc") else np.array(_listed(series))
        for label, series in columns
        if label in names
    }
    rest = [
        _numbers(series, f"column {label!r} of X")
        for label, series in columns
        if label not in names
    ]
    if not rest:
        raise ValueError("X has no column left to learn from")
    return np.column_stack(rest), [taken[name] for name in names]


def column(series: Any) -> Any:
    """A single column of nullable numbers as an array; anything else as it is."""
    dtype = getattr(series, "dtype", None)
    nullable = not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "") in NUMBERS
    return _without_missing(series) if nullable and hasattr(series, "to_numpy") else series


def _columns(table: Any) -> Iterator[tuple[Any, Any]]:
    if hasattr(table, "iloc"):  # pandas, where names may occur twice
        yield from ((label, table.iloc[:, i]) for i, label in enumerate(table.columns))
    elif hasattr(table, "get_column"):
        yield from ((label, table.get_column(label)) for label in table.columns)
    else:
        yield from zip(table.column_names, table.columns, strict=True)


def _numbers(series: Any, name: str) -> Array:
    dtype = getattr(series, "dtype", getattr(series, "type", None))
    kind, text = getattr(dtype, "kind", ""), str(dtype).lower()
    categories = getattr(dtype, "categories", None)
    if text.startswith(("date", "time", "duration", "interval", "period")) or kind in ("M", "m"):
        raise TypeError(
            f"{name} holds dates or times ({dtype}); give numbers, such as the year or the day"
        )
    if hasattr(series, "iloc"):
        if hasattr(categories, "dtype"):
            return _of_objects(np.asarray(series, object), name)
        if kind in NUMBERS:
            return np.asarray(series) if isinstance(dtype, np.dtype) else _without_missing(series)
        return _of_objects(np.asarray(series, object), name)
    if text.startswith(("int", "uint", "float", "double", "halffloat", "decimal", "bool")):
        return _of_objects(np.asarray(series), name)
    return _of_objects(np.array(_listed(series), object), name)


def _without_missing(series: Any) -> Array:
    """Values of pandas' nullable numbers; where some are missing, floats with NaN."""
    if getattr(series.dtype, "fill_value", None) is not None or not series.isna().any():
        found = np.asarray(series)
        if found.dtype.kind in NUMBERS:
            return found
    values: Array = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _listed(series: Any) -> list[Any]:
    values: list[Any] = series.to_list() if hasattr(series, "to_list") else series.to_pylist()
    return values


def _of_objects(values: Array, name: str) -> Array:
    """Numbers of any Python type, and text that is a number; what is missing is NaN."""
    if values.dtype.kind in NUMBERS:
        return values
    found = np.empty(len(values))
    for row, value in enumerate(values.tolist()):
        try:
            missing = value is None or type(value).__name__ in ("NAType", "NaTType")
            found[row] = np.nan if missing else float(value)
        except ValueError as error:
            raise ValueError(
                f"{name} holds text: {error} in row {row}; encode it as numbers"
            ) from None
        except TypeError:
            raise TypeError(f"{name} must hold real numbers, got {value!r} in row {row}") from None
    return found
