"""Learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from .._typing import Array
from ..history import History
from ..metrics import direction
from . import _models, _style


def learning_curves(
    history: Any,
    curve: str = "loss",
    *,
    x: Literal["epoch", "seconds"] = "epoch",
    ax: _style.Axes | None = None,
) -> Array:
    """Draw loss and metrics over the epochs.

    Parameters
    ----------
    history : History or fitted estimator, a list of them, or dict of label → one of these
        One run: the losses of training and validation, and beside them its metrics, if there are
        any. Several runs: one curve of each, to compare. A list of runs, such as
        :func:`fastmlp.fit_many` returns, is one band: the median of the runs that have come so
        far, and from the lowest tenth to the highest.
    curve : str, default "loss"
        Of several runs: which curve, such as ``"validation_loss"`` or ``"accuracy"``.
    x : {"epoch", "seconds"}, default "epoch"
        Of several runs: over epochs, or over the time of training; bands are over epochs.
    ax : _style.Axes, optional
        Draw here; of one run only the losses.

    Returns
    -------
    (n_panels,) array of Axes
        The losses (or of several runs the curve) first, then a panel for each metric of one run.
        ``learning_curves(…)[0].figure`` is the figure.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    ValueError
        Where there is no epoch to draw, or no such curve, or a band is to be drawn over seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, plot
    >>> X = np.linspace(0, 1, 20)[:, None]
    >>> history = MLP([1, 4, 1], random_state=0).fit(X, X, epochs=5)
    >>> axes = plot.learning_curves(history)
    >>> axes[0].figure.savefig("curves.png")
    """
    if x not in ("epoch", "seconds"):
        raise ValueError(f"x must be 'epoch' or 'seconds', got {x!r}")
    several = isinstance(history, (Mapping, list, tuple))
    given = dict(history) if isinstance(history, Mapping) else {"": history}
    bands = {
        label: [_models.history(run) for run in (runs if _is_band(runs) else [runs])]
        for label, runs in given.items()
    }
    if not all(bands.values()) or not bands:
        raise ValueError("there is no epoch to draw")
    if any(run.epochs == 0 for runs in bands.values() for run in runs):
        raise ValueError("there is no epoch to draw")
    if several:
        if x == "seconds" and any(map(_is_band, given.values())):
            raise ValueError("bands are drawn over epochs, which all runs share, not over seconds")
        return _panels([_several(bands, curve, x, _style.axes(ax, (7.2, 4.4)))])
    run = bands[""][0]
    # Estimators keep a score of validation rows only.
    names = list(dict.fromkeys(name.removeprefix("validation_") for name in run.metrics))
    if ax is not None or not names:
        ax = _style.axes(ax)
        _losses(run, ax)
        return _panels([ax])
    found = _style.panels(1 + len(names), (5.2 * (1 + len(names)), 4.0))
    _losses(run, found[0])
    for name, panel in zip(names, found[1:], strict=True):
        _style.dress(panel, name.replace("_", " "), "epoch")
        _both(run, name, panel, "max" if name == "score" else direction(name))
        _style.legend(panel)
    return _panels(found)


def _is_band(runs: Any) -> bool:
    return isinstance(runs, (list, tuple))


def _panels(found: list[_style.Axes]) -> Array:
    """One array, however many panels there are."""
    panels = np.empty(len(found), object)
    panels[:] = found
    return panels


def _losses(history: History, ax: _style.Axes) -> None:
    _style.dress(ax, "loss", "epoch", "mean over rows")
    _both(history, "loss", ax, "min")
    log_where_wide(ax, [history.loss, history.validation_loss])
    if history.validation_loss:
        _style.legend(ax)


def _both(history: History, name: str, ax: _style.Axes, mode: str | None) -> None:
    """A curve on training rows and on validation rows, with its best point where that is known."""
    if name == "loss" or name in history.metrics:
        draw_line(ax, history.curve(name), _style.TRAINING, "training")
    known = f"validation_{name}" in history.metrics or (
        name == "loss" and bool(history.validation_loss)
    )
    if not known:
        return
    curve = history.curve(f"validation_{name}")
    draw_line(ax, curve, _style.VALIDATION, "validation")
    finite = [value for value in curve if math.isfinite(value)]
    if finite and mode is not None:
        value = max(finite) if mode == "max" else min(finite)
        epoch = curve.index(value) + 1
        word = "highest" if mode == "max" else "lowest"
        label = f"{word}, {value:.4g} in epoch {epoch}"
        ax.plot(epoch, value, "o", color=_style.VALIDATION, ms=7, mec="white", mew=1.2, label=label)


def _several(
    bands: Mapping[str, Sequence[History]], curve: str, x: str, ax: _style.Axes
) -> _style.Axes:
    _style.dress(ax, curve.replace("_", " "), "epoch" if x == "epoch" else "seconds of training")
    curves = []
    for i, (label, runs) in enumerate(bands.items()):
        found = [run.curve(curve) for run in runs]
        if not all(found):
            raise ValueError(f"the run {label!r} has no {curve!r}")
        low, values, high = _quantiles(found)
        curves += [low, high]
        places = list(range(1, len(values) + 1)) if x == "epoch" else _elapsed(runs[0].seconds)
        colour = _style.COLOURS[i % len(_style.COLOURS)]
        style = ("-", "--", ":", "-.")[i // len(_style.COLOURS) % 4]
        if len(runs) > 1:
            ax.fill_between(places, low, high, color=colour, alpha=0.2, lw=0)
            label = f"{label or 'median'} ({len(runs)} runs)"
        ax.plot(places, values, color=colour, lw=1.8, ls=style, label=label)
    if x == "epoch":
        _style.whole_numbers(ax)
    log_where_wide(ax, curves)
    many = len(bands) > 6
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if many else {}
    _style.legend(ax, **beside)
    return ax


def _quantiles(curves: Sequence[Sequence[float]]) -> tuple[list[float], list[float], list[float]]:
    """Lowest tenth, median and highest tenth, of the runs that have come to each epoch."""
    table = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, values in zip(table, curves, strict=True):
        row[: len(values)] = values
    columns = [column[np.isfinite(column)] for column in table.T]
    found = [np.quantile(c, (0.1, 0.5, 0.9)) if c.size else np.full(3, np.nan) for c in columns]
    low, middle, high = np.array(found).T.tolist()
    return low, middle, high


def _elapsed(seconds: Sequence[float]) -> list[float]:
    total, times = 0.0, []
    for value in seconds:
        total += value
        times.append(total)
    return times


def draw_line(ax: _style.Axes, values: Sequence[float], colour: str, label: str) -> None:
    """Draw a curve over the epochs."""
    # A single epoch is a point, which a line would not show.
    marker = "o" if len(values) <= 12 else None
    ax.plot(range(1, len(values) + 1), values, color=colour, lw=2, marker=marker, ms=4, label=label)
    _style.whole_numbers(ax)


def log_where_wide(ax: _style.Axes, curves: Sequence[Sequence[float]]) -> None:
    """A logarithmic scale where the values differ by more than a factor of 20."""
    values = [value for curve in curves for value in curve if math.isfinite(value)]
    if values and min(values) > 0 and max(values) > 20 * min(values):
        from matplotlib.ticker import LogLocator, NullFormatter

        ax.set_yscale("log")
        if max(values) < 1000 * min(values):
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
