"""The estimators: what they learn, when they stop, and that fitted arrays are the truth."""

from __future__ import annotations

import copy
import inspect
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.estimators import _engine, _split

# Most tests stop training early on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


def blobs(n=90, classes=3, n_in=4, seed=0):
    """Rows around one centre per class, far enough apart to be learned."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = 6 * np.eye(classes, n_in)
    return centres[labels] + rng.normal(size=(n, n_in)), labels


def curve(n=120, outputs=1, seed=0):
    """Smooth functions of three inputs."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 3))
    y = np.column_stack([np.sin(2 * x[:, 0]) + x[:, 1], x[:, 1] * x[:, 2], x[:, 0] ** 2])
    return x, y[:, 0] if outputs == 1 else y[:, :outputs]


def classifier(**options):
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "random_state": 0, **options})


def regressor(**options):
    return MLPRegressor(**{"hidden_layer_sizes": (8,), "random_state": 0, **options})


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


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("outputs", [1, 3])
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


# Stopping


def test_training_ends_when_the_loss_does_not_improve():
    x, y = blobs()
    model = classifier(tol=10.0, n_iter_no_change=4).fit(x, y)
    # The first epoch improves on infinity; then more than 4 epochs without progress.
    assert model.n_iter_ == 6
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.loss_ == model.loss_curve_[-1]
    assert model.t_ == 6 * len(x)


def test_running_out_of_epochs_warns():
    x, y = blobs()
    with pytest.warns(UserWarning, match=r"Maximum iterations \(3\) reached"):
        classifier(max_iter=3).fit(x, y)


def test_adaptive_rate_is_divided_until_it_is_tiny():
    x, y = blobs()
    model = classifier(solver="sgd", learning_rate="adaptive", tol=10.0, n_iter_no_change=1)
    model.set_params(learning_rate_init=1e-4, max_iter=100).fit(x, y)
    assert model._optimizer.learning_rate == pytest.approx(1e-4 / 5**3)
    assert model.n_iter_ < 20


def test_early_stopping_restores_the_best_parameters():
    x, y = blobs(n=200, classes=2)
    y = np.where(np.random.default_rng(1).random(200) < 0.2, 1 - y, y)
    model = classifier(early_stopping=True, learning_rate_init=0.05, n_iter_no_change=8).fit(x, y)
    assert model.best_loss_ is None
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == model.n_iter_ < 200
    _, held_out = _split.train_and_validation(200, 0.1, seeded_after_initial_draws(model), y)
    assert model.score(x[held_out], y[held_out]) == model.best_validation_score_


def seeded_after_initial_draws(model):
    state = np.random.RandomState(0)
    for w, b in zip(model.coefs_, model.intercepts_, strict=True):
        state.uniform(size=w.size + b.size)
    return state


@pytest.mark.parametrize("labels", [None, np.arange(57) % 3 == 0, np.repeat([0, 1, 2], 19)])
def test_split_is_that_of_scikit_learn(labels):
    selection = pytest.importorskip("sklearn.model_selection")
    for seed in range(5):
        ours, theirs = np.random.RandomState(seed), np.random.RandomState(seed)
        train, held_out = _split.train_and_validation(57, 0.17, ours, labels)
        expected = selection.train_test_split(
            np.arange(57), test_size=0.17, random_state=theirs, stratify=labels
        )
        assert np.array_equal(train, expected[0])
        assert np.array_equal(held_out, expected[1])
        assert ours.randint(1 << 30) == theirs.randint(1 << 30)


def test_splits_that_cannot_be():
    state = np.random.RandomState(0)
    with pytest.raises(ValueError, match="too small"):
        _split.train_and_validation(10, 0.1, state, None)
    with pytest.raises(ValueError, match="2 rows of every class"):
        _split.train_and_validation(20, 0.2, state, np.arange(20) == 3)


def test_ctrl_c_keeps_what_was_learned(monkeypatch):
    x, y = blobs()
    epochs = []
    original = _engine.trainer

    def trainer(*arguments, **options):
        made = original(*arguments, **options)

        class Interrupted:
            step = 0
            load, store = made.load, made.store

            def run_epoch(self, *arguments, **options):
                if len(epochs) == 3:
                    raise KeyboardInterrupt
                epochs.append(made.run_epoch(*arguments, **options))
                return epochs[-1]

        return Interrupted()

    monkeypatch.setattr(_engine, "trainer", trainer)
    with pytest.warns(UserWarning, match="interrupted"):
        interrupted = classifier().fit(x, y)
    monkeypatch.undo()
    assert interrupted.loss_curve_ == epochs
    complete = classifier(max_iter=3).fit(x, y)
    assert np.array_equal(interrupted.predict_proba(x), complete.predict_proba(x))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: classifier(max_iter=1).fit(x, y),
        lambda x, y: classifier(batch_size=1000).partial_fit(x, y, classes=[0, 1, 2]),
        lambda x, y: regressor().partial_fit(x, y[:, None]),
        lambda x, y: classifier(solver="lbfgs", max_iter=1).fit(x, y),
    ],
)
def test_warnings_point_at_the_line_that_called(call):
    x, y = blobs()
    with pytest.warns(UserWarning, match=".") as caught:
        call(x, y)
    assert [w.filename for w in caught] == [__file__]


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
    model = classifier(hidden_layer_sizes=(200, 50), max_iter=3).fit(x, y)
    other = duplicate(model)
    assert np.array_equal(other.predict_proba(x), model.predict_proba(x))
    other.coefs_[0][:] = 0
    assert not np.array_equal(other.predict_proba(x), model.predict_proba(x))
    other.partial_fit(x, y)
    size = sum(p.nbytes for p in model.coefs_ + model.intercepts_)
    assert len(pickle.dumps(model)) < 1.1 * size


# Wrong input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layer_sizes": -1}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes"),
        ({"activation": "softmax"}, "activation"),
        ({"activation": ["relu", "relu"]}, "activation"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": [0.1]}, "dropout"),
        ({"max_time": 0}, "max_time"),
        ({"dtype": np.int64}, "dtype"),
        ({"backend": "fortran"}, "backend"),
        ({"n_threads": 0}, "n_threads"),
        ({"solver": "newton"}, "solver"),
        ({"alpha": -1}, "alpha"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": "falling"}, "learning_rate"),
        ({"learning_rate_init": 0}, "learning_rate_init"),
        ({"power_t": -1}, "power_t"),
        ({"max_iter": 2.5}, "max_iter"),
        ({"shuffle": "yes"}, "shuffle"),
        ({"random_state": "seed"}, "random_state"),
        ({"tol": float("nan")}, "tol"),
        ({"warm_start": None}, "warm_start"),
        ({"momentum": 1.1}, "momentum"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"beta_1": 1}, "beta_1"),
        ({"epsilon": 0}, "epsilon"),
        ({"n_iter_no_change": 0}, "n_iter_no_change"),
        ({"max_fun": 0}, "max_fun"),
    ],
)
def test_wrong_parameters_are_named_by_fit(options, message):
    for make, (x, y) in ((classifier, blobs()), (regressor, curve())):
        model = make(**options)
        with pytest.raises(ValueError, match=message):
            model.fit(x, y)
        assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, y: classifier().predict(x), ValueError, "not fitted"),
        (lambda x, y: classifier().fit(x, np.linspace(0, 1, len(x))), ValueError, "continuous"),
        (lambda x, y: classifier().fit(x, np.c_[y, y]), ValueError, "Multioutput"),
        (lambda x, y: classifier().fit(x[:, 0], y), ValueError, "2D array"),
        (lambda x, y: classifier().fit(x, y[:-1]), ValueError, r"90.*89|\(90,\)"),
        (lambda x, y: classifier().fit(x * np.nan, y), ValueError, "NaN|nan"),
        (lambda x, y: classifier().fit(x, y, -np.ones(90)), ValueError, "negative"),
        (lambda x, y: classifier().fit(x, y, np.ones(3)), ValueError, r"\(90,\)"),
        (lambda x, y: classifier(max_iter=1).fit(x, y).predict(x[:, :2]), ValueError, "2 features"),
        (lambda x, y: classifier().partial_fit(x, y), ValueError, "first call"),
        (lambda x, y: regressor(loss="poisson").fit(x, -y), ValueError, "not negative"),
        (
            lambda x, y: classifier(early_stopping=True).partial_fit(x, y, classes=[0, 1, 2]),
            ValueError,
            "early_stopping",
        ),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(*blobs())


@pytest.mark.filterwarnings("ignore:overflow|invalid")
def test_diverged_parameters_are_an_error():
    x, y = curve()
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="non-finite"),
    ):
        regressor(solver="sgd", learning_rate_init=1e6, activation="identity").fit(x * 1e6, y)


# scikit-learn


def test_signatures_are_scikit_learns():
    neural = pytest.importorskip("sklearn.neural_network")
    for ours in (MLPClassifier, MLPRegressor):
        theirs = getattr(neural, ours.__name__)
        for have, want in [
            (ours, theirs),
            (ours.fit, theirs.fit),
            (ours.predict, theirs.predict),
            (ours().partial_fit, theirs().partial_fit),
        ]:
            have, want = (list(inspect.signature(f).parameters.values()) for f in (have, want))
            assert [(p.name, p.default, p.kind) for p in have[: len(want)]] == [
                (p.name, p.default, p.kind) for p in want
            ]
            assert all(p.kind is p.KEYWORD_ONLY for p in have[len(want) :])


def test_they_are_scikit_learn_estimators():
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import GridSearchCV

    x, y = blobs()
    model = classifier(max_iter=20, learning_rate_init=0.05)
    assert base.is_classifier(model)
    assert base.is_regressor(regressor())
    assert base.clone(model).get_params() == model.get_params()
    search = GridSearchCV(model, {"hidden_layer_sizes": [(1,), (10,)]}, cv=3).fit(x, y)
    assert search.best_params_ == {"hidden_layer_sizes": (10,)}


def test_they_work_without_scikit_learn():
    code = """
import sys
sys.modules["sklearn"] = None
import pickle
import numpy as np
from fastmlp import MLPClassifier, MLPRegressor
rng = np.random.default_rng(0)
x = rng.normal(size=(60, 2))
y = np.where(x[:, 0] > 0, "right", "left")
model = MLPClassifier((5,), learning_rate_init=0.1, max_iter=500, random_state=0).fit(x, y)
assert model.score(x, y) > 0.95, model.score(x, y)
assert pickle.loads(pickle.dumps(model)).score(x, y) == model.score(x, y)
assert model.get_params()["hidden_layer_sizes"] == (5,)
assert "learning_rate_init=0.1" in repr(model) and "alpha" not in repr(model)
try:
    model.set_params(alpha=3, beta=1)
except ValueError as error:
    assert "beta" in str(error) and model.alpha == 1e-4
else:
    raise AssertionError("an unknown parameter was taken")
for call, message in [
    (lambda: model.predict(x[:, :1]), "1 features"),
    (lambda: model.predict(x[0]), "2D array"),
    (lambda: model.fit(x * np.nan, y), "finite"),
    (lambda: model.fit(x, y[1:]), "(60,)"),
    (lambda: MLPClassifier().predict(x), "not fitted"),
]:
    try:
        call()
    except ValueError as error:
        assert message in str(error), error
    else:
        raise AssertionError(message)
try:
    from scipy.sparse import csc_array
except ImportError:
    pass
else:
    sparse = csc_array(x)
    proba = model.predict_proba(x)
    assert np.allclose(model.fit(sparse, y).predict_proba(sparse), proba)
    for values, message in [(sparse[:, :1], "1 features"), (sparse * np.nan, "finite")]:
        try:
            model.predict(values)
        except ValueError as error:
            assert message in str(error), error
        else:
            raise AssertionError(message)
target = x.sum(1)
model = MLPRegressor(learning_rate_init=0.03, max_iter=500, random_state=0).fit(x, target)
assert model.score(x, target) > 0.95, model.score(x, target)
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "done", done.stderr
