"""Inside scikit-learn's own machinery: pipelines, searches, ensembles, callbacks, routing, repr."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor

pytest.importorskip("sklearn")

import joblib
import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


def blobs(n=150, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return 3 * np.eye(classes, 4)[labels] + rng.normal(size=(n, 4)), labels


def classifier(**options):
    defaults = {"hidden_layer_sizes": (8,), "learning_rate_init": 0.05, "max_iter": 20}
    return MLPClassifier(**{**defaults, "random_state": 0, **options})


def test_kind_and_clone():
    model = classifier(callbacks=[], class_weight={0: 2.0})
    assert is_classifier(model)
    assert is_regressor(MLPRegressor())
    assert clone(model).get_params() == model.get_params()


def test_pipeline():
    x, y = blobs()
    model = make_pipeline(StandardScaler(), classifier()).fit(
        x, y, mlpclassifier__sample_weight=y + 1
    )
    assert model.score(x, y) > 0.85
    assert model[-1].n_features_in_ == 4


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_grid_search_in_two_jobs(backend):
    x, y = blobs()
    search = GridSearchCV(classifier(), {"hidden_layer_sizes": [(1,), (10,)]}, cv=3, n_jobs=2)
    with joblib.parallel_backend(backend):
        search.fit(x, y)
    assert search.best_params_ == {"hidden_layer_sizes": (10,)}
    alone = GridSearchCV(classifier(), {"hidden_layer_sizes": [(1,), (10,)]}, cv=3).fit(x, y)
    for name in ("mean_test_score", "std_test_score"):
        assert np.array_equal(search.cv_results_[name], alone.cv_results_[name])


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_calibration(loss):
    x, y = blobs()
    model = CalibratedClassifierCV(classifier(loss=loss), cv=3).fit(x, y)
    np.testing.assert_allclose(model.predict_proba(x).sum(1), 1, rtol=1e-6)
    assert model.score(x, y) > 0.85


def test_ensembles():
    x, y = blobs()
    bagged = BaggingClassifier(classifier(), n_estimators=3, random_state=0).fit(x, y)
    assert bagged.score(x, y) > 0.85
    boosted = AdaBoostClassifier(classifier(max_iter=3), n_estimators=3, random_state=0).fit(x, y)
    assert boosted.score(x, y) > 0.8
    assert len(boosted.estimators_) == 3
    learner = MLPRegressor(max_iter=5, random_state=0)
    assert (
        len(AdaBoostRegressor(learner, n_estimators=2, random_state=0).fit(x, y).estimators_) == 2
    )
    several = MultiOutputRegressor(learner).fit(x, np.column_stack([y, x[:, 0]]))
    assert several.predict(x).shape == (150, 2)


def test_cross_validation_and_importance():
    x, y = blobs()
    noise = np.column_stack([x, np.zeros(len(x))])
    model = classifier(max_iter=40)
    predicted = cross_val_predict(model, noise, y, cv=3, method="predict_proba")
    assert (predicted.argmax(1) == y).mean() > 0.85
    importance = permutation_importance(model.fit(noise, y), noise, y, random_state=0)
    assert importance.importances_mean[4] == 0
    assert importance.importances_mean[:3].min() > 0
    scores = cross_val_score(
        model, x, y, scoring="neg_log_loss", cv=3, params={"sample_weight": y + 1}
    )
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("names", [[3, 1, 2], ["a", "b", "c"], [True, False], [0.0, 1.0, 5.0]])
def test_scores_are_scikit_learns(names):
    x, y = blobs(classes=len(names))
    y = np.array(names)[y]
    model = classifier(max_iter=3).fit(x, y)
    expected = accuracy_score(y, model.predict(x))
    assert model.score(x, y) == model.score(x, list(y)) == expected
    weight = np.arange(1.0, len(x) + 1)
    weighted = accuracy_score(y, model.predict(x), sample_weight=weight)
    assert model.score(x, y, sample_weight=weight) == weighted
    with pytest.raises(ValueError, match="inconsistent"):
        model.score(x, y[:-1])
    with pytest.raises(ValueError, match="not fitted"):
        classifier().score(x, y)


def test_metadata_routing():
    x, y = blobs()
    with sklearn.config_context(enable_metadata_routing=True):
        weighted = classifier().set_fit_request(sample_weight=True, X_val=True, y_val=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = make_pipeline(scaler, weighted)
        model.fit(x, y, sample_weight=np.where(y == 0, 0.0, 1.0), X_val=x, y_val=y)
        assert len(model[-1].validation_scores_) == model[-1].n_iter_
        assert 0 not in model.predict(x)
        unasked = make_pipeline(scaler, classifier())
        with pytest.raises(ValueError, match="sample_weight"):
            unasked.fit(x, y, sample_weight=np.ones(len(x)))
        asking = classifier().set_partial_fit_request(classes=True)
        assert asking.get_metadata_routing().partial_fit.requests["classes"] is True


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_of_columns(library):
    frames = pytest.importorskip(library)
    x, y = blobs()
    names = ["a", "b", "c", "d"]
    frame = (
        frames.DataFrame(x, columns=names) if library == "pandas" else frames.DataFrame(x, names)
    )
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        pytest.skip(f"scikit-learn {sklearn.__version__} does not see the names of {library}")
    labels = frames.Series(np.array(["x", "y", "z"])[y])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "Stochastic Optimizer")
        model = classifier(early_stopping=True).fit(frame, labels)
        assert list(model.feature_names_in_) == names
        assert model.score(frame, labels) > 0.7
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(x)
    with pytest.raises(ValueError, match="order"):
        model.predict(frame[names[::-1]])
    assert not hasattr(model.fit(x, y), "feature_names_in_")


def test_representations():
    model = classifier(alpha=0.5)
    assert "alpha=0.5" in repr(model)
    assert "n_threads" not in repr(model)
    html = model._repr_html_()
    assert "MLPClassifier" in html
    assert "alpha" in html
    assert "MLPClassifier" in make_pipeline(StandardScaler(), model)._repr_html_()


def test_joblib_files_and_memory_maps(tmp_path):
    x, y = blobs()
    model = classifier().fit(x, y)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    for mode in (None, "r"):
        again = joblib.load(path, mmap_mode=mode)
        assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
        again.partial_fit(x, y)


def test_pickles_with_and_without_the_optimizer():
    x, y = blobs()
    losses = {}
    for keep in (False, True):
        model = classifier(pickle_optimizer=keep, hidden_layer_sizes=(1000,)).fit(x, y)
        size = sum(p.nbytes for p in model.coefs_ + model.intercepts_)
        data = pickle.dumps(model)
        assert len(data) < (3.1 if keep else 1.1) * size
        again = pickle.loads(data)
        assert again._optimizer.rate == model._optimizer.rate
        losses[keep] = [m.partial_fit(x, y).partial_fit(x, y).loss_ for m in (again, model)]
    assert losses[True][0] == losses[True][1] == losses[False][1]
    assert losses[False][0] != losses[False][1]
    model = classifier().fit(x, y)
    copied = copy.deepcopy(model)
    assert (
        copied.partial_fit(x, y).partial_fit(x, y).loss_
        == model.partial_fit(x, y).partial_fit(x, y).loss_
    )


def test_parameters_are_not_checked_where_that_is_switched_off():
    x, y = blobs()
    with sklearn.config_context(skip_parameter_validation=True):
        classifier(verbose="").fit(x, y)
    with pytest.raises(ValueError, match="verbose"):
        classifier(verbose="").fit(x, y)


# The callback protocol of scikit-learn 1.9


class Recorder:
    """Notes the hooks as they are called, and stops after some epochs."""

    def __init__(self, epochs=None):
        self.calls, self.scores, self.epochs = [], [], epochs

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X, y))
        return self.epochs is not None and len(self.scores) >= self.epochs


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks(solver):
    pytest.importorskip("sklearn.callback")
    x, y = blobs()
    recorder = Recorder()
    model = classifier(solver=solver, max_iter=3).set_callbacks(recorder).fit(x, y)
    epochs = ["begin epoch", "end epoch"] * model.n_iter_
    assert recorder.calls == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    assert recorder.scores[-1] == model.score(x, y)
    assert np.array_equal(
        model.predict_proba(x), classifier(solver=solver, max_iter=3).fit(x, y).predict_proba(x)
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_that_stops(solver):
    pytest.importorskip("sklearn.callback")
    x, y = blobs()
    model = classifier(solver=solver).set_callbacks(Recorder(epochs=2)).fit(x, y)
    assert (model.n_iter_, model.stop_reason_) == (2, "callback")


def test_callbacks_are_torn_down_after_an_error():
    pytest.importorskip("sklearn.callback")
    x, y = blobs()
    recorder = Recorder()

    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        classifier().set_callbacks(recorder, Failing()).fit(x, y)
    assert recorder.calls[-1] == "teardown"


def test_scikit_learns_monitor_within_a_search():
    callback = pytest.importorskip("sklearn.callback")
    x, y = blobs()
    monitor = callback.ScoringMonitor(scoring="accuracy")
    watched = classifier(max_iter=4).set_callbacks(monitor)
    GridSearchCV(watched, {"alpha": [0.1, 1.0]}, cv=2).fit(x, y)
    rows = monitor.get_logs().data
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * 4
    assert all(0 <= row["accuracy"] <= 1 for row in epochs)
