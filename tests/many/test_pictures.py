"""Pictures of many runs: bands of learning curves, and the candidates of a search."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import History, plot

pytest.importorskip("matplotlib").use("agg")


def runs(*curves):
    found = []
    for curve in curves:
        history = History()
        history.loss += curve
        history.seconds += [0.1] * len(curve)
        history.learning_rate += [0.1] * len(curve)
        found.append(history)
    return found


def test_a_list_of_runs_is_a_band():
    """The median of those that have come so far, and from the lowest tenth to the highest."""
    many = runs([4.0, 3.0, 2.0], [6.0, 5.0], [8.0, np.inf])
    (axes,) = plot.learning_curves(many)
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_ydata(), [6.0, 4.0, 2.0])
    (band,) = axes.collections
    box = band.get_paths()[0].get_extents()
    np.testing.assert_allclose([box.y0, box.y1], [2.0, np.quantile([4.0, 6.0, 8.0], 0.9)])
    assert line.get_label() == "median (3 runs)"


def test_bands_beside_curves():
    many = runs([4.0, 3.0], [6.0, 5.0])
    (axes,) = plot.learning_curves({"some": many, "one": many[0]})
    assert [line.get_label() for line in axes.lines] == ["some (2 runs)", "one"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [4.0, 3.0])
    assert len(axes.collections) == 1
    with pytest.raises(ValueError, match="over epochs"):
        plot.learning_curves(many, x="seconds")
    with pytest.raises(ValueError, match="no epoch"):
        plot.learning_curves([])


TABLE = {
    "params": [
        {"rate": 0.001, "sizes": (4,), "alpha": 1.0},
        {"rate": 0.01, "sizes": (8,), "alpha": 3.0},
        {"rate": 0.1, "sizes": (16, 8), "alpha": 2.0},
        {"rate": 0.01, "sizes": (8,), "alpha": 3.0},
    ],
    "mean_test_score": np.array([0.5, 0.1, np.nan, 0.9]),
}


def test_a_search_is_lines_over_its_parameters():
    """The last round of a candidate counts, and one without a score is left out."""
    axes = plot.search(TABLE)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        *("rate", "sizes", "alpha", "score"),
    ]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(lines) == 3  # two candidates, and the best once more
    np.testing.assert_allclose(lines[-1].get_ydata(), [1, 1, 1, 1])
    np.testing.assert_allclose(lines[0].get_ydata(), [0, 0, 0, 0])
    assert lines[-1].get_label() == "best, 0.9"


def test_wide_numbers_are_on_a_logarithmic_axis():
    table = {
        "params": [{"rate": r} for r in (0.001, 0.01, 0.1)],
        "mean_test_score": [0.1, 0.3, 0.2],
    }
    lines = [line for line in plot.search(table).lines if list(line.get_xdata()) == [0, 1]]
    middle = next(line for line in lines if line.get_ydata()[1] == 1.0)
    np.testing.assert_allclose(middle.get_ydata()[0], 0.5)
    with pytest.raises(ValueError, match="finite score"):
        plot.search({"params": [{}], "mean_test_score": [np.nan]})
