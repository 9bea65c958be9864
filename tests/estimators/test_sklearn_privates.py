"""What programs written for scikit-learn reach into, beyond its public interface."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(40, 3)), 2)
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


def model(**options):
    return MLPClassifier(**({"hidden_layer_sizes": (5,), "random_state": 0} | options))


def parameters(estimator):
    return np.concatenate([a.ravel() for a in (*estimator.coefs_, *estimator.intercepts_)])


def test_partial_fit_of_lbfgs_is_refused_with_a_reason():
    for kind in (MLPClassifier, MLPRegressor):
        assert not hasattr(kind(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError, match="lbfgs is not stochastic"):
        MLPRegressor(solver="lbfgs").partial_fit(X, Y)


def test_biases_may_be_row_vectors():
    net = model(max_iter=3).fit(X, Y)
    expected = net.predict_proba(X)
    net.intercepts_ = [b[None, :] for b in net.intercepts_]
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    net.partial_fit(X, Y)
    assert not np.array_equal(net.predict_proba(X), expected)
    assert net.intercepts_[0].shape == (1, 5)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_parameter_constraints(kind):
    found = kind._parameter_constraints
    assert set(found) == set(kind().get_params())
    assert kind()._parameter_constraints == found
    sklearn = pytest.importorskip("sklearn.neural_network")
    theirs = getattr(sklearn, kind.__name__)._parameter_constraints
    assert {name: found[name] for name in ("alpha", "solver", "tol")} == {
        name: theirs[name] for name in ("alpha", "solver", "tol")
    }
    kind()._validate_params()
    with pytest.raises(ValueError, match="alpha"):
        kind(alpha=-1)._validate_params()

    class Sub(kind):
        _parameter_constraints = kind._parameter_constraints | {"alpha": "no_validation"}

    Sub(alpha=-1)._validate_params()


@pytest.mark.parametrize("sizes", [(10.0,), 4.5, [3, 2.5]])
def test_sizes_that_are_no_integers_are_said_to_be(sizes):
    with pytest.raises((TypeError, ValueError), match="int") as caught:
        model(hidden_layer_sizes=sizes).fit(X, Y)
    assert "> 0" not in str(caught.value)


def test_subclasses_may_draw_the_initial_parameters():
    class Ones(MLPClassifier):
        def _init_coef(self, fan_in, fan_out, dtype):
            return np.ones((fan_in, fan_out), dtype), np.zeros(fan_out, dtype)

    net = Ones((4,), max_iter=1, learning_rate_init=1e-9).fit(X, Y)
    np.testing.assert_allclose(net.coefs_[0], 1, atol=1e-6)


def test_initial_weights_of_an_initialiser_draw_on_from_the_random_state():
    state = np.random.RandomState(0)
    state.normal()  # leaves half of a pair behind
    net = model(init="he_normal", random_state=state, max_iter=1).fit(X, Y)
    again = np.random.RandomState(0)
    again.normal()
    other = model(init="he_normal", random_state=again, max_iter=1).fit(X, Y)
    np.testing.assert_array_equal(parameters(net), parameters(other))
    assert state.uniform() == again.uniform()
    assert not np.array_equal(net.coefs_[0].ravel()[:5], net.coefs_[1].ravel())


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
def test_a_network_that_is_cut_gives_its_hidden_features(name):
    net = model(activation=name, max_iter=2).fit(X, Y)
    hidden = copy.deepcopy(net)
    hidden.coefs_, hidden.intercepts_ = net.coefs_[:1], net.intercepts_[:1]
    hidden.out_activation_ = name
    z = X @ net.coefs_[0] + net.intercepts_[0]
    features = hidden._outputs(X)
    assert features.shape == (40, 5)
    if name == "relu":
        np.testing.assert_allclose(features, np.maximum(z, 0), atol=1e-12)
    with pytest.raises(ValueError, match="out_activation_"):
        hidden.partial_fit(X, Y)
    hidden.out_activation_ = "nothing"
    with pytest.raises(ValueError, match="out_activation_ must be one of"):
        hidden.predict_proba(X)
