"""Pictures: what is on them, and that nothing of the network is changed by drawing."""

from __future__ import annotations

import copy
import itertools
import sys

import numpy as np
import pytest
from fastmlp import MLP
from fastmlp.callbacks import ParameterPath
from fastmlp.history import History
from fastmlp.optimizers import SGD

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from fastmlp import plot  # noqa: E402
from fastmlp.plot import _planes  # noqa: E402
from matplotlib import pyplot  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture
def classified():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    net = MLP([2, 8, 3], "tanh", "softmax", dtype=np.float64, random_state=0)
    path = ParameterPath()
    history = net.fit(
        *(x, y),
        epochs=20,
        validation_data=(x, y),
        metrics=["accuracy"],
        callbacks=path,
    )
    return net, x, y, history, path.points


def drawn(ax, folder):
    """The picture can be saved, and is not empty."""
    file = folder / "picture.png"
    ax.figure.savefig(file)
    image = pyplot.imread(file)[..., :3]
    assert image.std() > 0.01
    return ax


# Learning curves


def test_learning_curves_of_one_run(classified, tmp_path):
    _, _, _, history, _ = classified
    loss, accuracy = plot.learning_curves(history)
    drawn(loss, tmp_path)
    training, validation, best = loss.lines
    assert list(training.get_ydata()) == history.loss
    assert list(training.get_xdata()) == list(range(1, 21))
    assert list(validation.get_ydata()) == history.validation_loss
    assert best.get_ydata()[0] == min(history.validation_loss)
    assert list(accuracy.lines[1].get_ydata()) == history.metrics["validation_accuracy"]
    assert accuracy.lines[2].get_ydata()[0] == max(history.metrics["validation_accuracy"])
    assert "lowest" in best.get_label()
    assert "highest" in accuracy.lines[2].get_label()


def test_learning_curves_of_several_runs(classified, tmp_path):
    _, _, _, history, _ = classified
    (ax,) = plot.learning_curves({"one": history, "two": history})
    drawn(ax, tmp_path)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    (ax,) = plot.learning_curves({"a": history}, "validation_accuracy", x="seconds")
    np.testing.assert_allclose(ax.lines[0].get_xdata(), np.cumsum(history.seconds))
    assert list(ax.lines[0].get_ydata()) == history.metrics["validation_accuracy"]


def test_learning_curves_on_given_axes_and_of_curves_with_gaps(tmp_path):
    _, ax = pyplot.subplots()
    history = History(loss=[100.0, 1.0, np.nan], validation_loss=[np.nan, 3.0, 2.0])
    (given,) = plot.learning_curves(history, ax=ax)
    assert given is ax
    assert ax.get_yscale() == "log"
    assert ax.lines[2].get_ydata()[0] == 2.0
    drawn(ax, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((History(),), "no epoch"),
        (({},), "no epoch"),
        (({"a": History(loss=[1.0])}, "validation_loss"), "validation_loss"),
        (({"a": History(loss=[1.0])}, "recall"), "recall"),
    ],
)
def test_wrong_curves(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot.learning_curves(*arguments)


# Decision regions


def test_decision_regions_show_the_networks_choices(classified, tmp_path):
    net, x, y, _, _ = classified
    ax = drawn(plot.decision_regions(net, x, y, labels=("a", "b", "c"), resolution=60), tmp_path)
    image = ax.images[0]
    left, right, bottom, top = image.get_extent()
    colours = np.asarray(image.get_array())
    grid = np.stack(np.meshgrid(np.linspace(left, right, 60), np.linspace(bottom, top, 60)), -1)
    chosen = net.predict_classes(grid.reshape(-1, 2)).reshape(60, 60)
    # Colours of one class differ in their strength only: blue, red and green prevail.
    assert (colours[chosen == 0].argmax(-1) == 2).all()
    assert (colours[chosen == 1].argmax(-1) == 0).all()
    assert (colours[chosen == 2].argmax(-1) == 1).all()
    assert sum(len(points.get_offsets()) for points in ax.collections[-3:]) == 60
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]


@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_decision_regions_of_one_output(output, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    net = MLP([2, 1], output=output, dtype=np.float64, init=[np.array([[1.0], [0.0]])])
    ax = drawn(plot.decision_regions(net, x, x[:, 0] > 0, resolution=50), tmp_path)
    (boundary,) = (c for c in ax.collections if hasattr(c, "levels"))
    for path in boundary.get_paths():
        # Interpolated linearly between points 0.1 apart.
        np.testing.assert_allclose(path.vertices[:, 0], 0, atol=1e-4)


def test_decision_regions_need_two_inputs():
    with pytest.raises(ValueError, match="two inputs"):
        plot.decision_regions(MLP([3, 2]), np.ones((4, 3)))


# Weights


def test_weight_images_are_the_weights(tmp_path):
    net = MLP([12, 7, 2], random_state=0)
    net.weights[0] *= np.arange(1, 8)
    ax = drawn(plot.weight_images(net, (3, 4), n_images=5), tmp_path)
    canvas = np.asarray(ax.images[0].get_array())
    strongest = np.argsort(-np.linalg.norm(net.weights[0], axis=0))[:5]
    first = net.weights[0][:, strongest[0]].reshape(3, 4)
    np.testing.assert_allclose(canvas[:3, :4], first, rtol=1e-6)
    assert "5 of 7" in ax.get_title(loc="left")
    low, high = ax.images[0].get_clim()
    assert low == -high


def test_weight_images_need_a_shape():
    with pytest.raises(ValueError, match="3 × 3"):
        plot.weight_images(MLP([12, 2]))


# Surfaces


def line():
    """A network of two parameters, whose loss is a paraboloid, and a descent on it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 1))
    y = 1.5 * x[:, 0] - 0.7
    net = MLP([1, 1], dtype=np.float64, init=[np.array([[-1.0]])])
    path = ParameterPath()
    net.fit(x, y, optimizer=SGD(0.2), batch_size="full", epochs=15, callbacks=path)
    return net, x, y, path.points


def test_surface_over_two_parameters(tmp_path):
    net, x, y, points = line()
    before = net.parameters.copy()
    ax = drawn(
        plot.loss_surface(net, x, y, directions=(0, 1), path=points, resolution=25), tmp_path
    )
    assert np.array_equal(net.parameters, before)
    assert ax.get_aspect() == 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$W^1_{0,0}$", "$b^1_{0}$")
    descent = next(artist for artist in ax.lines if artist.get_label() == "descent")
    np.testing.assert_allclose(descent.get_xydata(), np.array(points), atol=1e-12)
    # The path lies within the picture.
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert all(left < a < right and bottom < b < top for a, b in points)


def test_steps_of_gradient_descent_are_orthogonal_to_the_contours():
    net, x, y, points = line()
    plane = _planes.choose(net, (0, 1), None, None)
    for now, after in itertools.pairwise(points):
        gradient = plane.gradient(net, x, y, None, now)
        # A step is parallel to the gradient, and along the contour the loss does not change.
        step = after - now
        assert abs(gradient[0] * step[1] - gradient[1] * step[0]) < 1e-12
        along = 1e-4 * np.array([-gradient[1], gradient[0]])
        a, b = (
            float(plane.losses(net, x, y, None, *(np.array([c]) for c in now + sign * along))[0, 0])
            for sign in (1, -1)
        )
        assert abs(a - b) < 1e-10


def test_arrows_are_the_slopes_of_the_surface(classified):
    net, x, y, _, points = classified
    plane = _planes.choose(net, "path", np.array(points), None)
    place = plane.coordinates(np.array(points))[7]
    h = 1e-5
    a, b = np.array([place[0] - h, place[0] + h]), np.array([place[1] - h, place[1] + h])
    across = plane.losses(net, x, y, None, a, place[1:])[0]
    up = plane.losses(net, x, y, None, place[:1], b)[:, 0]
    slopes = [(across[1] - across[0]) / (2 * h), (up[1] - up[0]) / (2 * h)]
    np.testing.assert_allclose(plane.gradient(net, x, y, None, place), slopes, atol=1e-7)


def test_surface_over_random_directions_is_filter_normalised(classified, tmp_path):
    net, x, y, _, points = classified
    plane = _planes.choose(net, "random", None, 3)
    for direction in plane.directions:
        weights, biases = net.architecture.views(direction)
        assert not any(b.any() for b in biases)
        for d, w in zip(weights, net.weights, strict=True):
            np.testing.assert_allclose(
                np.linalg.norm(d, axis=0), np.linalg.norm(w, axis=0), rtol=1e-12
            )
    again = _planes.choose(net, "random", None, 3)
    assert np.array_equal(plane.directions, again.directions)
    ax = plot.loss_surface(net, x, y, path=points, resolution=9)
    drawn(ax, tmp_path)
    value = plane.losses(net, x, y, None, np.zeros(1), np.zeros(1))[0, 0]
    assert value == pytest.approx(net.loss(x, y), rel=1e-12)


def test_surface_along_the_path_and_along_given_vectors(classified, tmp_path):
    net, x, y, _, points = classified
    ax = drawn(plot.loss_surface(net, x, y, directions="path", path=points, resolution=9), tmp_path)
    assert "principal component 1" in ax.get_xlabel()
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(2, net.parameters.size))
    ax = plot.loss_surface(net, x, y, directions=pair, span=0.5, resolution=9, gradients=0)
    assert ax.get_xlim() == (-0.5, 0.5)
    plane = _planes.choose(net, pair, None, None)
    place = np.array([[0.3, -0.2]])
    np.testing.assert_allclose(plane.coordinates(plane.point(0.3, -0.2)[None]), place, atol=1e-12)


def test_names_of_parameters():
    net = MLP([2, 3, 1])
    names = [_planes._name(net, i) for i in range(13)]
    assert names[0] == "$W^1_{0,0}$"
    assert names[5] == "$W^1_{1,2}$"
    assert names[6] == "$W^2_{0,0}$"
    assert names[9] == "$b^1_{0}$"
    assert names[12] == "$b^2_{0}$"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directions": "steepest"}, "steepest"),
        ({"directions": "path"}, "three points"),
        ({"directions": (0, 0)}, "different"),
        ({"directions": (0, 99)}, "different"),
        ({"directions": (0, 1, 2)}, "two"),
        ({"directions": np.ones((2, 2))}, "independent"),
        ({"path": [np.ones(5)]}, "2 parameters"),
    ],
)
def test_wrong_surfaces(options, message):
    net, x, y, _ = line()
    with pytest.raises(ValueError, match=message):
        plot.loss_surface(net, x, y, **options)


def test_surface_needs_a_loss_that_varies():
    net = MLP([1, 1], dtype=np.float64, init="zeros")
    with pytest.raises(ValueError, match="vary"):
        plot.loss_surface(net, [[0.0]], [0.0], resolution=5)


# The package


def test_without_matplotlib_the_extra_is_named(monkeypatch, classified):
    net, x, y, history, _ = classified
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        lambda: plot.learning_curves(history),
        lambda: plot.decision_regions(net, x, y),
        lambda: plot.weight_images(net, (1, 2)),
        lambda: plot.loss_surface(net, x, y),
    ):
        with pytest.raises(ImportError, match=r"fastmlp\[plot\]"):
            draw()


def test_drawing_uses_no_random_numbers_of_the_network(classified):
    net, x, y, history, _ = classified
    state = copy.deepcopy(net._generator.bit_generator.state)
    plot.loss_surface(net, x, y, resolution=5)
    plot.learning_curves(history)
    assert net._generator.bit_generator.state == state
