"""Features of columns of text, by the descriptions of the columns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from ._csv import TextTable, listed
from ._dataset import Column
from ._description import no_number
from ._text import (
    DATE_PARTS,
    FORMATS,
    PLAIN,
    Floats,
    NumberFormat,
    date_features,
    detect_format,
    is_missing,
    moment_of,
    parse_date,
    parse_numbers,
)


@dataclass
class Findings:
    """Irregularities found in the rows.

    Attributes
    ----------
    strict : bool
        Whether the first bad row raises, and an unknown category too.
    bad : dict
        Row → what is wrong with it; its features mean nothing.
    unknown : dict
        Column → values that are none of its categories, with their numbers of rows.
    filled : Counter
        Column → rows whose missing value was filled in.
    """

    strict: bool = True
    bad: dict[int, str] = field(default_factory=dict)
    unknown: dict[str, Counter[str]] = field(default_factory=dict)
    filled: Counter[str] = field(default_factory=Counter)

    def refuse(self, row: int, complaint: str) -> None:
        """A row that cannot be used."""
        if self.strict:
            raise ValueError(complaint)
        self.bad.setdefault(row, complaint)


def encode(
    table: TextTable,
    columns: tuple[Column, ...],
    findings: Findings,
    numbers: NumberFormat | None = None,
) -> Floats:
    """Features of every row, shape (n, n_features).

    Parameters
    ----------
    table : TextTable
    columns : tuple of Column
    findings : Findings
        Is told what is wrong.
    numbers : NumberFormat, optional
        The format of all numbers, where it is known; else that of each column, or whatever else
        reads the column.
    """
    findings.bad.update(table.bad)
    for column in columns:
        table.column(column.name)  # a column that is not there, before anything else
    x = np.empty((len(table), sum(column.n_features for column in columns)))
    start = 0
    for column in columns:
        block = x[:, start : start + column.n_features]
        _encode(table, column, block, findings, numbers)
        start += column.n_features
    return x


def number_features(values: Floats, column: Column, block: Floats) -> None:
    """A column of numbers, NaN where one is missing, into its feature or two."""
    missing = np.isnan(values)
    block[:, 0] = np.where(missing, column.fill, values)
    if column.missing == "marked":
        block[:, 1] = missing


def number_blocks(x: Floats, columns: tuple[Column, ...]) -> Floats:
    """Columns of numbers with the features that mark missing values beside them."""
    features = np.empty((len(x), sum(column.n_features for column in columns)))
    start = 0
    for k, column in enumerate(columns):
        number_features(x[:, k], column, features[:, start : start + column.n_features])
        start += column.n_features
    return features


def refill(columns: tuple[Column, ...], train: Floats, *others: Floats) -> tuple[Column, ...]:
    """Fill in the medians of the training rows alone, so that nothing of the others is known.

    Parameters
    ----------
    columns : tuple of Column
    train, *others : (n, n_features) arrays
        Features of all columns, changed in place where a missing value was filled in and marked.

    Returns
    -------
    tuple of Column
        With the new medians.
    """
    changed, start = list(columns), 0
    for k, column in enumerate(columns):
        end = start + column.n_features
        if column.missing == "marked" and column.categories is None:
            present = train[train[:, end - 1] == 0, end - 2]  # a number, or days since 1970
            if len(present):
                fill = float(np.median(present))
                values = (fill,) if column.date is None else date_features(moment_of(fill))
                for x in (train, *others):
                    x[x[:, end - 1] == 1, start : end - 1] = values
                changed[k] = replace(column, fill=fill)
        start = end
    return tuple(changed)


def _encode(
    table: TextTable,
    column: Column,
    block: Floats,
    findings: Findings,
    numbers: NumberFormat | None,
) -> None:
    texts, plain = table.column(column.name), table.plain(column.name)
    number = column.categories is None and column.date is None
    if number and plain is not None and (numbers or _own_format(column)) == PLAIN:
        number_features(plain, column, block)
        return
    _note_missing(table, column, findings)
    if column.categories is not None:
        _encode_categories(table, column, block, findings)
    elif column.date is not None:
        _encode_dates(table, column, block, findings)
    else:
        form = numbers or _format(texts, column)
        values, bad = parse_numbers(texts, form)
        number_features(values, column, block)
        for row in bad:
            if row not in table.bad:
                findings.refuse(row, no_number(table, column.name, row))


def _own_format(column: Column) -> NumberFormat:
    return NumberFormat(column.decimal, column.thousands)


def _format(texts: list[str], column: Column) -> NumberFormat:
    """The column's own format where that reads this file, too."""
    own = _own_format(column)
    if not parse_numbers(texts, own)[1]:
        return own
    found = detect_format(texts, own)
    if found is not None:
        return found
    return min((own, *FORMATS), key=lambda form: len(parse_numbers(texts, form)[1]))


def _note_missing(table: TextTable, column: Column, findings: Findings) -> None:
    for row, text in enumerate(table.column(column.name)):
        if row in table.bad or not is_missing(text):
            continue
        if column.missing == "refused":
            findings.refuse(
                row, f"{table.place(row, column.name)}: the value is missing ({text!r})"
            )
        else:
            findings.filled[column.name] += 1


def _encode_categories(table: TextTable, column: Column, block: Floats, findings: Findings) -> None:
    categories = column.categories or ()
    place = {category: k for k, category in enumerate(categories)}
    block[:] = 0
    for row, text in enumerate(table.column(column.name)):
        if is_missing(text):
            if column.missing == "marked":
                block[row, -1] = 1
            continue
        k = place.get(text.casefold() if column.fold else text)
        if k is None and column.other:
            k = len(categories)
        elif k is None and findings.strict:
            raise ValueError(
                f"{table.place(row, column.name)}: {text[:60]!r} is none of the known categories "
                f"{listed(categories)}"
            )
        if k is None or k == len(categories):
            findings.unknown.setdefault(column.name, Counter())[text] += 1
        if k is not None:
            block[row, k] = 1


def _encode_dates(table: TextTable, column: Column, block: Floats, findings: Findings) -> None:
    known: dict[str, tuple[float, ...] | None] = {}
    fill = date_features(moment_of(column.fill))
    for row, text in enumerate(table.column(column.name)):
        if text not in known:
            moment = parse_date(text, column.date or DATE_PARTS[0])
            known[text] = None if moment is None else date_features(moment)
        found = known[text]
        block[row, : len(DATE_PARTS)] = fill if found is None else found
        if column.missing == "marked":
            block[row, -1] = is_missing(text)
        if found is None and not is_missing(text) and row not in table.bad:
            findings.refuse(
                row,
                f"{table.place(row, column.name)}: expected a date as {column.date}, found "
                f"{text[:60]!r}",
            )
