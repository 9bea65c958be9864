"""Update rules by their formulas, and what holds for every rule; ``tests/interop`` has torch's."""

from __future__ import annotations

import numpy as np
import pytest
from descents import STEPS, N, descend, gradients
from fastmlp import kernels, optimizers
from fastmlp.kernels import UpdateRule
from fastmlp.kernels.reference import update_rules
from support import RULES, show


class Ftrl:
    """Keras's ``Ftrl.update_step``, written out from its definition."""

    def __init__(self, power=-0.5, accumulator=0.1, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
        self.power, self.l1, self.l2 = power, l1, l2
        self.shrinkage, self.beta = shrinkage, beta
        self.accumulator, self.linear = np.full(N, accumulator), np.zeros(N)

    def step(self, p, g, rate):
        strength = self.l2 + self.beta / (2 * rate)
        accumulator = self.accumulator + g**2
        change = accumulator ** (-self.power) - self.accumulator ** (-self.power)
        self.linear = self.linear + g + 2 * self.shrinkage * p - change / rate * p
        quadratic = accumulator ** (-self.power) / rate + 2 * strength
        self.accumulator = accumulator
        return (np.clip(self.linear, -self.l1, self.l1) - self.linear) / quadratic


@pytest.mark.parametrize("constants", [(), (-0.3, 0.5, 0.2, 0.1, 0.05, 0.4)])
def test_ftrl_as_keras(backend, constants, rng):
    rule = optimizers.Ftrl(0.1, *constants).update_rule()
    theirs = Ftrl(*constants)
    gradient, start = gradients(rng), rng.standard_normal(N)
    p, path = start.copy(), []
    for t in range(1, STEPS + 1):
        p = theirs.step(p, gradient(p, t), 0.1)
        path.append(p.copy())
    ours = descend(rule, 0.1, start, gradient)
    np.testing.assert_allclose(ours, path, rtol=1e-10, atol=1e-11)


def test_lion_by_its_formula(backend, rng):
    """Program 1 of the paper, whose decay stands beside the sign."""
    rule = optimizers.Lion(0.01, 0.8, 0.9, weight_decay=0.3).update_rule()
    gradient, start = gradients(rng), rng.standard_normal(N)
    p, m, path = start.copy(), np.zeros(N), []
    for t in range(1, STEPS + 1):
        g = gradient(p, t)
        p = p - 0.01 * (np.sign(0.8 * m + 0.2 * g) + 0.3 * p)
        m = 0.9 * m + 0.1 * g
        path.append(p)
    np.testing.assert_allclose(descend(rule, 0.01, start, gradient), path, rtol=1e-11, atol=1e-12)


@pytest.mark.covers("backend rule", "dtype", without="numba float64")
@pytest.mark.parametrize("rule", RULES, ids=show)
def test_decay_comes_first(backend, dtype, rule, rng):
    """λ is ``p ← p (1 - η λ)``, and then the same update as without it."""
    p, g = rng.standard_normal((2, N)).astype(dtype)
    plain = UpdateRule(rule.name, {**rule.constants, "weight_decay": 0})
    decayed = UpdateRule(rule.name, {**rule.constants, "weight_decay": 2.5})
    q = p * dtype.type(1 - 0.1 * 2.5)
    for vector, which in ((p, decayed), (q, plain)):
        kernels.update(which, vector, g, which.initial_state(N, 0.1, dtype), 1, 0.1)
    inner = 100 if rule.name == "ftrl" else 4
    np.testing.assert_allclose(p, q, rtol=0, atol=inner * np.finfo(dtype).eps)


@pytest.mark.covers("backend rule", "dtype", without="numba float64")
@pytest.mark.parametrize("rule", RULES, ids=show)
def test_kernel_and_trainer_agree(backend, dtype, rule, rng):
    """A trainer's steps on one linear layer are the kernel's, also after a load in between."""
    net = kernels.Architecture((3, 2), (), "identity")
    x, y = rng.standard_normal((8, 3)).astype(dtype), rng.standard_normal((8, 2)).astype(dtype)
    p = rng.standard_normal(net.n_parameters).astype(dtype)
    state = rule.initial_state(len(p), 0.05, dtype)
    network = kernels.network(net, dtype)
    trainer = kernels.trainer(net, dtype, "squared_error", rule, batch_size=8)
    trainer.load(p)
    stored, moments = np.empty_like(p), np.empty_like(state)
    inner = 1e4 if rule.name == "ftrl" else 100  # rounding, which small denominators magnify
    for t in range(1, 9):
        trainer.run_epoch(x, y, None, 0.05)
        _, g = network.loss_and_gradient(p, x, y, "squared_error")
        kernels.update(rule, p, g, state, t, 0.05)
        trainer.store(stored, moments)
        np.testing.assert_allclose(stored, p, rtol=0, atol=inner * np.finfo(dtype).eps)
        if t == 4:
            trainer = kernels.trainer(net, dtype, "squared_error", rule, batch_size=8)
            trainer.load(stored, moments, 4)


def test_nadam_in_any_order():
    """μ's product of a step does not depend on the steps that were asked for before."""
    mu = 0.9 * (1 - 0.5 * 0.96 ** (np.arange(1, 202) * 4e-3))
    for t in (1, 2, 3, 200, 7, 8, 1):
        expected = (1 - mu[t - 1]) / (1 - mu[:t].prod()), mu[t] / (1 - mu[: t + 1].prod())
        np.testing.assert_allclose(update_rules.nadam_factors(t, 0.9, 4e-3), expected, rtol=1e-12)


def test_centred_rmsprop_is_a_number(backend, dtype):
    """Equal gradients have no variance, but rounding may make it negative."""
    rule = UpdateRule("rmsprop", {"centered": 1, "alpha": 0.5})
    p, g = np.zeros((2, 64), dtype)
    g[...] = np.linspace(0.1, 3, 64)
    state = rule.initial_state(64, 0.1, dtype)
    for t in range(1, 100):
        kernels.update(rule, p, g, state, t, 0.01)
    assert np.isfinite(p).all()


def test_initial_state():
    assert UpdateRule("sgd").initial_state(3, 0.1, "f4").shape == (0, 3)
    state = UpdateRule("ftrl").initial_state(3, 0.5, "f4")
    assert state.dtype == np.float32
    np.testing.assert_array_equal(state, np.array([[0.1] * 3, [0] * 3], "f4"))
    rule = UpdateRule("adagrad", {"initial_accumulator": 0.7})
    np.testing.assert_array_equal(rule.initial_state(2, 0.5, "f8"), [[0.7, 0.7]])
    np.testing.assert_array_equal(UpdateRule("rprop").initial_state(1, 0.3, "f8"), [[0], [0.3]])
    for rule in RULES:
        assert rule.initial_state(5, 0.1, "f8").shape == (len(rule.slots), 5)
