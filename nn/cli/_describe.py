"""``fastmlp describe``: what is seen in a table before anything is trained."""

from __future__ import annotations

import argparse
import statistics
from collections import Counter

from ..datasets import Column, _tables
from ..datasets._csv import TextTable
from ..datasets._description import Rules, describe
from ..datasets._text import NumberFormat as Format
from ..datasets._text import is_missing, parse_date, parse_numbers
from ._sources import stream_or_path, text_format
from ._usage import DONE, UsageError, say

#: Categories that are shown of a column.
SHOWN = 3


def run(options: argparse.Namespace) -> int:
    """Describe as ``options`` say; return the exit code."""
    if options.data != "-" and not _tables.is_table(options.data):
        endings = ", ".join(_tables.SUFFIXES)
        raise UsageError(f"{options.data} is no table: expected a name that ends in {endings}")
    if options.data.lower().endswith(_tables.NPZ_SUFFIX):
        raise UsageError("describe is for columns with names; an NPZ file holds arrays")
    form = text_format(options)
    table = _tables.read_columns(stream_or_path(options.data), form, "skip")
    rules = Rules(missing="impute", bad_rows="skip")
    lines = [("column", "kind", "values", "missing", "example or range")]
    unused = []
    for name in table.names:
        found = describe(table, (name,), rules)
        if not found:
            unused.append(name)
        lines.append(_line(table, name, found[0] if found else None))
    say(f"{table.name}: {len(table):,} rows, {len(table.names)} columns")
    say()
    widths = [max(len(line[place]) for line in lines) for place in range(4)]
    for line in lines:
        numbers = f"{line[2]:>{widths[2]}}  {line[3]:>{widths[3]}}"
        say(f"{line[0]:<{widths[0]}}  {line[1]:<{widths[1]}}  {numbers}  {line[4]}".rstrip())
    notes = dict.fromkeys(table.notes)
    if notes or table.bad:
        say()
    for note in notes:
        say(f"note: {note}")
    if table.bad:
        say(f"note: {len(table.bad)} rows cannot be read ({next(iter(table.bad.values()))})")
    used = [name for name in table.names if name not in unused]
    if used:
        say(f"\nTo predict a column, such as the last:  fastmlp train DATA --target {used[-1]!r}")
    return DONE


def _line(table: TextTable, name: str, column: Column | None) -> tuple[str, str, str, str, str]:
    """Name, kind, different values, missing values, and what they look like."""
    present = [text for text in table.column(name) if not is_missing(text)]
    counts = Counter(present)
    kind, what = _content(present, counts, column)
    missing = len(table) - len(present)
    return _short(name, 30), kind, f"{len(counts):,}", f"{missing:,}" if missing else "-", what


def _content(present: list[str], counts: Counter[str], column: Column | None) -> tuple[str, str]:
    if column is None:
        return "left out", _short(present[0], 40) if present else ""
    if column.date is not None:
        moments = [m for m in (parse_date(text, column.date) for text in present) if m is not None]
        return f"date {column.date}", f"{min(moments):%Y-%m-%d} to {max(moments):%Y-%m-%d}"
    if column.categories is not None:
        frequent = (f"{_short(text, 20)} ({n:,})" for text, n in counts.most_common(SHOWN))
        return "category", ", ".join(frequent) + (", …" if len(counts) > SHOWN else "")
    values = parse_numbers(present, Format(column.decimal, column.thousands))[0]
    low, high, middle = min(values), max(values), statistics.median(values)
    return "number", f"{low:.6g} to {high:.6g}, median {middle:.6g}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
