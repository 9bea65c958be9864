"""Columns of text become numbers: features, class numbers, real targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._csv import TextTable, is_number, listed
from ._dataset import Column

Floats = NDArray[np.float64]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
#: A text column with more values than this is taken for names or free text, not for categories.
MAX_CATEGORIES = 64
#: Whole numbers with at most this many values are taken for classes where nobody said.
MAX_CLASSES = 20


def encode_features(
    table: TextTable, names: tuple[str, ...], columns: tuple[Column, ...] | None
) -> tuple[Floats, tuple[Column, ...]]:
    """Features from the columns called ``names``, or as an earlier table's ``columns`` say."""
    if columns is None:
        columns = tuple(_describe(table, name) for name in names)
    blocks = [_encode(table, column) for column in columns]
    if not blocks:
        raise ValueError(f"{table.path} has no column besides the target")
    return np.hstack(blocks), columns


def real_values(table: TextTable, name: str) -> Floats:
    """A column of numbers, or an error that names the first value that is none."""
    values = _numbers(table.column(name))
    if values is None:
        refuse_missing(table, name)
        raise _text_error(table, name)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        refuse_missing(table, name)
        row = int(bad[0])
        raise ValueError(f"{_place(table, name, row)}: {table.column(name)[row]!r} is not finite")
    return values


def class_numbers(table: TextTable, name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Numbers ``0…k-1`` for the values of a column, and the values in order."""
    refuse_missing(table, name)
    texts = table.column(name)
    values = _numbers(texts)
    if values is None:
        classes = sorted(set(texts))
        number = {text: k for k, text in enumerate(classes)}
        codes = np.array([number[text] for text in texts], np.int64)
    else:  # by value: 10 after 9, and 1.0 the same class as 1
        distinct, codes = np.unique(values, return_inverse=True)
        classes = [f"{value:g}" if value % 1 else str(int(value)) for value in distinct]
    if len(classes) < 2:
        raise ValueError(f"{table.path}: target {name!r} has a single value, {classes[0]!r}")
    return codes.astype(np.int64), tuple(classes)


def looks_like_classes(texts: list[str]) -> bool:
    """Text, or few whole numbers of which each occurs at least twice on average."""
    values = _numbers(texts)
    if values is None:
        return True
    if not np.isfinite(values).all() or (values % 1).any():
        return False
    return len(np.unique(values)) <= min(MAX_CLASSES, len(values) // 2)


def refuse_missing(table: TextTable, name: str) -> None:
    """Raise ``ValueError`` for the first missing value of a column, if it has one."""
    for row, text in enumerate(table.column(name)):
        if text.lower() in MISSING:
            raise ValueError(
                f"{_place(table, name, row)}: the value is missing ({text!r}); fill it in or leave "
                "the row out"
            )


def _describe(table: TextTable, name: str) -> Column:
    """Numbers if all values are, categories if most are text; a stray text is an error."""
    refuse_missing(table, name)
    texts = table.column(name)
    if _numbers(texts) is not None:
        return Column(name)
    if sum(map(is_number, texts)) > len(texts) / 2:
        raise _text_error(table, name)
    categories = tuple(sorted(set(texts)))
    if len(categories) > MAX_CATEGORIES:
        raise ValueError(
            f"{table.path}: column {name!r} is text with {len(categories)} different values (the "
            f"first is {texts[0]!r}), too many to be categories (at most {MAX_CATEGORIES}); leave "
            "the column out"
        )
    return Column(name, categories)


def _encode(table: TextTable, column: Column) -> Floats:
    """The features of one column, shape (n, 1), or (n, n_categories) with a 1 in each row."""
    if column.categories is None:
        return real_values(table, column.name)[:, None]
    refuse_missing(table, column.name)
    texts = table.column(column.name)
    number = {text: k for k, text in enumerate(column.categories)}
    block = np.zeros((len(texts), len(number)))
    for row, text in enumerate(texts):
        if text not in number:
            raise ValueError(
                f"{_place(table, column.name, row)}: {text!r} is none of the known categories "
                f"{listed(column.categories)}"
            )
        block[row, number[text]] = 1
    return block


def _numbers(texts: list[str]) -> Floats | None:
    """The texts as numbers, or ``None`` if one is none."""
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return None if any("_" in text for text in texts) else values


def _text_error(table: TextTable, name: str) -> ValueError:
    """The complaint about the first value of a column that is no number."""
    row, text = next((i, t) for i, t in enumerate(table.column(name)) if not is_number(t))
    return ValueError(f"{_place(table, name, row)}: expected a number, found {text!r}")


def _place(table: TextTable, name: str, row: int) -> str:
    return f"{table.path}, line {table.lines[row]}, column {name!r}"
