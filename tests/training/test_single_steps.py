"""Calls that are one step: the step alone, with the bits of calls that go through everything."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from fastmlp import MLP, MLPRegressor

SETTINGS = [
    {},
    {"solver": "sgd", "alpha": 0.01},
    {"solver": "sgd", "momentum": 0, "loss": "huber"},
    {"shuffle": False, "batch_size": 5},
]


def whole(model, X, y):
    """A call that takes its rows through all checks: a list is none of the arrays of steps."""
    model.partial_fit(X, list(y))


def same(a, b):
    for ours, theirs in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(a._optimizer.state, b._optimizer.state)
    for name in ("loss_curve_", "n_iter_", "t_", "loss_", "best_loss_", "stop_reason_"):
        assert getattr(a, name) == getattr(b, name), name
    assert a._no_improvement_count == b._no_improvement_count


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_bits(settings, rng):
    n = settings.get("batch_size", 1)
    a, b = (MLPRegressor(hidden_layer_sizes=(6,), random_state=0, **settings) for _ in "ab")
    alone = 0
    for call in range(30):
        X, y = rng.normal(size=(n, 4)), rng.normal(size=n)
        single = getattr(a.__dict__.get("_optimizer"), "single", None)
        a.partial_fit(X, y)
        alone += single is not None and a._optimizer.single is single
        whole(b, X, y)
        if call == 8:
            a = pickle.loads(pickle.dumps(a))
        if call == 12:
            a = copy.deepcopy(a)
        for model in (a, b):
            if call == 16:
                model.set_params(alpha=0.1, learning_rate_init=0.01)
            if call == 20:
                model.coefs_[0][0, 0] = 0.25
            if call == 24:
                model.coefs_[1] = model.coefs_[1].copy()
    same(a, b)
    assert alone >= 18


def test_what_is_no_single_step(rng):
    """Weights, other shapes and types, rows that are shuffled: whole calls, the same bits."""
    X, y = rng.normal(size=(3, 4)), rng.normal(size=3)
    a, b = (MLPRegressor(hidden_layer_sizes=(6,), random_state=0) for _ in "ab")
    for model, call in ((a, a.partial_fit), (b, lambda X, y: whole(b, X, y))):
        call(X[:1], y[:1])
        call(X[:1], y[:1])
        call(X, y)
        call(X[1:2], y[1:2])
        model.partial_fit(X[:1], y[:1], sample_weight=[0.5])
        call(X[1:2].astype("f4"), y[1:2].astype("f4"))
        call(X[1:2], y[1:2])
    same(a, b)
    with pytest.raises(ValueError, match="features"):
        a.partial_fit(X[:1, :3], y[:1])
    with pytest.raises(ValueError, match="NaN"):
        a.partial_fit(X[:1] * np.nan, y[:1])
    same(a, b)


def test_parameters_that_are_not_finite(rng):
    model = MLPRegressor(
        hidden_layer_sizes=(6,), activation="identity", solver="sgd", random_state=0
    )
    X, y = rng.normal(size=(1, 4)), rng.normal(size=1)
    model.partial_fit(X, y)
    single = model._optimizer.single
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.partial_fit(X * 1e200, y)
    assert single is model._optimizer.single


ONE_BATCH = [
    {},
    {"batch_size": "full", "optimizer": "sgd", "learning_rate": 0.1},
    {"shuffle": False, "l2": 0.01, "clip_norm": 0.1},
]


@pytest.mark.parametrize("options", ONE_BATCH, ids=str)
def test_fit_of_one_batch(options, dtype, rng):
    """The second ``fit`` of one batch makes the step alone; a list goes through all checks."""
    a, b = (MLP([4, 6, 3], "tanh", "softmax", random_state=0, dtype=dtype) for _ in "ab")
    for _ in range(5):
        X, y = rng.normal(size=(16, 4)).astype(dtype), rng.integers(0, 3, 16)
        found = a.fit(X, y, epochs=1, **options)
        expected = b.fit(X.tolist(), y, epochs=1, **options)
        np.testing.assert_array_equal(a.parameters, b.parameters)
        for name in ("loss", "learning_rate", "stop_reason", "stop_message"):
            assert getattr(found, name) == getattr(expected, name)
        assert len(found.seconds) == 1
    assert a._generator.bit_generator.state == b._generator.bit_generator.state


def test_fit_of_one_batch_that_diverges(rng):
    net = MLP([4, 6, 1], "identity", random_state=0)
    X, y = rng.normal(size=(16, 4)).astype("f4"), rng.normal(size=16).astype("f4")
    net.fit(X, y, epochs=1)
    before = net.parameters.copy()
    with pytest.warns(RuntimeWarning, match="the loss became"):
        history = net.fit(X * np.float32(1e30), y, epochs=1)
    assert history.stop_reason == "non_finite_loss"
    np.testing.assert_array_equal(net.parameters, before)
    assert net.fit(X, y, epochs=1).stop_reason == "epochs"
