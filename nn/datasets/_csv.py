"""Text with a header line, read into columns of strings; every complaint names its place."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO, Literal

from .._files.unpacking import Damaged, unpacked
from ._text import Floats, NumberFormat, is_number, plain_numbers

DELIMITERS = ",;\t|"
#: Characters of a line at most: a packed file of a few bytes may hold one without an end.
LONGEST_LINE = 1 << 24
_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}

BadRows = Literal["error", "skip", "keep"]


@dataclass(frozen=True)
class TextFormat:
    """Format of a text file; ``None`` leaves it to the file itself.

    Parameters
    ----------
    separator : str, optional
        One character between the cells; by default the one of ``, ; tab |`` that the first line
        has most often.
    decimal, thousands : str, optional
        Signs within numbers; by default what reads all numbers of a column.
    encoding : str, optional
        By default UTF-8, or UTF-16 and UTF-32 where the file begins like them.
    header : bool
        Whether the first line names the columns; else they are called by their numbers.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool = True

    def __post_init__(self) -> None:
        if self.separator is not None and len(self.separator) != 1:
            raise ValueError(f"separator must be one character, got {self.separator!r}")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError:
                raise ValueError(f"there is no encoding {self.encoding!r}") from None
        _ = self.numbers

    @property
    def numbers(self) -> NumberFormat | None:
        """The format of numbers, where it was said."""
        if self.decimal is None and self.thousands is None:
            return None
        decimal = self.decimal or ("," if self.thousands == "." else ".")
        return NumberFormat(decimal, self.thousands or "")


@dataclass(frozen=True)
class TextTable:
    """Columns of a file as text, and the line of the file on which each row stands.

    Attributes
    ----------
    bad : dict
        Complaints about rows that could not be read, by row; their cells are empty.
    notes : list of str
        What was decided while reading, for people.
    """

    name: str
    names: tuple[str, ...]
    values: tuple[list[str], ...]
    lines: list[int]
    bad: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _plain: dict[str, Floats | None] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def column(self, name: str) -> list[str]:
        """The texts of one column; an unknown name is an error that lists the columns."""
        if name not in self._places:
            raise ValueError(f"{self.name} has no column {name!r}; it has {listed(self.names)}")
        return self.values[self._places[name]]

    def plain(self, name: str) -> Floats | None:
        """A column's values where all are plain numbers, which most columns hold; else ``None``.

        It is asked for by whoever describes the column, and again by whoever encodes it.
        """
        if name not in self._plain:
            self._plain[name] = plain_numbers(self.column(name))
        return self._plain[name]

    def place(self, row: int, name: str) -> str:
        """Position of a cell, for a complaint."""
        return f"{self.name}, line {self.lines[row]}, column {name!r}"

    def without(self, rows: set[int]) -> TextTable:
        """The table without some rows."""
        kept = [row for row in range(len(self)) if row not in rows]
        place = {row: k for k, row in enumerate(kept)}
        return TextTable(
            self.name,
            self.names,
            tuple([column[row] for row in kept] for column in self.values),
            [self.lines[row] for row in kept],
            {place[row]: text for row, text in self.bad.items() if row in place},
            self.notes,
        )


def read_text_table(
    file: BinaryIO, name: str, form: TextFormat | None = None, bad_rows: BadRows = "error"
) -> TextTable:
    """Read a CSV file, plain or gzip, line by line.

    Parameters
    ----------
    file : binary file that can be read twice
    name : str
        What it is called in complaints.
    form : TextFormat, optional
    bad_rows : {"error", "skip", "keep"}
        Rows with more or fewer cells than the header raise, are left out, or stay with empty cells
        and a complaint in ``bad``.

    Raises
    ------
    ValueError
        For a file without header or rows, rows of unequal length, repeated or empty names.
    """
    form = form or TextFormat()
    plain = unpacked(file)
    try:
        encoding = form.encoding or _encoding(plain.read(4096))
        plain.seek(0)
        text = io.TextIOWrapper(plain, encoding, newline="")
        try:
            return _read(text, name, form, bad_rows)
        except UnicodeError:
            place = _undecodable(plain, encoding)
            if form.encoding:
                said = f"this is not {form.encoding} text"
            else:
                said = f"this is not {encoding.removesuffix('-sig').upper()} text"
            raise ValueError(
                f"{name}, line {place}: {said}; say how it is encoded, for example "
                "--encoding cp1252 (in Python TextFormat(encoding='cp1252'))"
            ) from None
        finally:
            text.detach()
    except Damaged as error:
        raise ValueError(f"{name} is a damaged or incomplete gzip file ({error})") from error


def listed(names: tuple[str, ...], limit: int = 20) -> str:
    """Names for an error message, at most ``limit`` of them, long ones cut."""
    shown = ", ".join(repr(n if len(n) <= 60 else f"{n[:59]}…") for n in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _encoding(start: bytes) -> str:
    """Byte order marks say it; text of UTF-16 without one has zeros in every other byte."""
    for mark, name in _BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return name
    if len(start) >= 4 and start[: len(start) & ~1].count(0) * 3 > len(start):
        return "utf-16-le" if start[1] == 0 else "utf-16-be"
    return "utf-8-sig"


def _undecodable(file: BinaryIO, encoding: str) -> int:
    """The first line that cannot be decoded."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, errors="replace", newline="")
    try:
        number = 1
        for number, line in enumerate(_lines(text, ""), start=1):  # noqa: B007
            if "�" in line:
                break
        return number
    finally:
        text.detach()


def _lines(text: io.TextIOWrapper, name: str) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) >= LONGEST_LINE:
            raise ValueError(f"{name}, line {number} has more than {LONGEST_LINE:,} characters")
        yield line


def _read(text: io.TextIOWrapper, name: str, form: TextFormat, bad_rows: BadRows) -> TextTable:
    notes: list[str] = []
    lines, skipped = _without_comments(_lines(text, name), form)
    if skipped:
        notes.append(f"{skipped} lines of comment before the header")
    first = next(lines, "")
    reader = csv.reader(
        itertools.chain([first], lines), delimiter=form.separator or _separator(first)
    )
    try:
        head = next(reader, [])
        if not "".join(head).strip():
            raise ValueError(f"{name} is empty; the first line should name the columns")
        names = _names(name, head, form)
        rows: list[list[str]] = []
        places: list[int] = []
        bad: dict[int, str] = {}
        n_skipped = 0
        for row in reader if form.header else itertools.chain([head], reader):
            if len(row) <= 1 and not "".join(row).strip():  # a blank line
                continue
            if len(row) != len(names):
                complaint = (
                    f"{name}, line {reader.line_num + skipped}: expected {len(names)} values as "
                    f"in the header, found {len(row)}"
                )
                if bad_rows == "error":
                    raise ValueError(f"{complaint}; --bad-rows skip leaves such lines out")
                if bad_rows == "skip":
                    n_skipped += 1
                    continue
                bad[len(rows)] = complaint
                row = [""] * len(names)
            rows.append(row)
            places.append(reader.line_num + skipped)
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num + skipped}: {error}") from error
    if not rows:
        raise ValueError(f"{name} has a header but no rows")
    if n_skipped:
        notes.append(f"{n_skipped} lines with too many or too few values left out")
    values = tuple([cell.strip() for cell in column] for column in zip(*rows, strict=True))
    return TextTable(name, names, values, places, bad, notes)


def _without_comments(lines: Iterator[str], form: TextFormat) -> tuple[Iterator[str], int]:
    """The lines from the header on, and how many of comment (``# …``) came before it."""
    first, skipped = next(lines, ""), 0
    while first.startswith("#"):
        second = next(lines, "")
        separator = form.separator or _separator(second)
        if first.count(separator) == second.count(separator) > 0 or not second:  # # a, b, y
            return itertools.chain([first[1:], second] if second else [first[1:]], lines), skipped
        first, skipped = second, skipped + 1
    return itertools.chain([first], lines), skipped


def _separator(line: str) -> str:
    plain = re.sub(r'"[^"]*"', "", line)
    return max(DELIMITERS, key=plain.count)


def _names(name: str, row: list[str], form: TextFormat) -> tuple[str, ...]:
    if not form.header:
        return tuple(str(k + 1) for k in range(len(row)))
    names = tuple(cell.strip() for cell in row)
    seen = set()
    for position, column in enumerate(names, start=1):
        if not column:
            raise ValueError(
                f"{name}: column {position} has no name in the first line (a row index? leave it "
                "out, in pandas with to_csv(..., index=False))"
            )
        if column in seen:
            raise ValueError(f"{name}: the first line names column {column!r} twice")
        seen.add(column)
    # Numbered columns (0, 1, 2, …) are names; a first line of any other numbers is data.
    numbered = tuple(str(k) for k in range(len(names)))
    if all(is_number(column) for column in names) and names != numbered:
        raise ValueError(
            f"{name}: the first line holds numbers; it should name the columns (--no-header calls "
            "them 1, 2, …)"
        )
    return names
