"""The estimators: what they learn, how they go on, and that fitted arrays are the truth."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
from problems import blobs, classifier, curve, regressor

# Most tests stop training early on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


# Learning


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("names", [["b", "a"], ["x", "z", "y"], [5, -1, 7, 2]])
def test_classes_of_any_kind(backend, solver, names):
    if solver == "lbfgs":
        pytest.importorskip("scipy")
    x, indices = blobs(classes=len(names))
    y = np.array(names)[indices]
    model = classifier(solver=solver, learning_rate_init=0.05, max_iter=60).fit(x, y)
    assert model.score(x, y) > 0.97
    assert list(model.classes_) == sorted(names)
    assert model.n_outputs_ == (1 if len(names) == 2 else len(names))
    assert model.out_activation_ == ("logistic" if len(names) == 2 else "softmax")
    assert (model.n_layers_, model.n_features_in_) == (3, 4)
    proba = model.predict_proba(x)
    assert proba.shape == (len(x), len(names))
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-12)
    assert (model.classes_[proba.argmax(1)] == model.predict(x)).all()


def test_multilabel(backend):
    x, _ = blobs()
    y = np.column_stack([x[:, 0] > 0, x[:, 1] > 0, x[:, 2] + x[:, 3] > 0]).astype(int)
    model = classifier(learning_rate_init=0.03, max_iter=150).fit(x, y)
    assert model.score(x, y) > 0.9
    assert model.predict(x).shape == y.shape
    assert model.out_activation_ == "logistic"
    assert list(model.classes_) == [0, 1, 2]
    np.testing.assert_array_equal(model.predict(x), model.predict_proba(x) > 0.5)


@pytest.mark.covers("backend solver", "outputs solver")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("outputs", [3, 1])
def test_regression(backend, solver, outputs):
    if solver == "lbfgs":
        pytest.importorskip("scipy")
    x, y = curve(outputs=outputs)
    model = regressor(solver=solver, activation="tanh", learning_rate_init=0.03, max_iter=200)
    model.set_params(batch_size=20).fit(x, y)
    assert model.score(x, y) > 0.9
    assert model.predict(x).shape == y.shape
    assert model.n_outputs_ == outputs
    assert model.out_activation_ == "identity"


def test_one_class_is_predicted_always():
    x, _ = blobs()
    model = classifier(max_iter=2).fit(x, ["only"] * len(x))
    assert set(model.predict(x)) == {"only"}


def test_a_column_of_targets_warns():
    x, y = blobs()
    with pytest.warns(UserWarning, match="column-vector"):
        model = classifier(max_iter=2).fit(x, y[:, None])
    assert np.array_equal(model.predict(x), classifier(max_iter=2).fit(x, y).predict(x))
    x, y = curve()
    with pytest.warns(UserWarning, match="column-vector"):
        assert regressor(max_iter=2).fit(x, y[:, None]).predict(x).shape == y.shape


@pytest.mark.parametrize("model", [classifier(max_iter=3), regressor(max_iter=3)], ids=repr)
def test_float32_stays_float32(model):
    x, y = blobs()
    model.fit(x.astype(np.float32), y)
    assert {p.dtype for p in model.coefs_ + model.intercepts_} == {np.dtype(np.float32)}
    assert model._outputs(x.astype(np.float32)).dtype == np.float32
    assert model._outputs(x).dtype == np.float64


def test_log_probabilities_are_finite_where_probabilities_are_not():
    for classes in (2, 3):
        x, y = blobs(classes=classes)
        model = classifier(max_iter=3).fit(x, y)
        np.testing.assert_allclose(
            model.predict_log_proba(x), np.log(model.predict_proba(x)), rtol=1e-9, atol=1e-12
        )
        model.coefs_[-1] *= 1e4
        assert (model.predict_proba(x) == 0).any()
        assert np.isfinite(model.predict_log_proba(x)).all()


# Going on


def test_partial_fit_goes_on_where_it_was():
    x, y = blobs()
    for solver in ("adam", "sgd"):
        options = {"solver": solver, "shuffle": False, "batch_size": 20}
        whole = classifier(max_iter=4, **options).fit(x, y)
        parts = classifier(**options)
        for _ in range(4):
            parts.partial_fit(x, y, classes=[0, 1, 2])
        assert parts.loss_curve_ == whole.loss_curve_
        assert np.array_equal(parts.predict_proba(x), whole.predict_proba(x))
        assert parts.t_ == whole.t_


def test_partial_fit_with_a_part_of_the_classes():
    x, y = blobs()
    model = classifier().partial_fit(x[y < 2], y[y < 2], classes=[0, 1, 2])
    assert model.predict_proba(x).shape == (len(x), 3)
    with pytest.raises(ValueError, match="not in"):
        model.partial_fit(x, y + 1)
    with pytest.raises(ValueError, match="not the same"):
        model.partial_fit(x, y, classes=[0, 1])
    model.partial_fit(x[y > 1], y[y > 1])
    assert len(model.loss_curve_) == 2


def test_partial_fit_exists_for_stochastic_solvers_only():
    assert hasattr(classifier(), "partial_fit")
    for model in (classifier(solver="lbfgs"), regressor(solver="lbfgs")):
        assert not hasattr(model, "partial_fit")


def test_warm_start_goes_on_and_a_cold_start_does_not():
    x, y = blobs()
    model = classifier(max_iter=5, warm_start=True).fit(x, y)
    first = list(model.loss_curve_)
    model.fit(x, y)
    assert model.loss_curve_[:5] == first
    assert len(model.loss_curve_) == 10
    assert model.loss_curve_[-1] < first[-1]
    with pytest.raises(ValueError, match="same classes"):
        model.fit(x, y % 2)
    model.set_params(warm_start=False).fit(x, y)
    assert model.loss_curve_ == first


# Fitted arrays belong to the caller


def forward(model, x):
    a = x
    for w, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        a = np.tanh(a @ w + b)
    return (a @ model.coefs_[-1] + model.intercepts_[-1])[:, 0]


def test_edits_and_replacements_take_effect(backend):
    x, y = curve()
    model = regressor(activation="tanh", max_iter=3).fit(x, y)
    seen = []

    def check():
        np.testing.assert_allclose(model.predict(x), forward(model, x), rtol=1e-10, atol=1e-12)
        seen.append(model.predict(x))

    check()
    model.coefs_[0][1, 2] += 1
    check()
    mine = np.asfortranarray(model.coefs_[0] * 2)
    model.coefs_[0] = mine
    check()
    mine[0, 0] += 3
    check()
    model.intercepts_ = [b + 1 for b in model.intercepts_]
    check()
    model.coefs_ = [w.astype(np.float32) for w in model.coefs_]
    model.coefs_[1][:] *= 2
    check()
    for before, after in itertools.pairwise(seen):
        assert abs(before - after).max() > 1e-3
    before = model.coefs_[0].copy()
    model.partial_fit(x, y)
    assert 0 < abs(model.coefs_[0] - before).max() < 0.1
    check()


def test_arrays_that_do_not_fit_are_named():
    x, y = curve()
    model = regressor(max_iter=2).fit(x, y)
    model.coefs_[1] = np.ones((5, 1))
    with pytest.raises(ValueError, match=r"\(3, 8\), \(5, 1\)"):
        model.predict(x)


def test_an_estimator_that_was_never_fitted_predicts_from_assigned_arrays():
    x, y = blobs()
    fitted = classifier(max_iter=5).fit(x, y)
    assigned = classifier()
    for name in ("coefs_", "intercepts_", "classes_", "out_activation_", "n_outputs_", "n_layers_"):
        setattr(assigned, name, getattr(fitted, name))
    assert np.array_equal(assigned.predict_proba(x), fitted.predict_proba(x))
    assert np.array_equal(assigned.predict(x), fitted.predict(x))


@pytest.mark.parametrize(
    "duplicate", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy]
)
def test_copies_are_independent_and_small(duplicate):
    x, y = blobs()
    model = classifier(hidden_layer_sizes=(200, 50), max_iter=3, pickle_optimizer=False).fit(x, y)
    other = duplicate(model)
    assert np.array_equal(other.predict_proba(x), model.predict_proba(x))
    other.coefs_[0][:] = 0
    assert not np.array_equal(other.predict_proba(x), model.predict_proba(x))
    other.partial_fit(x, y)
    size = sum(p.nbytes for p in model.coefs_ + model.intercepts_)
    assert len(pickle.dumps(model)) < 1.1 * size
