"""What pictures are given: colours for every class, and errors that name what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP
from fastmlp.callbacks import ParameterPath

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from fastmlp import plot  # noqa: E402
from fastmlp.plot import _style  # noqa: E402
from matplotlib import pyplot  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture
def net():
    return MLP([2, 4, 3], output="softmax", random_state=0)


X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.arange(12) % 3


@pytest.mark.parametrize("n", [2, 8, 10, 23])
def test_every_class_has_its_own_colour(n):
    colours = {matplotlib.colors.to_hex(colour) for colour in _style.class_colours(n)}
    assert len(colours) == n


def test_regions_of_ten_classes_differ():
    net = MLP([2, 10], output="softmax", random_state=0)
    labels = np.arange(40) % 10
    ax = plot.decision_regions(net, np.random.default_rng(1).normal(size=(40, 2)), labels)
    faces = [
        tuple(points.get_facecolor()[0])
        for points in ax.collections
        if points.get_label()[0] != "_"
    ]
    assert len(faces) == len(set(faces)) == 10


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"X": X * np.nan}, ValueError, "X must be finite"),
        ({"X": X[:0]}, ValueError, "X has no rows"),
        ({"y": Y[:5]}, ValueError, "same number of rows"),
        ({"y": Y + 5}, ValueError, r"y must hold classes 0…2, got \[5 6 7\]"),
        ({"y": np.array(["a"] * 12)}, TypeError, "y must hold real numbers"),
        ({"labels": ("a", "b")}, ValueError, "labels must name 3 classes, got 2"),
        ({"resolution": 1}, ValueError, "resolution must be at least 2"),
    ],
)
def test_regions_name_what_does_not_fit(net, options, error, message):
    with pytest.raises(error, match=message):
        plot.decision_regions(net, **{"X": X, "y": Y, **options})
    assert not pyplot.get_fignums()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": []}, ValueError, "path must hold vectors"),
        ({"path": ParameterPath()}, ValueError, "path must hold vectors"),
        ({"path": [np.ones(3)]}, ValueError, "vectors of 27 parameters"),
        ({"levels": 0}, ValueError, "levels must be at least 1"),
        ({"resolution": 2.5}, TypeError, "resolution must be an integer"),
        ({"span": "a"}, TypeError, "span must be a number"),
        ({"span": -1.0}, ValueError, "span must be positive"),
    ],
)
def test_surfaces_name_what_does_not_fit(net, options, error, message):
    with pytest.raises(error, match=message):
        plot.loss_surface(net, X, Y, **options)
    assert not pyplot.get_fignums()


def test_a_path_is_taken_as_the_callback_that_kept_it(net):
    path = ParameterPath()
    net.fit(X, Y, epochs=3, callbacks=path)
    pictures = [
        plot.loss_surface(net, X, Y, path=given, resolution=5) for given in (path, path.points)
    ]
    lines = [[line.get_xydata() for line in ax.lines] for ax in pictures]
    assert len(lines[0]) == len(lines[1]) > 0
    for one, other in zip(*lines, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_images": 0}, "n_images must be at least 1"),
        ({"layer": 9}, r"layer must lie in 0…1, got 9"),
        ({"layer": -1}, "layer must not be negative"),
        ({"shape": (0, 2)}, "shape must be at least 1"),
    ],
)
def test_weight_images_name_what_does_not_fit(net, options, message):
    with pytest.raises(ValueError, match=message):
        plot.weight_images(net, **{"shape": (1, 2), **options})
    assert not pyplot.get_fignums()


@pytest.mark.parametrize("thing", [None, 3, ["loss"]])
def test_curves_are_of_histories(thing):
    with pytest.raises(TypeError, match="history must be a History or a dict"):
        plot.learning_curves(thing)


def test_a_single_epoch_has_whole_ticks(net):
    (ax,) = plot.learning_curves(net.fit(X, Y, epochs=1))
    ax.figure.canvas.draw()
    shown = [t for t in ax.get_xticks() if ax.get_xlim()[0] <= t <= ax.get_xlim()[1]]
    assert shown == [1]
