"""Solvers ``lm`` and ``br``, what hidden layers compute, and gradients of predictions."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(1)
X = RNG.uniform(-1, 1, (120, 2))
Y = np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * RNG.normal(size=120)


def regressor(solver, **options):
    return MLPRegressor(
        hidden_layer_sizes=(6,), activation="tanh", solver=solver, random_state=0, **options
    )


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_lm_ends_where_the_gradient_vanishes():
    lm = regressor("lm", alpha=0.1, max_iter=300).fit(X, Y, np.arange(120.0))
    assert lm.stop_reason_ == "converged"
    before = lm.loss_
    lbfgs = regressor("lbfgs", alpha=0.1, max_iter=1, warm_start=True).fit(X, Y, np.arange(120.0))
    lbfgs.coefs_, lbfgs.intercepts_ = lm.coefs_, lm.intercepts_
    again = lbfgs.fit(X, Y, np.arange(120.0)).loss_
    assert again == pytest.approx(before, rel=1e-5)


@pytest.mark.filterwarnings("ignore:br has not converged")
def test_br_says_how_many_parameters_count():
    model = regressor("br", max_iter=60).fit(X, Y)
    assert 3 < model.effective_parameters_ < 25
    tiny = regressor("br", max_iter=60).set_params(hidden_layer_sizes=(1,)).fit(X, Y)
    assert tiny.log_evidence_ < model.log_evidence_  # one unit cannot say what the rows do
    assert model.score(X, Y) > 0.9


def test_lm_of_a_classifier():
    labels = np.where(X[:, 0] * X[:, 1] > 0, "yes", "no")
    model = MLPClassifier((5,), activation="tanh", solver="lm", random_state=0, alpha=0.01)
    assert model.fit(X, labels).score(X, labels) > 0.95


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="dropout needs solver 'adam' or 'sgd', got solver 'lm'"):
        regressor("lm", dropout=0.1).fit(X, Y)
    with pytest.raises(ValueError, match="needs the loss 'squared_error', got 'huber'"):
        regressor("br", loss="huber").fit(X, Y)
    with pytest.raises(AttributeError, match="partial_fit"):
        regressor("lm").partial_fit(X, Y)


def test_transform():
    model = MLPRegressor(hidden_layer_sizes=(6, 4), activation="tanh", max_iter=3, random_state=0)
    with pytest.warns(UserWarning, match="converged|iterations"):
        model.fit(X, Y)
    first = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    last = np.tanh(first @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(model.transform(X), last)
    np.testing.assert_allclose(model.transform(X, layer=0), first)
    np.testing.assert_allclose(
        last @ model.coefs_[2][:, 0] + model.intercepts_[2], model.predict(X)
    )
    with pytest.raises(ValueError, match="layer must lie in -2…1, got 2"):
        model.transform(X, layer=2)


def test_prediction_gradients():
    model = regressor("lm").fit(X, Y)
    step = 1e-6
    steps = [(model.predict(X + d) - model.predict(X - d)) / (2 * step) for d in step * np.eye(2)]
    expected = np.stack(steps, axis=1)
    np.testing.assert_allclose(model.prediction_gradients(X), expected, atol=1e-8)
    labels = np.digitize(X[:, 0], [-0.3, 0.3])
    classifier = MLPClassifier((5,), activation="tanh", solver="lm", random_state=0, alpha=0.01)
    gradients = classifier.fit(X, labels).prediction_gradients(X)
    assert gradients.shape == (120, 3, 2)
    np.testing.assert_allclose(gradients.sum(axis=1), 0, atol=1e-12)  # probabilities add up to 1
