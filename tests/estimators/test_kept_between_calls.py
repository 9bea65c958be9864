"""What calls of one object share, seeds and checks, is never mistaken for something else."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor, kernels
from fastmlp.estimators._sklearn import parameters as checks

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


def model(**options):
    return MLPClassifier(**({"hidden_layer_sizes": (5,), "random_state": 0} | options))


def parameters(estimator):
    return np.concatenate([a.ravel() for a in (*estimator.coefs_, *estimator.intercepts_)])


def test_a_seed_starts_anew_in_every_call():
    rows = np.tile(X, (5, 1))
    net, other = model(batch_size=16), model(batch_size=16, random_state=np.int64(0))
    for seed in (0, 0, 7, 0):
        net.set_params(random_state=seed).partial_fit(rows, np.tile(Y, 5), classes=[0, 1])
        other.set_params(random_state=np.random.RandomState(seed))
        other.partial_fit(rows, np.tile(Y, 5), classes=[0, 1])
        drawn = np.random.RandomState(seed)
        if net._optimizer.epochs > 1:  # the first call has drawn parameters as well
            drawn.shuffle(np.arange(200))
            assert net._random_state.randint(2**31) == drawn.randint(2**31)
    np.testing.assert_array_equal(parameters(net), parameters(other))


def test_a_generator_of_the_users_is_drawn_from_and_not_seeded():
    generator = np.random.RandomState(5)
    net = model().partial_fit(X, Y, classes=[0, 1])
    net.set_params(random_state=generator).partial_fit(X, Y)
    assert net._random_state is generator
    before = generator.get_state()[1].copy()
    net.set_params(random_state=3).partial_fit(X, Y)
    np.testing.assert_array_equal(generator.get_state()[1], before)
    assert "_own_random" not in vars(copy.deepcopy(net))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"max_iter": 1}, {"max_iter": 1.0}),
        ({"max_iter": 1}, {"max_iter": True}),
        ({"hidden_layer_sizes": (2,)}, {"hidden_layer_sizes": (2.0,)}),
        ({"hidden_layer_sizes": (1,)}, {"hidden_layer_sizes": (True,)}),
        ({"shuffle": True}, {"shuffle": 1}),
        ({"alpha": 1}, {"alpha": True}),
        ({"n_threads": 1}, {"n_threads": 1.0}),
    ],
)
def test_parameters_that_are_equal_but_of_another_type_are_checked(good, bad):
    for _ in range(2):
        model(max_iter=1).set_params(**good).fit(X, Y)
    with pytest.raises((TypeError, ValueError), match=next(iter(bad))):
        model(max_iter=1).set_params(**bad).fit(X, Y)


def test_lists_among_the_parameters_are_checked_every_time():
    sizes = [3]
    net = model(hidden_layer_sizes=sizes, max_iter=1).fit(X, Y)
    sizes[0] = -1
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        net.fit(X, Y)


def test_a_list_of_another_shape_is_met_after_a_good_one():
    net = model(max_iter=1).fit(X, Y)
    net.intercepts_[0] = np.zeros(6)
    with pytest.raises(ValueError, match=r"do not fit each other: shapes \[\(3, 5\), \(5, 1\)\]"):
        net.partial_fit(X, Y)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_plain_parameters_are_checked_once(kind, monkeypatch):
    model = kind(hidden_layer_sizes=(3, 2), alpha=0.0123)
    calls = []
    check = checks._check_each
    monkeypatch.setattr(checks, "_check_each", lambda one: calls.append(one) or check(one))
    for _ in range(3):
        checks.check_parameters(model)
    assert calls == [model]


def test_a_small_trainer_serves_the_next_fit_where_nothing_else_was_asked_for(monkeypatch):
    made = []
    kind = kernels.active().Trainer
    make = kind.__init__
    monkeypatch.setattr(kind, "__init__", lambda self, *a: made.append(1) or make(self, *a))
    options = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 3}
    model = MLPClassifier(**options).fit(X, Y)
    first = model._packed().copy()
    assert np.array_equal(model.fit(X, Y)._packed(), first)
    assert len(made) == 1
    changed = model.set_params(alpha=0.5).fit(X, Y)._packed().copy()
    assert len(made) == 2
    assert np.array_equal(changed, MLPClassifier(**options, alpha=0.5).fit(X, Y)._packed())
    assert not np.array_equal(changed, first)
    wide = MLPClassifier(**{**options, "hidden_layer_sizes": (9000,), "max_iter": 1}).fit(X, Y)
    assert wide._kept_trainer is None
