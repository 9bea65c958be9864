"""Target columns: classes that keep their identity, or real values."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from ._csv import TextTable
from ._description import Rules, number_format, refuse_missing, stray_text
from ._text import (
    PLAIN,
    Floats,
    detect_format,
    has_leading_zeros,
    is_missing,
    is_number,
    parse_numbers,
)

#: Whole numbers with at most this many values are taken for classes where nobody said.
MAX_CLASSES = 20
#: Classes that are told from a column of text that differs in nearly every row.
MAX_TEXT_CLASSES = 64
#: Digits up to which a whole number is written out.
_LONGEST_INTEGER = 40


def real_values(table: TextTable, name: str, rules: Rules) -> tuple[Floats, list[int]]:
    """A column of numbers, and the rows where it holds none, if these are to be skipped."""
    refuse_missing(table, name)
    form = number_format(table, name, rules)
    if form is None:
        raise stray_text(table, name)
    plain = table.plain(name) if form == PLAIN else None
    if plain is not None:
        return plain, []
    values, bad = parse_numbers(table.column(name), form)
    if bad and rules.bad_rows == "error":
        raise stray_text(table, name, form)
    return values, bad


def class_numbers(table: TextTable, name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Numbers ``0…k-1`` for the values of a column, and the values in order.

    Numbers are compared as they are written, never rounded: ``1.0`` and ``1`` are one class,
    12345678901234567890 and 12345678901234567891 are two. Codes such as ``01`` are text.
    """
    refuse_missing(table, name)
    number, classes = known_classes(table.column(name))
    if len(classes) < 2:
        raise ValueError(f"{table.name}: target {name!r} has a single value, {classes[0]!r}")
    if len(classes) > max(MAX_TEXT_CLASSES, len(table) // 2):
        raise ValueError(
            f"{table.name}: target {name!r} has {len(classes)} different values in {len(table)} "
            "rows, too many to be classes; --target names another column, --task regression "
            "predicts numbers"
        )
    codes = np.array([number[text] for text in table.column(name)], np.int64)
    return codes, classes


def known_classes(texts: list[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Number of each text, and the classes by number: by value where all are numbers."""
    distinct = set(texts)
    values = {} if has_leading_zeros(texts) else {text: _exact(text) for text in distinct}
    if values and all(value is not None for value in values.values()):
        spelling: dict[Decimal, str] = {}
        for text, value in values.items():
            assert value is not None
            spelling[value] = min(spelling.get(value, text), text, key=lambda t: (len(t), t))
        order = sorted(spelling)
        place = {value: k for k, value in enumerate(order)}
        classes = tuple(_spelled(value, spelling[value]) for value in order)
        return {text: place[value] for text, value in values.items() if value is not None}, classes
    classes = tuple(sorted(distinct))
    return {text: k for k, text in enumerate(classes)}, classes


def looks_like_classes(texts: list[str]) -> bool:
    """Text, or few whole numbers of which each occurs at least twice on average."""
    distinct = set(texts)
    values = [_exact(text) for text in distinct]
    if any(value is None for value in values):
        if detect_format(list(distinct)) is not None:
            return False  # $1,200
        numbers = sum(map(is_number, texts))
        return len(distinct) <= MAX_CLASSES or numbers <= len(texts) / 2
    whole = all(value is not None and _is_whole(value) for value in values)
    return whole and len(set(values)) <= min(MAX_CLASSES, len(texts) // 2)


def without_target(table: TextTable, names: tuple[str, ...]) -> TextTable:
    """The rows that have all targets; ``notes`` says how many have not."""
    missing = {row for name in names for row, t in enumerate(table.column(name)) if is_missing(t)}
    if not missing:
        return table
    if len(missing) == len(table):
        raise ValueError(f"{table.name}: no row has a value of {' and '.join(map(repr, names))}")
    table.notes.append(f"{len(missing)} rows without a target are left out")
    return table.without(missing)


def _exact(text: str) -> Decimal | None:
    if "_" in text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _is_whole(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent >= 0:
        return True
    return -exponent <= _LONGEST_INTEGER * 10 and value == value.to_integral_value()


def _spelled(value: Decimal, text: str) -> str:
    """A class as it is called: whole numbers without a fraction, others as they were written."""
    if _is_whole(value) and value.adjusted() <= _LONGEST_INTEGER:
        return str(int(value))
    return text


def numbers_of(texts: list[str], classes: tuple[str, ...]) -> list[int | None]:
    """Class number of each text, ``None`` for what is none of the classes.

    Where all classes are numbers, ``1.0`` is the class ``1``, as in :func:`class_numbers`.
    """
    by_text = {name: k for k, name in enumerate(classes)}
    exact = [None if has_leading_zeros([name]) else _exact(name) for name in classes]
    if any(value is None for value in exact):
        return [by_text.get(text) for text in texts]
    by_value = {value: k for k, value in enumerate(exact)}
    number = {text: by_value.get(_exact(text)) for text in set(texts)}
    return [number[text] for text in texts]
