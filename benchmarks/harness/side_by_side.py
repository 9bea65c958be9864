"""Stored tables of two machines beside each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import results
from .contenders import RIVALS, TITLES

Stored = dict[str, Any]
#: What a record of ``table.py`` has in any case.
KEYS = {"dtype", "threads", "shape", "flops", "peak", "contenders"}


def read(file: Path) -> Stored:
    """What ``table.py`` has written: the machine, and a record for each row."""
    try:
        stored: Stored = json.loads(file.read_text("utf-8"))
        sound = "machine" in stored and all(set(record) >= KEYS for record in stored["results"])
    except OSError as error:
        raise SystemExit(str(error)) from None
    except (ValueError, TypeError, KeyError):
        sound = False
    if not sound:
        raise SystemExit(f"{file} is no table.json of table.py")
    return stored


def _named(stored: Stored, letter: str) -> str:
    return f"- {letter}: {results.machine_line(stored['machine'])}"


def _by_row(stored: Stored) -> dict[tuple[str, int, str], Stored]:
    return {(r["dtype"], r["threads"], r["shape"]): r for r in stored["results"]}


def _cell(record: Stored, name: str) -> str:
    """Of fastmlp time and share of the peak, of the others their multiple of its time."""
    if name not in record["contenders"]:
        return "–"
    mine, seconds = results.ours(record), results.step(record, name)
    if name not in RIVALS or mine is None:
        return f"{results.microseconds(seconds)} ({100 * results.floor(record) / seconds:.0f} %)"
    return f"{seconds / results.step(record, mine):.1f}×"


def markdown(first: Stored, second: Stored) -> str:
    """The rows that both have, in Markdown: ``A / B`` in every cell.

    Raises
    ------
    SystemExit
        Where they have no row in common.
    """
    one, other = _by_row(first), _by_row(second)
    common = [key for key in one if key in other]
    if not common:
        raise SystemExit("the two tables have no row in common")
    lines = [_named(first, "A"), _named(second, "B")]
    for dtype, threads in dict.fromkeys(key[:2] for key in common):
        rows = [key for key in common if key[:2] == (dtype, threads)]
        pairs = [(one[key], other[key]) for key in rows]
        both = [name for name in TITLES if any(name in r["contenders"] for p in pairs for r in p)]
        peaks = " / ".join(f"{results.peak_rate(r) / 1e9:.1f}" for r in pairs[0])
        lines += [
            "",
            f"**{dtype}, {threads} thread{'s' if threads > 1 else ''}, µs per step of A / B; "
            f"FMA peak {peaks} GFLOP/s**",
            "",
            "| shape | " + " | ".join(TITLES[name] for name in both) + " |",
            "| --- |" + " ---: |" * len(both),
        ]
        for (*_, shape), pair in zip(rows, pairs, strict=True):
            cells = [" / ".join(_cell(record, name) for record in pair) for name in both]
            lines.append(f"| {shape} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
