"""Losses and gradients of a network: those of the equations, whatever form targets have."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, kernels
from problems import data

LOSSES_AND_OUTPUTS = [
    (loss, output) for loss, outputs in kernels.LOSS_OUTPUTS.items() for output in outputs
]


def some_targets(loss, rng, n, n_out):
    """Targets that the loss is defined for: distributions, or -1 and 1."""
    if "hinge" in loss:
        return 2.0 * np.eye(n_out)[rng.integers(n_out, size=n)] - 1
    return rng.dirichlet(np.ones(n_out), size=n)


@pytest.mark.covers("backend", "loss output")
@pytest.mark.parametrize(("loss", "output"), LOSSES_AND_OUTPUTS)
def test_gradients_are_those_of_the_loss(backend, loss, output):
    net = MLP([3, 4, 2], "tanh", output, dtype=np.float64, random_state=0)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 3)), some_targets(loss, rng, 7, 2)
    weight = rng.uniform(0.1, 2, size=7)
    value, gradients = net.loss_and_gradients(x, y, loss, sample_weight=weight)
    assert value == pytest.approx(net.loss(x, y, loss, weight), rel=1e-12)
    flat = np.concatenate([dw.ravel() for dw, _ in gradients] + [db for _, db in gradients])
    step = 1e-6
    for i in range(len(flat)):
        net.parameters[i] += step
        above = net.loss(x, y, loss, weight)
        net.parameters[i] -= 2 * step
        below = net.loss(x, y, loss, weight)
        net.parameters[i] += step
        assert flat[i] == pytest.approx((above - below) / (2 * step), abs=1e-8)


def test_natural_losses():
    x, labels = data(n_out=2)
    one_hot = np.eye(2)[labels]
    for output, loss in [
        ("softmax", "cross_entropy"),
        ("sigmoid", "binary_cross_entropy"),
        ("identity", "squared_error"),
    ]:
        net = MLP([4, 2], output=output, random_state=0)
        assert net.loss(x, one_hot) == net.loss(x, one_hot, loss)
        # Labels mean one-hot rows.
        assert net.loss(x, labels) == pytest.approx(net.loss(x, one_hot), rel=1e-6)


def test_one_output_takes_a_flat_target():
    x, labels = data(n_out=2)
    net = MLP([4, 1], output="sigmoid", random_state=0)
    assert net.loss(x, labels) == net.loss(x, labels[:, None].astype(float))
    assert net.loss(x, labels == 1) == net.loss(x, labels)
