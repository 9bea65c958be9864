"""Callbacks that raise, delete, re-enter and change things, at random moments of a training."""

from __future__ import annotations

import contextlib
import gc
import threading

import numpy as np
from fastmlp import MLP, kernels

rng = np.random.default_rng(2)
X, Y = rng.random((90, 6)), rng.integers(0, 3, 90)


class Stop(Exception):
    """What a callback raises."""


def network():
    return MLP([6, 9, 3], output="softmax", random_state=0)


def train(net, callback, **options):
    return net.fit(X, Y, batch_size=20, epochs=6, callbacks=callback, **options)


#: What a callback may do without a consequence for the training that it is called from.
HARMLESS = {
    "predicts": lambda net: net.predict(X),
    "differentiates": lambda net: net.loss_and_gradients(X, Y),
    "trains another": lambda net: network().fit(X[:20], Y[:20], epochs=1),
    "trains in a thread": lambda net: in_thread(lambda: network().fit(X[:20], Y[:20], epochs=1)),
    "collects": lambda net: gc.collect(),
}


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_callbacks_that_do_something_else(backend, trials):
    expected = network()
    train(expected, [])
    names = sorted(HARMLESS)
    for seed in trials(2):
        choice = np.random.default_rng(seed).integers(len(names), size=6)

        def callback(net, history, choice=choice):
            HARMLESS[names[choice[history.epochs - 1]]](net)

        net = network()
        train(net, callback)
        done = [names[i] for i in choice]
        np.testing.assert_array_equal(net.parameters, expected.parameters, f"seed {seed}: {done}")


def test_callbacks_that_raise(backend, trials):
    """The network holds the epoch that has just ended, and trains on."""
    path = []
    train(network(), lambda net, history: path.append(net.parameters.copy()))
    for seed in trials(8):
        last = 1 + seed % 6

        def callback(net, history, last=last):
            if history.epochs == last:
                raise Stop

        net = network()
        with contextlib.suppress(Stop):
            train(net, callback)
        np.testing.assert_array_equal(net.parameters, path[last - 1], f"seed {seed}")
        train(net, [])


def test_callbacks_that_delete_or_change_the_backend(backend):
    """The last reference to a network may go while it trains; another backend is for later."""
    nets = [network()]
    train(nets[0], lambda net, history: nets.clear())
    gc.collect()
    before, net, expected = kernels.info()["backend"], network(), network()
    train(expected, [])
    with kernels.use_backend(before):
        train(net, lambda net, history: kernels.use_backend("reference"))
    assert kernels.info()["backend"] == before
    np.testing.assert_allclose(net.parameters, expected.parameters, rtol=1e-3, atol=1e-5)
