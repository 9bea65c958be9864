"""Folds and searches: scores are those of single fits, and what goes on is not trained anew."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.model_selection import MLPSearchCV, cross_validate, loguniform
from fastmlp.model_selection._folds import _plain_splits
from fastmlp.model_selection._halving import rounds

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
LABELS = np.array(["no", "yes", "often"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 1)]
VALUES = X[:, 0] - X[:, 2] ** 2
CLASSIFIER = MLPClassifier(8, max_iter=6, random_state=0, learning_rate_init=0.02)
REGRESSOR = MLPRegressor(hidden_layer_sizes=6, max_iter=9, random_state=0, tol=0)


@pytest.mark.parametrize(("model", "y"), [(CLASSIFIER, LABELS), (REGRESSOR, VALUES)])
def test_scores_are_those_of_scikit_learn(model, y):
    theirs = pytest.importorskip("sklearn.model_selection")
    options = {"cv": 4, "return_train_score": True}
    expected = theirs.cross_validate(model, X, y, **options)
    found = cross_validate(model, X, y, return_estimator=True, n_threads=2, **options)
    for name in ("test_score", "train_score"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-12)
    assert {len(found[name]) for name in ("fit_time", "score_time", "estimator")} == {4}
    assert found["estimator"][0] is not found["estimator"][1]


def test_weights_reach_fits_and_scores():
    weight = np.where(LABELS == "no", 5.0, 0.5)
    fold = [(np.arange(100), np.arange(100, 150))]
    found = cross_validate(CLASSIFIER, X, LABELS, cv=fold, sample_weight=weight)
    alone = MLPClassifier(**CLASSIFIER.get_params()).fit(X[:100], LABELS[:100], weight[:100])
    expected = alone.score(X[100:], LABELS[100:], sample_weight=weight[100:])
    assert found["test_score"][0] == pytest.approx(expected)
    named = cross_validate(REGRESSOR, X, VALUES, scoring="neg_mean_squared_error")
    assert (named["test_score"] < 0).all()


def test_plain_folds():
    """Without scikit-learn: every row is tested once, and classes get their shares."""
    pairs = list(_plain_splits(3, LABELS, True))
    assert np.array_equal(np.sort(np.concatenate([test for _, test in pairs])), np.arange(150))
    for train, test in pairs:
        assert len(np.intersect1d(train, test)) == 0
        for label in set(LABELS):
            assert abs((LABELS[test] == label).sum() - (label == LABELS).sum() / 3) <= 1
    blocks = [test for _, test in _plain_splits(4, VALUES, False)]
    assert [len(test) for test in blocks] == [38, 37, 38, 37]
    with pytest.raises(ValueError, match="cv must lie in 2…150"):
        list(_plain_splits(1, VALUES, False))


def test_whole_search_is_that_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.model_selection")
    grid = {"alpha": [0.0, 0.1], "learning_rate_init": [1e-6, 0.02]}
    ours = MLPSearchCV(CLASSIFIER, grid, cv=3, halving=False, return_train_score=True)
    ours.fit(X, LABELS)
    reference = theirs.GridSearchCV(CLASSIFIER, grid, cv=3, return_train_score=True)
    reference.fit(X, LABELS)
    assert ours.best_params_ == reference.best_params_
    assert ours.best_index_ == reference.best_index_
    assert ours.best_score_ == pytest.approx(reference.best_score_)
    assert set(ours.cv_results_) == set(reference.cv_results_)
    for name, values in reference.cv_results_.items():
        if name == "params" or name.startswith("param_"):
            assert list(ours.cv_results_[name]) == list(values)
        elif "time" not in name:
            np.testing.assert_allclose(ours.cv_results_[name], values)
    assert np.array_equal(ours.predict(X), reference.predict(X))
    assert ours.score(X, LABELS) == pytest.approx(reference.score(X, LABELS))
    assert ours.classes_.tolist() == ["no", "often", "yes"]
    assert ours.n_features_in_ == 4


@pytest.mark.parametrize(
    ("n", "epochs", "factor", "expected"),
    [
        (27, 81, 3, [(27, 3), (9, 9), (3, 27), (1, 81)]),
        (64, 100, 4, [(64, 2), (16, 6), (4, 25), (1, 100)]),
        (1, 10, 3, [(1, 10)]),
        (9, 3, 3, [(9, 1), (1, 3)]),
    ],
)
def test_rounds(n, epochs, factor, expected):
    assert rounds(n, epochs, factor) == expected


def test_halving_goes_on_where_it_was(monkeypatch):
    """What the last round has scored are networks of as many epochs, and none had one twice."""
    calls = []
    go_on = MLPRegressor._go_on
    monkeypatch.setattr(
        MLPRegressor,
        "_go_on",
        lambda self, *rest: (calls.append(rest[-1]), go_on(self, *rest))[1],
    )
    space = {"learning_rate_init": loguniform(1e-5, 1e-1), "alpha": [0.0, 1e-3]}
    search = MLPSearchCV(REGRESSOR, space, 9, cv=2, random_state=0, n_threads=2)
    search.fit(X, VALUES)
    assert (search.n_candidates_, search.n_resources_) == ([9, 3, 1], [1, 3, 9])
    assert sum(calls) == 2 * (9 * 1 + 3 * 2 + 1 * 6)
    table = search.cv_results_
    assert table["iter"].tolist() == [0] * 9 + [1] * 3 + [2]
    assert search.best_index_ == 12
    # The survivors of a round are the best of it.
    first = table["mean_test_score"][:9]
    survivors = [table["params"][:9].index(one) for one in table["params"][9:12]]
    assert set(survivors) == set(np.argsort(first)[-3:])
    scores = []
    for half in (slice(75, None), slice(0, 75)):
        model = MLPRegressor(**{**REGRESSOR.get_params(), **search.best_params_})
        model.set_params(max_iter=9, n_iter_no_change=100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X[half], VALUES[half])
        other = slice(0, 75) if half.start else slice(75, None)
        scores.append(model.score(X[other], VALUES[other]))
    assert search.best_score_ == pytest.approx(np.mean(scores), abs=1e-12)
    assert search.best_estimator_.get_params()["alpha"] == search.best_params_["alpha"]


GOING_ON = {
    "adam": {},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "in order": {"shuffle": False},
    "schedule": {"schedule": "inverse_time"},
    "random state": {"random_state": np.random.RandomState(3)},
}


@pytest.mark.parametrize("name", GOING_ON)
def test_epochs_of_some_calls_are_those_of_one_fit(name):
    given = {"batch_size": 16, "random_state": 2, "n_threads": 1, "max_iter": 9, **GOING_ON[name]}
    given |= {"n_iter_no_change": 2 if name == "adaptive" else 100}
    one, other = (copy.deepcopy(MLPClassifier((5,), **given)) for _ in range(2))
    for epochs in (2, 1, 6):
        one._go_on(X, LABELS, None, np.unique(LABELS), epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other.fit(X, LABELS)
    assert np.array_equal(one._packed(), other._packed())
    assert one.loss_curve_ == other.loss_curve_
    assert one.t_ == other.t_


def test_a_plateau_does_not_end_a_candidate():
    model = MLPClassifier((5,), n_iter_no_change=1, tol=10.0, random_state=0, n_threads=1)
    for epochs in (4, 3):
        model._go_on(X, LABELS, None, np.unique(LABELS), epochs)
    assert len(model.loss_curve_) == 7


def test_equal_seeds_give_equal_searches_on_any_number_of_threads():
    space = {"learning_rate_init": loguniform(1e-5, 1e-1), "hidden_layer_sizes": [4, (8, 8)]}
    found = []
    for n_threads in (1, 3):
        search = MLPSearchCV(CLASSIFIER, space, 6, cv=2, random_state=3, n_threads=n_threads)
        found.append(search.fit(X, LABELS).cv_results_["mean_test_score"])
    assert np.array_equal(*found)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"estimator": 3}, TypeError, "must be an MLPClassifier"),
        ({"space": {"rate": [1]}}, ValueError, "parameters of MLPClassifier, got 'rate'"),
        ({"space": {"alpha": loguniform(1, 2)}}, ValueError, "n_candidates says"),
        ({"space": {"max_iter": [1]}}, ValueError, "max_iter is what is halved"),
        ({"space": {"solver": ["lbfgs"]}}, ValueError, "set halving=False"),
        ({"space": {"early_stopping": [True]}}, ValueError, "no early_stopping"),
        ({"factor": 1}, ValueError, "factor must be above 1"),
        ({"n_candidates": 0}, ValueError, "n_candidates"),
    ],
)
def test_wrong_arguments(options, kind, message):
    given = {"estimator": CLASSIFIER, "space": {"alpha": [0, 1]}, **options}
    with pytest.raises(kind, match=message):
        MLPSearchCV(**given).fit(X, LABELS)


def test_without_refit_there_is_no_best_estimator():
    search = MLPSearchCV(CLASSIFIER, {"alpha": [0.1]}, cv=2, refit=False).fit(X, LABELS)
    with pytest.raises(ValueError, match="refit is False"):
        search.predict(X)
    assert not hasattr(search, "n_features_in_")
    with pytest.raises(AttributeError, match="decision_function"):
        search.decision_function(X)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.sweep)])
def test_scikit_learns_searches_in_parallel(backend):
    """The same scores as one after another; loky starts processes, which takes seconds."""
    theirs = pytest.importorskip("sklearn.model_selection")
    joblib = pytest.importorskip("joblib")
    from sklearn.ensemble import BaggingRegressor

    space = {"alpha": [0.0, 0.1], "learning_rate_init": [1e-3, 2e-2]}
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n_jobs in (1, 2):
            with joblib.parallel_config(backend, n_jobs=n_jobs):
                grid = theirs.GridSearchCV(CLASSIFIER, space, cv=2).fit(X, LABELS)
                bag = BaggingRegressor(REGRESSOR, 3, random_state=0).fit(X, VALUES)
                found.append((grid.cv_results_["mean_test_score"], bag.predict(X)))
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_scikit_learns_halving_search():
    pytest.importorskip("sklearn")
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    search = HalvingRandomSearchCV(
        CLASSIFIER,
        {"learning_rate_init": loguniform(1e-4, 1e-1)},
        n_candidates=3,
        resource="max_iter",
        max_resources=6,
        cv=2,
        random_state=0,
    )
    search.fit(X, LABELS)
    assert search.best_params_["learning_rate_init"] > 0
