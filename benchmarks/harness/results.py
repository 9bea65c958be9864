"""Results: one record per shape, dtype and thread count; JSON, a table to read, one to paste.

A record is plain data::

    {"shape": "iris", "description": "4-16-3 relu, …", "dtype": "float32", "threads": 1,
     "rounds": 9, "flops": 8704, "peak": {"gflops": …, "source": "…", "seconds": […]},
     "contenders": {"compiled": {"seconds": […], "first_call": …}, …}, "failures": {…}}

with seconds per step, one sample a round; the samples of the peak are those of all rows of a run.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from .contenders import RIVALS, TITLES

Record = dict[str, Any]
Statistic = Callable[[Sequence[float]], float]
STATISTICS: dict[str, Statistic] = {"minimum": min, "median": statistics.median}


def peak_rate(record: Record, statistic: Statistic = min) -> float:
    """FLOP per second of the machine, in the same run."""
    return float(record["peak"]["flops"] / statistic(record["peak"]["seconds"]))


def floor(record: Record, statistic: Statistic = min) -> float:
    """Seconds that the arithmetic of a step takes at the peak."""
    return float(record["flops"] / peak_rate(record, statistic))


def step(record: Record, name: str, statistic: Statistic = min) -> float:
    """Seconds that a contender takes for a step."""
    return float(statistic(record["contenders"][name]["seconds"]))


def ours(record: Record) -> str | None:
    """The backend of fastmlp that rivals are compared with: the first that was measured."""
    return next((name for name in record["contenders"] if name not in RIVALS), None)


def summarize(record: Record) -> Record:
    """The record with what follows from its samples: minimum, median, MFU and ratios."""
    mine = ours(record)
    summary = dict(record)
    for label, statistic in STATISTICS.items():
        limit = floor(record, statistic)
        summary[label] = {
            "floor_us": 1e6 * limit,
            "peak_gflops": peak_rate(record, statistic) / 1e9,
            "contenders": {
                name: {
                    "us": 1e6 * step(record, name, statistic),
                    "mfu": limit / step(record, name, statistic),
                    "times_ours": step(record, name, statistic) / step(record, mine, statistic)
                    if mine
                    else None,
                }
                for name in record["contenders"]
            },
        }
    return summary


def microseconds(seconds: float) -> str:
    """Three digits and no exponent."""
    value = 1e6 * seconds
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", " ")


def _cell(record: Record, name: str, statistic: Statistic) -> str:
    if name not in record["contenders"]:
        return "–"
    seconds, mine = step(record, name, statistic), ours(record)
    if name not in RIVALS or mine is None:
        return f"{microseconds(seconds)} ({100 * floor(record, statistic) / seconds:.0f} %)"
    ratio = seconds / step(record, mine, statistic)
    return f"{microseconds(seconds)} ({ratio:.{1 if ratio < 10 else 0}f}×)"


def _grid(records: list[Record], statistic: Statistic) -> list[list[str]]:
    names = [name for name in TITLES if any(name in r["contenders"] for r in records)]
    head = ["shape", "floor", *(TITLES[name] for name in names)]
    return [
        head,
        *(
            [
                record["shape"],
                microseconds(floor(record, statistic)),
                *(_cell(record, name, statistic) for name in names),
            ]
            for record in records
        ),
    ]


def _title(records: list[Record], label: str) -> str:
    first = records[0]
    threads = first["threads"]
    peak = peak_rate(first, STATISTICS[label])
    return (
        f"{first['dtype']}, {threads} thread{'s' if threads > 1 else ''}, "
        f"µs per step ({label} of {first['rounds']} rounds); "
        f"FMA peak {peak / 1e9:.1f} GFLOP/s"
    )


def grouped(records: Iterable[Record]) -> list[list[Record]]:
    """Records of one dtype and thread count together, in the order that they came."""
    return [list(group) for _, group in groupby(records, lambda r: (r["dtype"], r["threads"]))]


def text_table(records: list[Record], label: str = "minimum") -> str:
    """Columns that line up; in brackets MFU for fastmlp, the ratio to it for the others."""
    grid = _grid(records, STATISTICS[label])
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in grid
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([_title(records, label), *lines])


def machine_line(machine: Record) -> str:
    """Processor, instruction set and caches, as they were played in a run."""
    isa, widest = machine["instruction_set"], machine.get("widest_instruction_set")
    held = "" if widest in (None, isa) else f" alone, all contenders, of a machine with {widest}"
    sizes = [f"{name.upper()} {size >> 10} KB" for name, size in machine.get("caches", {}).items()]
    return "; ".join([f"{machine['processor']}, {isa}{held}", *filter(None, [", ".join(sizes)])])


def markdown(records: Iterable[Record], machine: Record) -> str:
    """All tables in Markdown, with the machine and how to read them."""
    groups = grouped(records)
    source = groups[0][0]["peak"]["source"] if groups else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        f"{machine_line(machine)}; {versions}. "
        f"Peak: {source}, in the same run.\n\n"
        "In brackets: for fastmlp the share of the FMA peak (floor / time), for the others how "
        "many times as long as fastmlp's first column they take.\n"
    ]
    for label in STATISTICS:
        for group in groups:
            head, *rows = _grid(group, STATISTICS[label])
            lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
            table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
            parts.append(f"**{_title(group, label)}**\n\n{table}\n")
    return "\n".join(parts)


def first_calls(records: Iterable[Record]) -> str:
    """The longest first call of each contender: compilation, and waking up a library."""
    longest: dict[str, float] = {}
    for record in records:
        for name, contender in record["contenders"].items():
            longest[name] = max(longest.get(name, 0.0), contender["first_call"])
    each = ", ".join(f"{TITLES[name]} {seconds:.2f} s" for name, seconds in longest.items())
    return f"Longest first call (compilation, start of a library), not in the times: {each}"


def failures(records: Iterable[Record]) -> list[str]:
    """What was left out because it failed or gave wrong results, a line each."""
    return [
        f"{record['shape']} {record['dtype']} {record['threads']} thread(s), {name}: {reason}"
        for record in records
        for name, reason in record["failures"].items()
    ]


def write_json(file: Path, machine: Record, data: Any) -> None:
    """The machine and what was measured on it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine, "results": data}, indent=1) + "\n")
