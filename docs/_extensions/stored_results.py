"""Tables of the measurements in ``benchmarks/results``, written when the site is built.

A page includes ``api/results/NAME.md``: what was measured, the shortest time of each contender (the
median where the record says so), and the machine with its load, so that a number never stands
without where it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from sphinx.application import Sphinx

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
#: Files of records with times.
NAMES = ("many", "steps", "predict", "streams", "contention", "cluster")
#: Contenders by what people call them.
TITLES = {"sklearn": "scikit-learn", "numpy": "NumPy", "torch": "torch", "jax": "JAX"}


def of_each(seconds: Any, statistic: Any = min) -> dict[str, float]:
    """The shortest time of each contender, or a statistic; of two conditions those of each."""
    found: dict[str, float] = {}
    for name, value in seconds.items():
        if isinstance(value, dict):
            found |= {f"{name}: {inner}": time for inner, time in of_each(value, statistic).items()}
        elif value:
            found[name] = statistic(value) if isinstance(value, list) else value
    return found


def records(stored: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """What was measured, and the times of the contenders."""
    results = stored.get("results")
    if results is None:
        yield from ((name, of_each(times)) for name, times in stored["seconds"].items())
        return
    for record in results["records"] if isinstance(results, dict) else results:
        labels = [
            f"{key} {value}" if isinstance(value, int) else str(value)
            for key, value in record.items()
            if isinstance(value, (str, int)) and key not in ("epochs", "grown", "statistic")
        ]
        seconds = record.get("seconds") or {"a row": record.get("seconds_per_row")}
        times = of_each(seconds, median if record.get("statistic") == "median" else min)
        if times:
            yield ", ".join(labels), times


def shown(seconds: float) -> str:
    """A time with three digits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def machine(stored: dict[str, Any]) -> str:
    """Where it was measured, in a line."""
    known = stored.get("machine")
    if known is None:
        threads = stored.get("threads")
        return f"{stored.get('dtype', '')}, {threads} thread; machine not stored."
    return (
        f"{known['processor']}, {known['instruction_set']}, usable cores {known['usable_cores']}, "
        f"load {known['load_average']:.1f} before the run, {known['when'][:10]}."
    )


def table(stored: dict[str, Any]) -> str:
    """The table in Markdown: one for each set of contenders."""
    groups: dict[tuple[str, ...], list[tuple[str, dict[str, float]]]] = {}
    for label, times in records(stored):
        groups.setdefault(tuple(times), []).append((label, times))
    parts = []
    for names, rows in groups.items():
        heads = [TITLES.get(name, name) for name in names]
        lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
        for label, times in rows:
            lines.append(f"| {label} | {' | '.join(shown(times[name]) for name in names)} |")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, f"*{machine(stored)}*"]) + "\n"


def write(app: Sphinx, config: Any) -> None:
    """Write the tables among the sources, where pages include them."""
    folder = Path(app.srcdir) / "api" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        stored = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
        (folder / f"{name}.md").write_text(table(stored), "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", write)
    return {"parallel_read_safe": True}
