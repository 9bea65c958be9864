"""The estimators have scikit-learn's interface, with scikit-learn and without it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from fastmlp import MLPClassifier, MLPRegressor
from problems import blobs, classifier, regressor

# Most tests stop training early on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


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
            of_fit = have is ours.fit
            have, want = (list(inspect.signature(f).parameters.values()) for f in (have, want))
            if of_fit:  # fit(source) has no y
                assert (want[2].name, have[2].default) == ("y", None)
                want[2] = want[2].replace(default=None)
            assert [(p.name, p.default, p.kind) for p in have[: len(want)]] == [
                (p.name, p.default, p.kind) for p in want
            ]
            more = have[len(want) :]
            if more and more[0].name == "return_std":  # where BayesianRidge and others have it
                more = more[1:]
            assert all(p.kind is p.KEYWORD_ONLY for p in more)


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
