"""Tables that other packages hold or read: data frames, dictionaries, Parquet and Excel files.

They become text as in a CSV file, so that one and the same reader decides what a column is.
"""

from __future__ import annotations

import datetime
import importlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._files import shown
from ._csv import TextTable


def table_of(data: Any, name: str, names: Sequence[str] = ()) -> TextTable:
    """A text table from a data frame (pandas, polars, pyarrow), a dictionary of columns, a list of
    dictionaries, or rows whose values stand in the order of ``names``.
    """
    if hasattr(data, "to_pydict"):  # pyarrow
        data = data.to_pydict()
    elif hasattr(data, "columns") and hasattr(data, "__getitem__"):
        data = {str(column): list(data[column]) for column in data.columns}
    elif not isinstance(data, Mapping):
        rows = list(data)
        if rows and isinstance(rows[0], Mapping):
            seen = dict.fromkeys(str(key) for row in rows for key in row)
            data = {key: [row.get(key) for row in rows] for key in seen}
        else:
            data = _of_rows(rows, names)
    columns = {str(key): [_text(value) for value in values] for key, values in data.items()}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"{name}: columns must be of one length, got {sorted(lengths)}")
    n = lengths.pop()
    return TextTable(name, tuple(columns), tuple(columns.values()), list(range(n)))


def read_parquet(path: Path) -> TextTable:
    """A Parquet file, by pyarrow or polars."""
    for package, function in (("pyarrow.parquet", "read_table"), ("polars", "read_parquet")):
        try:
            read = getattr(importlib.import_module(package), function)
        except ImportError:
            continue
        try:
            return table_of(read(path), shown(path))
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{shown(path)} is no readable Parquet file: {error}") from error
    raise ImportError("reading Parquet needs pyarrow or polars: pip install pyarrow")


def read_excel(path: Path) -> TextTable:
    """The first sheet of an Excel file, by openpyxl."""
    try:
        openpyxl = importlib.import_module("openpyxl")
    except ImportError:
        raise ImportError(
            "reading .xlsx needs openpyxl: pip install openpyxl (or save the sheet as CSV)"
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
        book.close()
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{shown(path)} is no readable Excel file: {error}") from error
    rows = [row for row in rows if any(value is not None for value in row)]
    if len(rows) < 2:
        raise ValueError(f"{shown(path)}: the first sheet should have a header and rows")
    return table_of(rows[1:], shown(path), [_text(value) for value in rows[0]])


def _of_rows(rows: Iterable[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    listed = [list(row) if hasattr(row, "__iter__") else [row] for row in rows]
    widths = {len(row) for row in listed}
    if widths - {len(names)}:
        raise ValueError(
            f"rows must have {len(names)} values, in the order {', '.join(names[:20])}; got "
            f"{sorted(widths)[:5]}"
        )
    return {name: [row[k] for row in listed] for k, name in enumerate(names)}


def _text(value: Any) -> str:
    """A value as it would stand in a CSV file."""
    if value is None:
        return ""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # a scalar of NumPy
        value = value.item()
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    if isinstance(value, datetime.datetime):
        if value != value:  # pandas' NaT
            return ""
        moment = value.replace(tzinfo=None)
        midnight = moment.time() == datetime.time()
        return str(moment.date()) if midnight else str(moment.replace(microsecond=0))
    return str(value).strip()
