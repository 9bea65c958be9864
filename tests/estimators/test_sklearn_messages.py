"""What goes wrong is said as scikit-learn says it: the same kinds of errors, the same words."""

from __future__ import annotations

import re
import warnings

import fastmlp
import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
neural = pytest.importorskip("sklearn.neural_network")

rng = np.random.default_rng(0)
X = rng.random((30, 4))
Y = (X[:, 0] > 0.5).astype(int)
THREE = np.arange(30) % 3


def classifier(module, **options):
    return module.MLPClassifier(**{"max_iter": 2, "random_state": 0, **options})


def regressor(module, **options):
    return module.MLPRegressor(**{"max_iter": 2, "random_state": 0, **options})


def said(call, module):
    """Kind and words of the error, and the warnings; sets of words in one order."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call(module)
            error = None
        except Exception as problem:
            words = re.sub(
                r"\{[^}]*\}", lambda m: str(sorted(m[0][1:-1].split(", "))), str(problem)
            )
            error = type(problem).__name__, words
    return error, [(w.category.__name__, str(w.message)) for w in caught]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", -1),
        ("hidden_layer_sizes", (3, 0)),
        ("alpha", -1),
        ("alpha", "much"),
        ("batch_size", 0),
        ("batch_size", "all"),
        ("learning_rate", "falling"),
        ("learning_rate_init", 0),
        ("power_t", -1),
        ("max_iter", 0),
        ("max_iter", 1.5),
        ("shuffle", "yes"),
        ("random_state", -1),
        ("tol", -1),
        ("verbose", -1),
        ("warm_start", None),
        ("momentum", 2),
        ("nesterovs_momentum", 3),
        ("early_stopping", 1),
        ("validation_fraction", 1.0),
        ("beta_1", 1.0),
        ("epsilon", 0),
        ("n_iter_no_change", 0),
        ("max_fun", 0),
    ],
)
def test_parameters(name, value):
    def call(module):
        classifier(module, **{name: value}).fit(X, Y)

    assert said(call, neural)[0] is not None
    assert said(call, fastmlp) == said(call, neural)


def test_an_unknown_solver():
    """scikit-learn's sentence, with the solvers that are ours alone among the names."""

    def call(module):
        classifier(module, solver="newton").fit(X, Y)

    (kind, words), warned = said(call, neural)
    names = ["'adam'", "'lbfgs'", "'sgd'"]
    assert str(names) in words
    ours = words.replace(str(names), str(sorted([*names, "'br'", "'lm'"])))
    assert said(call, fastmlp) == ((kind, ours), warned)


CASES = {
    "not fitted": lambda m: classifier(m).predict(X),
    "NaN": lambda m: classifier(m).fit(X * np.nan, Y),
    "infinity": lambda m: classifier(m).fit(X * np.inf, Y),
    "one dimension": lambda m: classifier(m).fit(X[0], Y),
    "three dimensions": lambda m: classifier(m).fit(X[None], Y),
    "lengths": lambda m: classifier(m).fit(X, Y[:-1]),
    "no y": lambda m: classifier(m).fit(X, None),
    "no rows": lambda m: classifier(m).fit(np.zeros((0, 4)), []),
    "no columns": lambda m: classifier(m).fit(np.zeros((30, 0)), Y),
    "complex": lambda m: classifier(m).fit(X * 1j, Y),
    "texts": lambda m: classifier(m).fit(np.array([["a", "b"]] * 30, object), Y),
    "NaN in y": lambda m: regressor(m).fit(X, np.r_[np.nan, X[1:, 0]]),
    "a column": lambda m: regressor(m).fit(X, X[:, :1]),
    "features": lambda m: classifier(m).fit(X, Y).predict(X[:, :2]),
    "NaN in prediction": lambda m: classifier(m).fit(X, Y).predict(X * np.nan),
    "number of weights": lambda m: classifier(m).fit(X, Y, np.ones(3)),
    "weights that are zero": lambda m: classifier(m).fit(X, Y, np.zeros(30)),
    "large batch": lambda m: classifier(m, batch_size=100).fit(X, Y),
    "a class of one": lambda m: classifier(m, early_stopping=True).fit(X, np.eye(1, 30)[0]),
    "first call": lambda m: classifier(m).partial_fit(X, Y),
    "unknown classes": lambda m: classifier(m).partial_fit(X, THREE, classes=[0, 1]),
    "more classes": lambda m: classifier(m).partial_fit(X, Y, classes=[0, 1]).partial_fit(X, THREE),
    "other classes": lambda m: (
        classifier(m).partial_fit(X, Y, classes=[0, 1]).partial_fit(X, Y, classes=[0, 2])
    ),
    "no stop in parts": lambda m: classifier(m, early_stopping=True).partial_fit(
        X, Y, classes=[0, 1]
    ),
    "not in parts": lambda m: classifier(m, solver="lbfgs").partial_fit(X, Y, classes=[0, 1]),
    "warm start": lambda m: classifier(m, warm_start=True).fit(X, Y).fit(X, THREE),
    "other columns": lambda m: regressor(m).partial_fit(X, Y).partial_fit(X[:, :2], Y),
    "too large": lambda m: regressor(m, solver="sgd", activation="identity", max_iter=5).fit(
        X * 1e200, Y
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_calls(case):
    call = CASES[case]
    if case == "weights that are zero" and sklearn.__version__.startswith("1.8"):
        pytest.skip("scikit-learn 1.8 divides by zero")
    have, want = (
        # NumPy's warnings of overflow depend on who computes.
        (error, [warning for warning in warned if warning[0] != "RuntimeWarning"])
        for error, warned in (said(call, fastmlp), said(call, neural))
    )
    assert want[0] is not None or case in ("large batch", "a column")
    assert have == want


def test_small_validation_sets_and_lbfgs_begin_alike():
    def small(module):
        regressor(module, early_stopping=True).fit(X[:5], Y[:5])

    have, want = said(small, fastmlp)[0][1], said(small, neural)[0][1]
    assert have.startswith(want.rstrip("."))

    def short(module):
        classifier(module, solver="lbfgs").fit(X, Y)

    have, want = said(short, fastmlp)[1], said(short, neural)[1]
    assert [kind for kind, _ in have] == [kind for kind, _ in want] == ["ConvergenceWarning"]
    assert have[0][1][:46] == want[0][1][:46]
