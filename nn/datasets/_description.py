"""Decisions about columns: numbers, categories, dates, or of no use."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ._csv import TextTable, listed
from ._dataset import Column
from ._text import (
    FORMATS,
    PLAIN,
    NumberFormat,
    date_features,
    detect_date_format,
    detect_format,
    has_leading_zeros,
    is_missing,
    is_number,
    parse_date,
    parse_numbers,
)

#: A text column with more values than this is free text where they fill most of its rows.
MAX_CATEGORIES = 64
#: The most frequent values of a column that have a feature of their own.
MAX_FEATURES = 1000
#: Rows from which on a column that is different in each of them is taken for an identifier.
FEW_ROWS = 20
#: Names of columns that number the rows.
_IDENTIFIER = re.compile(r"(?i:^|[_ .-])(?i:id|idx|index|key|no|nr|num|number|row)$|[a-z]I[dD]$")


@dataclass(frozen=True)
class Rules:
    """Choices where a table leaves several.

    Attributes
    ----------
    missing : {"error", "drop", "impute"}
        What a row without some value is: an error, left out, or completed.
    keep : frozenset of str
        Columns that are used even where they look like identifiers.
    bad_rows : {"error", "skip"}
        What a row is whose text is no number in a column of numbers.
    numbers : NumberFormat, optional
        The format of all numbers, where it is known.
    """

    missing: Literal["error", "drop", "impute"] = "error"
    keep: frozenset[str] = frozenset()
    bad_rows: Literal["error", "skip"] = "error"
    numbers: NumberFormat | None = None


def describe(table: TextTable, names: tuple[str, ...], rules: Rules) -> tuple[Column, ...]:
    """The columns called ``names`` that can be learned from; ``table.notes`` says which cannot."""
    found = []
    for name in names:
        column = _describe(table, name, rules)
        if column is not None:
            found.append(column)
    return tuple(found)


def refuse_missing(table: TextTable, name: str) -> None:
    """Raise ``ValueError`` for the first missing value of a column, if it has one."""
    if table.plain(name) is not None:
        return
    for row, text in enumerate(table.column(name)):
        if is_missing(text):
            raise ValueError(
                f"{table.place(row, name)}: the value is missing ({text!r}); fill it in, leave the "
                "row out, or say --missing impute or drop"
            )


def number_format(table: TextTable, name: str, rules: Rules) -> NumberFormat | None:
    """Format of a column's numbers; ``None`` for text. A stray text is an error."""
    if table.plain(name) is not None and rules.numbers in (None, PLAIN):
        return PLAIN
    texts = table.column(name)
    form = rules.numbers
    if form is not None and parse_numbers(texts, form)[1]:
        form = None if parse_numbers(texts)[1] else PLAIN
    elif form is None:
        form = detect_format(texts)
    if form is None:
        distinct = [text for text in texts if not is_missing(text)]
        best = min(FORMATS, key=lambda form: len(parse_numbers(distinct, form)[1]))
        strays = [row for row in parse_numbers(distinct, best)[1] if not is_number(distinct[row])]
        if len(strays) * 2 < len(distinct):
            if rules.bad_rows == "error":
                raise stray_text(table, name, best)
            return best
        return None
    if form != PLAIN or any(not is_number(text) and not is_missing(text) for text in texts):
        unusual = (text for text in texts if not is_number(text) and not is_missing(text))
        example = next(unusual, texts[0])
        value = parse_numbers([example], form)[0][0]
        table.notes.append(f"{name!r}: {example!r} is read as the number {value:.15g} ({form})")
    return form


def stray_text(table: TextTable, name: str, form: NumberFormat = PLAIN) -> ValueError:
    """The complaint about the first value of a column of numbers that is none."""
    row = parse_numbers(table.column(name), form)[1][0]
    return ValueError(
        f"{no_number(table, name, row)}; --bad-rows skip leaves such rows out, --drop a column"
    )


def no_number(table: TextTable, name: str, row: int) -> str:
    """Complaint about a cell that is no number."""
    text = table.column(name)[row]
    infinite = is_number(text) and not math.isfinite(float(text))
    said = f"{text[:60]!r} is not finite" if infinite else f"expected a number, found {text[:60]!r}"
    return f"{table.place(row, name)}: {said}"


def _describe(table: TextTable, name: str, rules: Rules) -> Column | None:
    if rules.missing == "error":
        refuse_missing(table, name)
    texts = table.column(name)
    plain = table.plain(name)
    present = texts if plain is not None else [text for text in texts if not is_missing(text)]
    if not present:
        table.notes.append(f"column {name!r} has no values: left out")
        return None
    policy: Literal["refused", "filled", "marked"] = "refused"
    if rules.missing == "impute":
        policy = "filled" if len(present) == len(texts) else "marked"
    codes = has_leading_zeros(present)
    if codes:
        table.notes.append(f"{name!r}: codes such as {present[0]!r} are categories, not numbers")
    form = None if codes else number_format(table, name, rules)
    if form is not None:
        if name not in rules.keep and _counts_rows(name, present):
            _leave_out(table, name, "numbers the rows")
            return None
        if plain is None or form != PLAIN:
            plain = parse_numbers(present, form)[0]
        return Column(
            name,
            decimal=form.decimal,
            thousands=form.thousands,
            missing=policy,
            fill=float(np.median(plain)),
        )
    date = detect_date_format(texts)
    if date is not None:
        moments = [parse_date(text, date) for text in present]
        days = [date_features(moment)[-1] for moment in moments if moment is not None]
        table.notes.append(f"{name!r}: dates, {present[0]!r} is read as {date}")
        return Column(name, date=date, missing=policy, fill=float(np.median(days)))
    return _categories(table, name, present, policy, rules)


def _categories(
    table: TextTable,
    name: str,
    present: list[str],
    policy: Literal["refused", "filled", "marked"],
    rules: Rules,
) -> Column | None:
    counts = Counter(present)
    n, k = len(present), len(counts)
    different = k == n >= FEW_ROWS or (k > MAX_CATEGORIES and k > n / 2)
    if different and name not in rules.keep:
        _leave_out(
            table,
            name,
            f"is text with {k} different values in {n} rows (the first is {present[0][:40]!r}), "
            "an identifier or free text",
        )
        return None
    folded = Counter[str]()
    for text, count in counts.items():
        folded[text.casefold()] += count
    fold = len(folded) < k
    if fold:
        counts, k = folded, len(folded)
        merged = sorted(t for t in set(present) if t.casefold() == present[0].casefold())
        table.notes.append(
            f"{name!r}: upper and lower case are one category ({listed(tuple(merged))})"
        )
    if k > MAX_FEATURES:
        counts = Counter(dict(counts.most_common(MAX_FEATURES - 1)))
        table.notes.append(f"{name!r}: the {k - len(counts)} rarest of {k} categories are one")
    return Column(name, tuple(sorted(counts)), other=k > MAX_FEATURES, fold=fold, missing=policy)


def _leave_out(table: TextTable, name: str, why: str) -> None:
    table.notes.append(f"column {name!r} {why}: left out (--keep uses it all the same)")


def _counts_rows(name: str, texts: list[str]) -> bool:
    """Whether whole numbers are running numbers in some order, such as those of customers.

    A column that counts from 0 or from 1900 may well mean something; one that is called an
    identifier, or counts from 10,000 on, does not.
    """
    if len(texts) < FEW_ROWS or not all(t.isdecimal() and len(t) <= 18 for t in texts):
        return False
    values = {int(text) for text in texts}
    running = len(values) == len(texts) == max(values) - min(values) + 1
    return running and (min(values) >= 10_000 or _IDENTIFIER.search(name) is not None)
