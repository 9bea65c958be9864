"""Text with a header line, read into columns of strings; every complaint names its place."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

DELIMITERS = ",;\t"


@dataclass(frozen=True)
class TextTable:
    """Columns of a file as text, and the line of the file on which each row stands."""

    path: Path
    names: tuple[str, ...]
    values: tuple[list[str], ...]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """The texts of one column; an unknown name is an error that lists the columns."""
        if name not in self.names:
            raise ValueError(f"{self.path} has no column {name!r}; it has {listed(self.names)}")
        return self.values[self.names.index(name)]


def read_text_table(path: Path) -> TextTable:
    """Read a CSV file (plain or gzip, UTF-8, separated by commas, semicolons or tabs).

    Raises
    ------
    ValueError
        For a file without header or rows, rows of unequal length, repeated or empty names.
    """
    text = _text(path)
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = tuple(name.strip() for name in next(reader, []))
        _check_header(path, names)
        rows, lines = [], []
        for row in reader:
            if len(row) <= 1 and not "".join(row).strip():  # a blank line
                continue
            if len(row) != len(names):
                raise ValueError(
                    f"{path}, line {reader.line_num}: expected {len(names)} values as in the "
                    f"header, found {len(row)}"
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    if not rows:
        raise ValueError(f"{path} has a header but no rows")
    values = tuple([cell.strip() for cell in column] for column in zip(*rows, strict=True))
    return TextTable(path, names, values, lines)


def listed(names: tuple[str, ...], limit: int = 20) -> str:
    """Names for an error message, at most ``limit`` of them."""
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def is_number(text: str) -> bool:
    """Whether this text is a number (``1_0``, which Python reads as 10, is none)."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _text(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is a damaged or incomplete gzip file ({error})") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: this is not UTF-8 text") from error


def _check_header(path: Path, names: tuple[str, ...]) -> None:
    if not names:
        raise ValueError(f"{path} is empty; the first line should name the columns")
    for position, name in enumerate(names, start=1):
        if not name:
            raise ValueError(
                f"{path}: column {position} has no name in the first line (a row index? leave it "
                "out, in pandas with to_csv(..., index=False))"
            )
        if name in names[: position - 1]:
            raise ValueError(f"{path}: the first line names column {name!r} twice")
    # Numbered columns (0, 1, 2, …) are names; a first line of any other numbers is data.
    if all(is_number(name) for name in names) and list(names) != [
        str(i) for i in range(len(names))
    ]:
        raise ValueError(f"{path}: the first line holds numbers; it should name the columns")
