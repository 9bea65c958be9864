"""Pictures of estimators, as of the networks that they hold."""

from __future__ import annotations

import fastmlp
import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from fastmlp import plot  # noqa: E402
from fastmlp.plot import _models  # noqa: E402
from matplotlib import pyplot  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
NAMES = np.array(["no", "yes", "maybe"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 1)]


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def classifier(y, **options):
    options = {"solver": "lbfgs", "max_iter": 500, "tol": 1e-2, "random_state": 0, **options}
    return fastmlp.MLPClassifier((4,), **options).fit(X, y)


def test_regions_are_those_of_predict_and_labels_have_their_names():
    for y in (NAMES, np.where(X[:, 0] > 0, 7, 3)):
        model = classifier(y)
        ax = plot.decision_regions(model, X, y, resolution=20)
        legend = [text.get_text() for text in ax.get_legend().get_texts()]
        assert legend == [str(label) for label in np.unique(y)]
        network = _models.subject(model).network
        predicted = model.classes_[network.predict_classes(X)]
        np.testing.assert_array_equal(predicted, model.predict(X))
    with pytest.raises(ValueError, match="labels among"):
        plot.decision_regions(model, X, NAMES, resolution=20)


def test_one_label_only():
    model = fastmlp.MLPClassifier((4,), solver="lbfgs", max_iter=500).fit(X, np.full(40, "yes"))
    plot.decision_regions(model, X, np.full(40, "yes"), resolution=20)


@pytest.mark.parametrize("kind", ["classifier", "hinge", "regressor"])
def test_the_surface_is_that_of_the_estimators_loss(kind):
    if kind == "regressor":
        y = X[:, 0]
        model = fastmlp.MLPRegressor(
            loss="huber",
            hidden_layer_sizes=(4,),
            solver="lbfgs",
            max_iter=500,
            tol=1e-2,
            alpha=0,
        ).fit(X, y)
    else:
        y = NAMES
        model = classifier(y, alpha=0, loss="hinge" if kind == "hinge" else "log_loss")
    plot.loss_surface(model, X, y, resolution=5)
    subject = _models.subject(model)
    value = subject.network.loss(X, subject.target(y), subject.loss)
    assert value == pytest.approx(model.loss_, rel=1e-6)


def test_weights_and_what_is_no_model():
    model = classifier(NAMES)
    ax = plot.weight_images(model, (1, 2))
    assert ax.images[0].get_array().size
    for thing in (3, "net"):
        with pytest.raises(TypeError, match="pictures are of"):
            plot.weight_images(thing, (1, 2))
    with pytest.raises(ValueError, match="not fitted"):
        plot.weight_images(fastmlp.MLPClassifier((4,)))


def test_models_of_scikit_learn_are_drawn_too():
    theirs = pytest.importorskip("sklearn.neural_network")
    model = theirs.MLPClassifier((4,), solver="lbfgs", max_iter=500, tol=1e-2).fit(X, NAMES)
    plot.decision_regions(model, X, NAMES, resolution=20)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_curves_of_estimators_are_arrays_of_panels():
    model = fastmlp.MLPClassifier((4,), max_iter=3, random_state=0).fit(X, NAMES)
    panels = plot.learning_curves(model)
    assert isinstance(panels, np.ndarray)
    assert panels.shape == (1,)
    assert list(panels[0].lines[0].get_ydata()) == model.loss_curve_
    watched = fastmlp.MLPClassifier((4,), max_iter=3, early_stopping=True, random_state=0)
    watched.fit(X, NAMES == "yes")
    panels = plot.learning_curves(watched)
    assert panels.shape == (2,)
    assert list(panels[0].lines[1].get_ydata()) == watched.validation_loss_curve_
    assert list(panels[1].lines[0].get_ydata()) == watched.validation_scores_
    several = plot.learning_curves({"one": model, "two": watched})
    assert several.shape == (1,)
    with pytest.raises(TypeError, match="loss_curve_"):
        plot.learning_curves(classifier(NAMES))


def test_the_best_point_is_marked_where_it_is_known_which_way_is_better():
    from fastmlp import History

    for name, marked in (("mape", "lowest"), ("auc", "highest"), ("lift", None)):
        run = History([1.0, 2.0], [1.0, 2.0])
        run.metrics |= {name: [1.0, 2.0], f"validation_{name}": [1.0, 2.0]}
        lines = plot.learning_curves(run)[1].lines
        labels = [line.get_label() for line in lines[2:]]
        assert len(labels) == (marked is not None)
        assert all(marked in label for label in labels)


def test_images_are_advised_to_become_rows():
    net = fastmlp.MLP([16, 3, 1])
    with pytest.raises(ValueError, match=r"X\.reshape\(len\(X\), -1\)"):
        net.predict(np.zeros((5, 4, 4)))
    with pytest.raises(TypeError, match=r"must be integers, got \[3\.5\]"):
        fastmlp.MLPClassifier((3.5,)).fit(X, NAMES)
