"""Optimizers: constants, names, and what `fit` does with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fastmlp import MLP, optimizers
from fastmlp.kernels import UpdateRule
from fastmlp.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Ftrl,
    Lion,
    Nadam,
    RMSprop,
    Rprop,
)

#: All that are an update rule.
NAMES = {
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "ftrl": "Ftrl",
    "gradient_descent": "GradientDescent",
    "lion": "Lion",
    "nadam": "Nadam",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
    "rprop": "Rprop",
    "sgd": "SGD",
}


def test_names_give_the_defaults():
    assert optimizers.get("sgd") == SGD(learning_rate=0.01, momentum=0.0, nesterov=False)
    assert optimizers.get("adam") == Adam(
        learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, epsilon_hat=False
    )
    special = SGD(0.5)
    assert optimizers.get(special) is special


@pytest.mark.parametrize(("name", "cls"), [*NAMES.items(), ("lbfgs", "LBFGS")])
def test_every_optimizer_has_a_name(name, cls):
    assert cls in optimizers.__all__
    assert optimizers.get(name) == getattr(optimizers, cls)()


@pytest.mark.parametrize("name", NAMES)
def test_constants_reach_the_rule(name):
    """Each constant of an optimizer changes a constant of its rule, or the rule."""
    optimizer = optimizers.get(name)
    rule = optimizer.update_rule()
    apart = ("learning_rate", "line_search", "c1", "c2", "shrink", "subset")
    for field in dataclasses.fields(optimizer):
        if field.name in apart or (name, field.name) == ("sgd", "nesterov"):  # of momentum 0
            continue
        value = getattr(optimizer, field.name)
        other = not value if isinstance(value, bool) else value * 0.9 or 0.1
        if field.name == "eta_plus":
            other = 1.5
        changed = dataclasses.replace(optimizer, **{field.name: other}).update_rule()
        assert changed != rule, field.name


@pytest.mark.parametrize("name", ["SGD", "rmsprob", "optimizer", ""])
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
        (Adam, {"weight_decay": -1}),
        (AdamW, {"weight_decay": float("nan")}),
        (Adagrad, {"epsilon": 0}),
        (Adagrad, {"initial_accumulator_value": -1}),
        (Adagrad, {"lr_decay": -1}),
        (Adadelta, {"rho": 1}),
        (Adadelta, {"epsilon": -1}),
        (RMSprop, {"rho": -0.1}),
        (RMSprop, {"momentum": 1}),
        (RMSprop, {"epsilon": 0}),
        (Nadam, {"beta_1": 1}),
        (Nadam, {"momentum_decay": -1}),
        (Ftrl, {"learning_rate_power": 0.1}),
        (Ftrl, {"learning_rate_power": float("-inf")}),
        (Ftrl, {"initial_accumulator_value": -1}),
        (Ftrl, {"l1_regularization_strength": -1}),
        (Ftrl, {"l2_regularization_strength": -1}),
        (Ftrl, {"l2_shrinkage_regularization_strength": -1}),
        (Ftrl, {"beta": -1}),
        (Lion, {"beta_2": 1}),
        (Rprop, {"eta_minus": 0}),
        (Rprop, {"step_min": 0}),
        (Rprop, {"step_max": float("inf")}),
    ],
)
def test_constants_outside_their_range(make, constants):
    (name,) = constants
    with pytest.raises(ValueError, match=f"{name} must be"):
        make(**constants)


def test_rprop_limits():
    for bad in ({"eta_minus": 1}, {"eta_plus": 1}):
        with pytest.raises(ValueError, match="eta_minus must be below 1"):
            Rprop(**bad)
    with pytest.raises(ValueError, match="step_min must not be above step_max"):
        Rprop(step_min=1, step_max=0.1)


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


@pytest.mark.covers("backend", "name")
@pytest.mark.parametrize("name", NAMES)
def test_each_one_learns(backend, name, rng):
    """A line through noise: the loss falls, with a learning rate that suits the rule."""
    rates = {"ftrl": 1.0, "adadelta": 5.0, "lion": 0.02, "adagrad": 0.3}
    optimizer = dataclasses.replace(
        optimizers.get(name), learning_rate=rates.get(name, 0.05), **SMOOTH.get(name, {})
    )
    x = rng.standard_normal((200, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.3 + 0.01 * rng.standard_normal(200)
    net = MLP([3, 1], dtype=np.float64, random_state=0)
    batch_size = 200 if name in ("rprop", "gradient_descent") else 20
    history = net.fit(x, y, optimizer=optimizer, epochs=100, batch_size=batch_size)
    assert history.loss[-1] < 0.02 * history.loss[0]


#: What keeps steps from staying large at the end.
SMOOTH = {"adadelta": {"epsilon": 1e-4}}


def test_every_fit_starts_with_fresh_state():
    optimizer = SGD(0.01, momentum=0.9)
    first, second = MLP([1, 1], dtype=np.float64), MLP([1, 1], dtype=np.float64)
    first.weights[0] = second.weights[0] = [[1.0]]
    first.fit([[2.0]], [1.0], optimizer=optimizer, epochs=2)
    second.fit([[2.0]], [1.0], optimizer=optimizer, epochs=1)
    second.fit([[2.0]], [1.0], optimizer=optimizer, epochs=1)
    assert abs(first.weights[0] - second.weights[0]).max() > 1e-3


@pytest.mark.parametrize("scalar", [np.float32, np.float64], ids=lambda t: t.__name__)
@pytest.mark.parametrize(
    ("make", "names"),
    [
        (optimizers.LBFGS, ("learning_rate", "c1", "c2")),
        (
            lambda **constants: optimizers.GradientDescent(line_search="armijo", **constants),
            ("learning_rate", "c1", "c2", "shrink"),
        ),
        (
            lambda **constants: optimizers.GradientDescent(line_search="wolfe", **constants),
            ("learning_rate", "c1", "c2", "shrink"),
        ),
    ],
    ids=["lbfgs", "armijo", "wolfe"],
)
def test_line_searches_take_numpys_numbers_as_pythons(make, names, scalar, rng):
    """They do not give the parameters a dtype of their own."""
    x, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    plain = dict.fromkeys(names, 0.5) | {"c1": 0.25}
    results = []
    for kind in (float, scalar):
        net = MLP([3, 4, 1], random_state=0)
        optimizer = make(**{name: kind(value) for name, value in plain.items()})
        net.fit(x, y, optimizer=optimizer, epochs=4)
        results.append(net.parameters.copy())
    assert results[0].dtype == results[1].dtype == np.float32
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("value", ["0.1", None, [0.1]], ids=repr)
@pytest.mark.parametrize("name", NAMES)
def test_constants_that_are_no_numbers_are_named(name, value):
    with pytest.raises(TypeError, match="learning_rate must be a number"):
        dataclasses.replace(optimizers.get(name), learning_rate=value)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (optimizers.SGD, "nesterov"),
        (optimizers.Adam, "amsgrad"),
        (optimizers.AdamW, "epsilon_hat"),
        (optimizers.RMSprop, "centered"),
    ],
)
def test_switches_are_true_or_false(make, name):
    make(**{name: np.bool_(True)})
    with pytest.raises(TypeError, match=f"{name} must be True or False, got 'no'"):
        make(**{name: "no"})


def test_the_power_of_ftrl_is_a_number():
    with pytest.raises(TypeError, match="learning_rate_power must be a number"):
        optimizers.Ftrl(learning_rate_power="a")


def test_counts_of_full_batch_optimizers_are_integers():
    with pytest.raises(TypeError, match="history_size must be an integer"):
        optimizers.LBFGS(history_size=2.5)
    with pytest.raises(TypeError, match="subset must be an integer"):
        optimizers.GradientDescent(subset="all")
