"""What is left behind beside the model: the run as numbers and as a picture."""

from __future__ import annotations

import io
import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINING, VALIDATION, TEST = "#4C72B0", "#DD8452", "#3A7D44"
INK, GRID = "#333333", "#E3E3E3"
METRICS = {"accuracy": "accuracy, %", "rmse": "RMSE"}


def write_history(path: Path, run: dict[str, Any]) -> None:
    """Write the run as JSON; numbers that JSON lacks (NaN, infinity) become null."""
    text = json.dumps(_finite(run), indent=1, ensure_ascii=False) + "\n"
    write(path, text.encode("utf-8", "backslashreplace"))


def write_report(folder: Path, run: dict[str, Any]) -> list[str]:
    """Write numbers and picture; return the names of the files."""
    write_history(folder / "history.json", run)
    if not run["history"]["loss"] or not can_draw():
        return ["history.json"]
    draw_learning_curve(folder / "learning_curve.png", run)
    return ["history.json", "learning_curve.png"]


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_learning_curve(path: Path, run: dict[str, Any]) -> None:
    """Draw losses, and the metric where there are validation rows, over the epochs.

    Parameters
    ----------
    path : path of the PNG
    run : dict
        As :func:`write_history` takes it, with at least one epoch.
    """
    from matplotlib.figure import Figure

    curves = run["history"]
    epochs = range(1, len(curves["loss"]) + 1)
    name = "accuracy" if "accuracy" in run["test"] else "rmse"
    factor = 100 if name == "accuracy" else 1
    metric = [factor * values[name] for values in curves["validation_metrics"]]

    figure = Figure(figsize=(10, 4.2) if metric else (6.4, 4.2), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2 if metric else 1, squeeze=False)[0]
    title = f"{run['data']['name']}: {run['summary']}"
    figure.suptitle(title, color=INK, fontsize=12, parse_math=False)  # a name may hold a $

    loss = panels[0]
    _style(loss, "loss", f"{run['loss'].replace('_', ' ')}, mean over rows")
    _line(loss, epochs, curves["loss"], TRAINING, "training")
    if curves["validation_loss"]:
        _line(loss, epochs, curves["validation_loss"], VALIDATION, "validation")
        best = min(epochs, key=lambda e: curves["validation_loss"][e - 1])
        value = curves["validation_loss"][best - 1]
        label = f"lowest, {value:.3g} in epoch {best}"
        loss.plot(best, value, "o", color=VALIDATION, ms=7, mec="white", mew=1.2, label=label)
    positive = [v for v in (*curves["loss"], *curves["validation_loss"]) if v > 0]
    if positive and max(positive) > 20 * min(positive):
        loss.set_yscale("log")
        loss.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    loss.legend(frameon=False, labelcolor=INK)

    if metric:
        panel = panels[1]
        _style(panel, METRICS[name].split(",")[0], METRICS[name])
        _line(panel, epochs, metric, VALIDATION, "validation")
        test = factor * run["test"][name]
        unit = " %" if name == "accuracy" else ""
        panel.axhline(
            test, color=TEST, lw=1.4, ls=(0, (5, 3)), label=f"test, at the end: {test:.4g}{unit}"
        )
        if name == "accuracy":
            # The first epochs of a long run would press all that matters to the upper edge.
            low = min(sorted(metric)[len(metric) // 20], test)
            panel.set_ylim(max(0.0, low - 0.15 * (100 - low) - 0.5), 100.3)
        else:
            panel.set_ylim(bottom=0)
        panel.legend(
            frameon=False, labelcolor=INK, loc="lower right" if factor == 100 else "upper right"
        )
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write(path, picture.getvalue())


def _style(panel: Axes, title: str, unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")
    panel.set_xlabel("epoch", color=INK)
    panel.set_ylabel(unit, color=INK)
    panel.grid(color=GRID, lw=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(colors=INK, length=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GRID)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _line(panel: Axes, epochs: range, values: list[float], color: str, label: str) -> None:
    # A single epoch is a point, which a line would not show.
    marker = "o" if len(values) <= 12 else None
    panel.plot(epochs, values, color=color, lw=2, marker=marker, ms=4, label=label)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
