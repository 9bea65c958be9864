"""Optimizers: constants, names, and what `fit` does with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fastmlp import MLP, optimizers
from fastmlp.kernels import UpdateRule
from fastmlp.optimizers import SGD, Adam


def test_names_give_the_defaults():
    assert optimizers.get("sgd") == SGD(learning_rate=0.01, momentum=0.0, nesterov=False)
    assert optimizers.get("adam") == Adam(
        learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, epsilon_hat=False
    )
    special = SGD(0.5)
    assert optimizers.get(special) is special


@pytest.mark.parametrize("name", ["SGD", "rmsprob", ""])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"'adadelta', .*'sgd'.*got"):
        optimizers.get(name)


@pytest.mark.parametrize("thing", [None, 3, SGD])
def test_other_things(thing):
    with pytest.raises(TypeError, match="optimizer must be"):
        optimizers.get(thing)


def test_update_rules():
    assert SGD().update_rule().name == "sgd"
    assert SGD().update_rule().slots == ()
    rule = SGD(momentum=0.9, nesterov=True).update_rule()
    assert rule == UpdateRule("momentum", {"momentum": 0.9, "nesterov": 1})
    rule = Adam(beta_1=0.8, epsilon_hat=True).update_rule()
    constants = {"beta_1": 0.8, "beta_2": 0.999, "epsilon": 1e-8, "epsilon_hat": 1}
    assert rule == UpdateRule("adam", constants)


@pytest.mark.parametrize(
    ("make", "constants"),
    [
        (SGD, {"learning_rate": 0}),
        (SGD, {"learning_rate": float("nan")}),
        (SGD, {"momentum": 1}),
        (SGD, {"momentum": -0.1}),
        (Adam, {"learning_rate": -1}),
        (Adam, {"learning_rate": float("inf")}),
        (Adam, {"beta_1": 1.0}),
        (Adam, {"beta_2": -0.1}),
        (Adam, {"epsilon": 0}),
    ],
)
def test_constants_outside_their_range(make, constants):
    (name,) = constants
    with pytest.raises(ValueError, match=f"{name} must be"):
        make(**constants)


def test_they_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SGD().learning_rate = 1


def test_a_new_class_is_all_that_a_new_optimizer_needs(monkeypatch):
    monkeypatch.setattr(optimizers.Optimizer, "registry", dict(optimizers.Optimizer.registry))

    @dataclasses.dataclass(frozen=True)
    class Slow(SGD):
        learning_rate: float = 1e-9

    assert optimizers.get("slow") == Slow()


# Two full-batch steps on one linear neuron, followed by hand. Loss ½ (w x + b - y)² with x = 2,
# y = 1, from w = 1, b = 0.
def gradient(p):
    residual = 2 * p[0] + p[1] - 1
    return np.array([2 * residual, residual])


def by_hand(optimizer, steps):
    p, v, m, s = np.array([1.0, 0.0]), np.zeros(2), np.zeros(2), np.zeros(2)
    for t in range(1, steps + 1):
        g = gradient(p)
        if isinstance(optimizer, SGD):
            v = optimizer.momentum * v - optimizer.learning_rate * g
            p = p + (
                optimizer.momentum * v - optimizer.learning_rate * g if optimizer.nesterov else v
            )
            continue
        m = optimizer.beta_1 * m + (1 - optimizer.beta_1) * g
        s = optimizer.beta_2 * s + (1 - optimizer.beta_2) * g**2
        c1, c2 = 1 - optimizer.beta_1**t, 1 - optimizer.beta_2**t
        if optimizer.epsilon_hat:
            step = np.sqrt(c2) / c1 * m / (np.sqrt(s) + optimizer.epsilon)
        else:
            step = (m / c1) / (np.sqrt(s / c2) + optimizer.epsilon)
        p = p - optimizer.learning_rate * step
    return p


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1),
        SGD(0.1, momentum=0.5),
        SGD(0.1, momentum=0.5, nesterov=True),
        Adam(0.1, epsilon=0.3),
        Adam(0.1, 0.5, 0.7, epsilon=0.3, epsilon_hat=True),
    ],
    ids=repr,
)
def test_fit_follows_the_formula(backend, optimizer):
    net = MLP([1, 1], dtype=np.float64)
    net.weights[0] = [[1.0]]
    net.fit([[2.0]], [1.0], optimizer=optimizer, epochs=3)
    np.testing.assert_allclose(net.parameters, by_hand(optimizer, 3), rtol=1e-12)


def test_every_fit_starts_with_fresh_state():
    optimizer = SGD(0.01, momentum=0.9)
    first, second = MLP([1, 1], dtype=np.float64), MLP([1, 1], dtype=np.float64)
    first.weights[0] = second.weights[0] = [[1.0]]
    first.fit([[2.0]], [1.0], optimizer=optimizer, epochs=2)
    second.fit([[2.0]], [1.0], optimizer=optimizer, epochs=1)
    second.fit([[2.0]], [1.0], optimizer=optimizer, epochs=1)
    assert abs(first.weights[0] - second.weights[0]).max() > 1e-3
