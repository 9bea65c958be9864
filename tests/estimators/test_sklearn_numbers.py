"""Equal seeds give scikit-learn's numbers: losses, parameters' outputs, scores and counters."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.datasets import load_digits

neural = pytest.importorskip("sklearn.neural_network")
sparse = pytest.importorskip("scipy.sparse")

BASE = {"hidden_layer_sizes": (12, 7), "max_iter": 6, "random_state": 3}
SOLVERS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.02},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.02},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.3},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.02,
        "tol": 0.1,
        "n_iter_no_change": 1,
    },
    "early stopping": {"early_stopping": True},
    "no shuffle": {"shuffle": False, "batch_size": 32},
    "tanh": {"activation": "tanh", "alpha": 0.1},
    "logistic": {"activation": "logistic"},
    "lbfgs": {"solver": "lbfgs"},
}
TASKS = (
    *("multiclass", "binary", "multilabel", "weighted", "sparse"),
    *("regression", "weighted regression", "two outputs", "poisson"),
)
#: Rounding of one step, as a share of the numbers, and how much it grows in six epochs.
TOLERANCE = {"float64": (1e-9, 1e-8), "float32": (3e-5, 2e-3)}


def pair_and_data(task, dtype):
    """Our class, scikit-learn's, and rows, targets and row weights of a task."""
    digits = load_digits()
    x = np.asarray(digits.X, dtype)[:300]
    x = x / x.max()
    labels = np.asarray(digits.y)[:300].astype(int)
    weight = np.random.default_rng(0).uniform(0.1, 3, len(x)) if "weighted" in task else None
    if task in ("regression", "weighted regression", "two outputs", "poisson"):
        y = np.column_stack([x[:, 10] - x[:, 20], np.sin(3 * x[:, 30])])
        if task == "poisson":
            y = np.random.default_rng(0).poisson(np.exp(y)).astype(dtype)
        return MLPRegressor, neural.MLPRegressor, x, y if task == "two outputs" else y[:, 0], weight
    y = {
        "binary": np.array([5, 7])[labels % 2],
        "multilabel": np.column_stack([labels % 2, labels > 4, labels % 3 == 0]).astype(int),
    }.get(task, labels)
    x = sparse.csr_array(x) if task == "sparse" else x
    return MLPClassifier, neural.MLPClassifier, x, y, weight


def outputs_of(expected, x):
    """What the network of a scikit-learn estimator puts out."""
    if hasattr(expected, "predict_proba"):
        proba = expected.predict_proba(x)
        return proba[:, 1:] if expected.n_outputs_ == 1 else proba
    return expected.predict(x).reshape(x.shape[0], -1)


def fitted_pair(task, solver, dtype):
    ours, theirs, x, y, weight = pair_and_data(task, dtype)
    options = {**BASE, **SOLVERS[solver]}
    if task == "poisson":
        options["loss"] = "poisson"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ours(**options).fit(x, y, weight)
        expected = theirs(**options).fit(x, y, weight)
    return model, expected, x


@pytest.mark.covers("task solver", "dtype")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_same_seed_same_numbers(task, solver, dtype):
    model, expected, x = fitted_pair(task, solver, dtype.name)
    losses, outputs = TOLERANCE[dtype.name]
    if solver == "lbfgs":
        # A line search makes more of rounding; float32 rows are computed with in float64 here.
        losses, outputs = (1e-7, 1e-5) if dtype == np.float64 else (3e-6, 1e-3)
        assert {w.dtype for w in model.coefs_} == {w.dtype for w in expected.coefs_}
    np.testing.assert_allclose(model.loss_, expected.loss_, rtol=losses)
    np.testing.assert_allclose(
        model._outputs(x), outputs_of(expected, x), rtol=outputs, atol=outputs / 10
    )
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "t_"):
        assert getattr(model, name) == getattr(expected, name), name
    for name in ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
        have, want = (getattr(m, name, None) for m in (model, expected))
        assert (have is None) == (want is None), name
        if want is not None:
            slack = losses if "validation" not in name else 10 * outputs
            np.testing.assert_allclose(have, want, rtol=slack, err_msg=name)
    if solver != "lbfgs":
        rates = [m._optimizer.learning_rate for m in (model, expected)]
        assert rates[0] == pytest.approx(rates[1], rel=1e-12)
        assert model._no_improvement_count == expected._no_improvement_count


@pytest.mark.parametrize("solver", ["adam", "nesterov", "invscaling"])
@pytest.mark.parametrize("task", ["multiclass", "two outputs"])
def test_calls_that_go_on(task, solver):
    """A fit, then `partial_fit` with the state of the fit, then a warm start."""
    ours, theirs, x, y, _ = pair_and_data(task, "float64")
    models = [cls(**{**BASE, **SOLVERS[solver]}) for cls in (ours, theirs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in models:
            model.fit(x, y)
            for rows in (slice(0, 100), slice(100, 300)):
                model.partial_fit(x[rows], y[rows])
            model.set_params(warm_start=True, max_iter=3).fit(x, y)
    have, want = models
    assert len(have.loss_curve_) == 6 + 2 + 3
    np.testing.assert_allclose(have.loss_curve_, want.loss_curve_, rtol=1e-9)
    for a, b in zip(have.coefs_ + have.intercepts_, want.coefs_ + want.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    assert (have.t_, have.n_iter_) == (want.t_, want.n_iter_)


@pytest.mark.parametrize("kind", ["csr_array", "csc_array", "csr_matrix", "csc_matrix"])
def test_sparse_rows_are_dense_rows(kind):
    ours, _, x, y, _ = pair_and_data("multiclass", "float64")
    rows = getattr(sparse, kind)(x)
    for options in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dense = ours(**BASE, **options).fit(x, y)
            model = ours(**BASE, **options).fit(rows, y)
        np.testing.assert_allclose(
            model.predict_proba(rows), dense.predict_proba(x), rtol=1e-6, atol=1e-9
        )
        np.testing.assert_allclose(model.predict_proba(rows), model.predict_proba(x), rtol=1e-10)
    assert model.score(rows, y) == model.score(x, y)


def test_a_sparse_indicator_matrix_comes_back_sparse():
    ours, theirs, x, y, _ = pair_and_data("multilabel", "float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        have, want = (cls(**BASE).fit(x, sparse.csr_matrix(y)).predict(x) for cls in (ours, theirs))
    assert type(have) is type(want)
    assert np.array_equal(have.toarray(), want.toarray())


def test_arrays_of_the_caller_are_trained_in_place():
    """Replaced entries stay the caller's: same object, same type, updated as scikit-learn's."""
    ours, theirs, x, y, _ = pair_and_data("regression", "float64")
    kept = []
    models = [cls(**{**BASE, "learning_rate_init": 0.01}) for cls in (ours, theirs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in models:
            first = model.fit(x, y).coefs_[0]
            model.partial_fit(x, y)
            assert model.coefs_[0] is first
            mine = np.asfortranarray(1.5 * first)
            model.coefs_[0] = mine
            model.partial_fit(x, y)
            assert model.coefs_[0] is mine
            model.coefs_[1] = model.coefs_[1].astype(np.float32)
            model.partial_fit(x, y).partial_fit(x.astype(np.float32), y)
            kept.append(mine)
    have, want = models
    assert [w.dtype for w in have.coefs_] == [w.dtype for w in want.coefs_]
    np.testing.assert_allclose(*kept, rtol=1e-6, atol=1e-7)  # one of the layers is float32
    np.testing.assert_allclose(have.predict(x), want.predict(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sizes", [(), [], np.array([4, 3]), 5])
def test_sizes_of_any_form(sizes):
    ours, theirs, x, y, _ = pair_and_data("multiclass", "float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        have, want = (
            cls(**{**BASE, "hidden_layer_sizes": sizes}).fit(x, y) for cls in (ours, theirs)
        )
    np.testing.assert_allclose(have.predict_proba(x), want.predict_proba(x), rtol=1e-9)
    assert have.n_layers_ == want.n_layers_
