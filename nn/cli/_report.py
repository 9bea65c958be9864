"""Files beside the model: the run as numbers and as a picture."""

from __future__ import annotations

import io
import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files import write
from ..plot import _curves, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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

    metric = [_in_unit(values)[1] for values in run["history"]["validation_metrics"]]
    figure = Figure(figsize=(10, 4.2) if metric else (6.4, 4.2), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2 if metric else 1, squeeze=False)[0]
    title = f"{run['data']['name']}: {run['summary']}"
    # A name may hold a $, which is no formula.
    figure.suptitle(title, color=_style.INK, fontsize=12, parse_math=False)
    _draw_losses(panels[0], run)
    if metric:
        _draw_metric(panels[1], metric, *_in_unit(run["test"]))
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write(path, picture.getvalue())


def _in_unit(measures: dict[str, float]) -> tuple[str, float]:
    """Label and value of the measure that is drawn."""
    if "accuracy" in measures:
        return "accuracy, %", 100 * measures["accuracy"]
    return "RMSE", measures["rmse"]


def _draw_losses(panel: Axes, run: dict[str, Any]) -> None:
    """Losses, and the lowest of the validation rows."""
    training, validation = run["history"]["loss"], run["history"]["validation_loss"]
    _style.dress(panel, "loss", "epoch", f"{run['loss'].replace('_', ' ')}, mean over rows")
    _curves.draw_line(panel, training, _style.TRAINING, "training")
    if validation:
        _curves.draw_line(panel, validation, _style.VALIDATION, "validation")
        best = min(range(len(validation)), key=validation.__getitem__)
        label = f"lowest, {validation[best]:.3g} in epoch {best + 1}"
        mark: dict[str, Any] = {
            "color": _style.VALIDATION,
            "ms": 7,
            "mec": "white",
            "mew": 1.2,
            "label": label,
        }
        panel.plot(best + 1, validation[best], "o", **mark)
    _curves.log_where_wide(panel, [training, validation])
    _style.legend(panel)


def _draw_metric(panel: Axes, metric: list[float], label: str, test: float) -> None:
    """The metric of the validation rows, and where the test rows ended."""
    percent = label.endswith("%")
    _style.dress(panel, label.split(",")[0], "epoch", label)
    _curves.draw_line(panel, metric, _style.VALIDATION, "validation")
    said = f"test, at the end: {test:.4g}{' %' if percent else ''}"
    panel.axhline(test, color=_style.COLOURS[2], lw=1.4, ls=(0, (5, 3)), label=said)
    if percent:
        # The first epochs of a long run would press all that matters to the upper edge.
        low = min(sorted(metric)[len(metric) // 20], test)
        panel.set_ylim(max(0.0, low - 0.15 * (100 - low) - 0.5), 100.3)
    else:
        panel.set_ylim(bottom=0)
    _style.legend(panel, loc="lower right" if percent else "upper right")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
