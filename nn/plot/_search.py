"""What a search has tried, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._typing import Array
from . import _style


def search(search: Any, *, ax: _style.Axes | None = None) -> _style.Axes:
    """Draw the candidates of a search as lines over parallel axes, one for each parameter.

    Numbers that differ by more than a factor of 20 are drawn on a logarithmic axis, values without
    an order side by side. The last axis is the mean score of validation, which is also the colour;
    the best candidate is drawn over the others. Of a candidate that several rounds have looked at,
    the last one counts.

    Parameters
    ----------
    search : MLPSearchCV, a search of scikit-learn that is fitted, or its ``cv_results_``
        What has been tried.
    ax : Axes, optional
        Draw here.

    Returns
    -------
    Axes
        With the drawing.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    ValueError
        Where no candidate has a finite score.

    Examples
    --------
    >>> from fastmlp import MLPRegressor, plot
    >>> from fastmlp.model_selection import MLPSearchCV
    >>> X = [[float(i)] for i in range(20)]
    >>> space = {"alpha": [0.0, 0.1], "hidden_layer_sizes": [(4,), (8,)]}
    >>> model = MLPRegressor(max_iter=4, random_state=0)
    >>> found = MLPSearchCV(model, space, cv=2, refit=False).fit(X, [row[0] for row in X])
    >>> axes = plot.search(found)
    """
    table = search if isinstance(search, Mapping) else search.cv_results_
    last = {repr(candidate): i for i, candidate in enumerate(table["params"])}
    scores = np.asarray(table["mean_test_score"], float)
    rows = [i for i in last.values() if math.isfinite(scores[i])]
    if not rows:
        raise ValueError("no candidate of the search has a finite score")
    rows.sort(key=lambda i: scores[i])  # the best on top
    candidates, scores = [table["params"][i] for i in rows], scores[rows]
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate))
    axes = _style.axes(ax, (1.6 * (len(names) + 1) + 2.0, 4.4))
    _style.dress(axes, "candidates of the search", grid=False)
    columns = [_places([one.get(name) for one in candidates]) for name in names]
    columns.append(_places(scores.tolist()))
    for at, (_, ticks) in enumerate(columns):
        axes.axvline(at, color=_style.GRID, lw=1.2, zorder=0)
        for height, label in ticks:
            axes.text(at + 0.03, height, label, color=_style.INK, fontsize=8, va="center", zorder=4,
                      bbox={"fc": "white", "alpha": 0.7, "lw": 0, "pad": 0.6})  # fmt: skip
    lines = np.array([heights for heights, _ in columns]).T
    colours = _style.pyplot().cm.ScalarMappable(
        _style.pyplot().Normalize(scores.min(), scores.max()), "viridis"
    )
    for line, score in zip(lines, scores, strict=True):
        axes.plot(line, color=colours.to_rgba(score), lw=1.2, alpha=0.8, zorder=1)
    axes.plot(lines[-1], color=_style.COLOURS[1], lw=2.4, zorder=3, label=f"best, {scores[-1]:.4g}")
    axes.set_xticks(range(len(columns)), [*(n.replace("_", " ") for n in names), "score"])
    axes.set_xlim(-0.1, len(columns) - 0.6)
    axes.set(yticks=[])
    axes.spines["left"].set_visible(False)
    _style.colour_bar(axes, colours, "mean score of validation")
    _style.legend(axes, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return axes


def _places(values: Sequence[Any]) -> tuple[Array, list[tuple[float, str]]]:
    """Where values stand on an axis from 0 to 1, and the labels of some heights."""
    if all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in values):
        return _of_numbers(np.array(values, float))
    kinds = sorted(dict.fromkeys(map(str, values)), key=lambda kind: (len(kind), kind))
    heights = np.linspace(0, 1, len(kinds)) if len(kinds) > 1 else np.array([0.5])
    height = dict(zip(kinds, heights.tolist(), strict=True))
    return np.array([height[str(v)] for v in values]), [(h, k) for k, h in height.items()]


def _of_numbers(values: Array) -> tuple[Array, list[tuple[float, str]]]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.full(len(values), 0.5), [(0.5, f"{low:.3g}")]
    marks = np.linspace(0, 1, 5)
    if low > 0 and high > 20 * low:
        heights = np.log(values / low) / math.log(high / low)
        return heights, [(float(m), f"{low * (high / low) ** m:.2g}") for m in marks]
    heights = (values - low) / (high - low)
    return heights, [(float(m), f"{low + m * (high - low):.3g}") for m in marks]
