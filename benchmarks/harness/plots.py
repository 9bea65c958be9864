"""The pictures. All return without drawing, and say so, where matplotlib is not installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import results
from .contenders import RIVALS, TITLES

#: One colour (Okabe and Ito's, told apart by colour-blind people) and marker per contender.
STYLE = {
    "compiled": ("#D55E00", "o"),
    "numba": ("#E69F00", "s"),
    "reference": ("#999999", "v"),
    "jax": ("#009E73", "D"),
    "numpy": ("#0072B2", "^"),
    "torch": ("#CC79A7", "P"),
    "sklearn": ("#56B4E9", "X"),
    "matmul": ("#000000", "."),
    "onnxruntime": ("#F0E442", "*"),
}


def pyplot() -> Any:
    """``matplotlib.pyplot`` that needs no screen, or ``None`` with a note."""
    if importlib.util.find_spec("matplotlib") is None:
        print("note: no picture, matplotlib is not installed", file=sys.stderr)
        return None
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot

    return matplotlib.pyplot


def steps_over_floor(records: list[results.Record], processor: str, file: Path) -> None:
    """How many times the arithmetic floor a step takes: one dot per contender, a line per shape."""
    plt = pyplot()
    groups = results.grouped(records)
    if plt is None or not groups:
        return
    columns = min(2, len(groups))
    rows = -(-len(groups) // columns)
    longest = max(map(len, groups))
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(6.2 * columns, rows * (1.3 + 0.42 * longest) + 0.8),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    seen: dict[str, Any] = {}
    for axis, group in zip(axes.flat, groups, strict=False):
        seen |= _floors(axis, group)
    for axis in axes.flat[len(groups) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("times the arithmetic floor (1 = the limit)", fontsize=9)
    figure.suptitle(
        f"Time of a training step over its floor (µs under the name), {processor}", fontsize=11
    )
    order = [name for name in TITLES if name in seen]
    figure.legend(
        [seen[name] for name in order],
        [TITLES[name] for name in order],
        loc="outside lower center",
        ncols=len(order) if columns > 1 else 3,
        frameon=False,
        fontsize=9,
        columnspacing=1.2,
        handletextpad=0.2,
    )
    _save(figure, plt, file)


def _floors(axis: Any, group: Sequence[results.Record]) -> dict[str, Any]:
    """One panel of :func:`steps_over_floor`; the dots of each contender, for the legend."""
    seen = {}
    for line, record in enumerate(group):
        floor = results.floor(record)
        values = {n: results.step(record, n) / floor for n in record["contenders"]}
        if values:
            axis.plot([1, max(values.values())], [line, line], color="#dddddd", zorder=1)
        for name, value in values.items():
            colour, marker = STYLE[name]
            # fastmlp's dots lie on top where dots meet.
            seen[name] = axis.scatter(
                value, line, s=52, c=colour, marker=marker, zorder=3 if name in RIVALS else 4
            )
    axis.axvline(1, color="black", linewidth=1)
    axis.set_xscale("log")
    axis.set_yticks(
        range(len(group)),
        [f"{r['shape']}\n{results.microseconds(results.floor(r))} µs" for r in group],
        fontsize=8,
    )
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace(",", " "))
    axis.invert_yaxis()
    axis.grid(axis="x", which="major", color="#eeeeee")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    threads = group[0]["threads"]
    axis.set_title(f"{group[0]['dtype']}, {threads} thread{'s' if threads > 1 else ''}")
    return seen


def curves(
    panels: dict[tuple[str, str], dict[str, Sequence[tuple[float, float]]]],
    processor: str,
    x_label: str,
    y_label: str,
    file: Path,
) -> None:
    """A grid of curves: (row, column) → contender → points; all panels have the same axes."""
    plt = pyplot()
    if plt is None or not panels:
        return
    row_names = list(dict.fromkeys(row for row, _ in panels))
    column_names = list(dict.fromkeys(column for _, column in panels))
    figure, axes = plt.subplots(
        len(row_names),
        len(column_names),
        figsize=(2.7 * len(column_names) + 0.6, 2.2 * len(row_names) + 1.2),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    seen = {}
    for (row, column), lines in panels.items():
        axis = axes[row_names.index(row)][column_names.index(column)]
        for name, points in lines.items():
            colour, marker = STYLE[name]
            (seen[name],) = axis.plot(
                *zip(*points, strict=True), color=colour, marker=marker, markersize=3, linewidth=1.3
            )
        axis.set_xscale("log", base=2)
        axis.set_ylim(0, 105)
        axis.grid(color="#eeeeee")
        axis.tick_params(axis="x", labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axis, name in zip(axes[0], column_names, strict=True):
        axis.set_title(name, fontsize=10)
    for axis, name in zip(axes[:, 0], row_names, strict=True):
        axis.set_ylabel(f"{name}\n{y_label}", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel(x_label, fontsize=9)
    figure.suptitle(processor, fontsize=11)
    figure.legend(
        list(seen.values()),
        [TITLES.get(name, name) for name in seen],
        loc="outside lower center",
        ncols=max(1, len(seen)),
        frameon=False,
    )
    _save(figure, plt, file)


def _save(figure: Any, plt: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    plt.close(figure)
