"""What a small fit leaves to the next one: nothing that anybody could see but the time."""

from __future__ import annotations

import gc
import pickle
import weakref

import numpy as np
import pytest
from fastmlp import MLP, MLPRegressor, kernels, optimizers
from fastmlp._training import keeping

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(20, 4)), RNG.integers(0, 3, 20)


def network(**options):
    return MLP([4, 6, 3], output="softmax", random_state=0, dtype="float64", **options)


def fits(net, anew):
    """Fits of one network with changing options; ``anew`` keeps nothing between them."""
    losses = []
    for options in (
        {},
        {},
        {"batch_size": 5},
        {"batch_size": 5, "shuffle": np.bool_(True)},
        {"l2": 0.5},
        {"l2": 0.5, "epochs": 3},
        {"dropout": 0.5},
        {"dropout": 0.5},
        {"optimizer": optimizers.SGD(momentum=0.5)},
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "learning_rate": 0.2},
        {"optimizer": "sgd", "learning_rate": "cosine"},
        {"optimizer": "sgd", "learning_rate": "cosine", "epochs": 4},
        {"optimizer": "lbfgs"},
        {},
    ):
        if anew:
            net._kept = None
        losses += net.fit(X, LABELS, **{"epochs": 2, **options}).loss
        losses += net.fit(X[:7], LABELS[:7], **{"epochs": 1, **options}).loss
    return losses


def test_bits_do_not_depend_on_what_was_kept(backend):
    kept, anew = network(), network()
    assert fits(kept, False) == fits(anew, True)
    np.testing.assert_array_equal(kept.parameters, anew.parameters)


def test_an_engine_is_kept_while_the_options_are_the_same(backend, monkeypatch):
    made = []
    trainer = kernels.trainer
    monkeypatch.setattr(kernels, "trainer", lambda *args: made.append(1) or trainer(*args))
    net = network()
    for _ in range(3):
        net.fit(X, LABELS, epochs=1, l2=0.1)
    assert len(made) == 1
    net.fit(X, LABELS, epochs=1, l2=0.2)
    assert len(made) == 2
    with kernels.use_backend("reference" if backend != "reference" else kernels.available()[0]):
        net.fit(X, LABELS, epochs=1, l2=0.2)
    assert len(made) == 3
    large = MLP([4, 300, 300, 3], output="softmax")
    large.fit(X, LABELS, epochs=1)
    assert large._kept is None


def test_what_is_kept_lives_no_longer_than_the_network():
    net = network()
    net.fit(X, LABELS, epochs=1)
    assert net._kept is not None
    copied = pickle.loads(pickle.dumps(net))
    assert copied._kept is None
    seen = weakref.ref(net)
    gc.disable()
    try:
        del net
        assert seen() is None
    finally:
        gc.enable()


def test_an_error_leaves_the_network_as_it_was():
    net = network()
    net.fit(X, LABELS, epochs=1)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="same number of rows"):
        net.fit(X, LABELS[:3], epochs=1)
    np.testing.assert_array_equal(net.parameters, before)
    net.fit(X, LABELS, epochs=1)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_of_many_networks_some_keep_an_engine():
    nets = [network() for _ in range(keeping.HOLDERS + 5)]
    for net in nets:
        net.fit(X, LABELS, epochs=1)
    kept = [net._kept is not None for net in nets]
    assert kept == [False] * 5 + [True] * keeping.HOLDERS
    models = [MLPRegressor(hidden_layer_sizes=(2,), max_iter=1) for _ in range(3)]
    for model in models:
        model.fit(X, LABELS)
    assert [net._kept is not None for net in nets] == [False] * 8 + kept[8:]
    for net in nets:
        net.fit(X, LABELS, epochs=1)
    assert [model._kept_trainer for model in models] == [None] * 3
    assert all(np.array_equal(nets[0].parameters, net.parameters) for net in nets)
