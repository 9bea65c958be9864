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


@pytest.mark.parametrize(("loss", "output"), LOSSES_AND_OUTPUTS)
def test_gradients_agree_with_torch(loss, output):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    net = MLP([5, 8, 6, 3], ["relu", "sigmoid"], output, dtype=np.float64, random_state=0)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(9, 5)), some_targets(loss, rng, 9, 3)
    parameters = [
        torch.tensor(np.array(p), requires_grad=True) for p in [*net.weights, *net.biases]
    ]
    w, b = parameters[:3], parameters[3:]
    hidden = torch.relu(torch.tensor(x) @ w[0] + b[0])
    z = torch.sigmoid(hidden @ w[1] + b[1]) @ w[2] + b[2]
    target = torch.tensor(y)
    a = {
        "identity": lambda: z,
        "sigmoid": z.sigmoid,
        "softmax": lambda: z.softmax(1),
        "exp": z.exp,
    }[output]()
    none = {"reduction": "none"}
    rows = {
        "squared_error": lambda: 0.5 * functional.mse_loss(a, target, **none).sum(1),
        "absolute_error": lambda: functional.l1_loss(a, target, **none).sum(1),
        "huber": lambda: functional.huber_loss(a, target, **none).sum(1),
        "quantile": lambda: 0.5 * functional.l1_loss(a, target, **none).sum(1),
        "log_cosh": lambda: (a - target).cosh().log().sum(1),
        # scikit-learn's half deviance: zero where prediction and target agree.
        "poisson": lambda: (
            functional.poisson_nll_loss(z, target, **none) + torch.xlogy(target, target) - target
        ).sum(1),
        "binary_cross_entropy": lambda: functional.binary_cross_entropy_with_logits(
            z, target, **none
        ).sum(1),
        "cross_entropy": lambda: functional.cross_entropy(z, target, **none),
        "hinge": lambda: (1 - target * z).clamp(min=0).sum(1),
        "squared_hinge": lambda: (1 - target * z).clamp(min=0).square().sum(1),
        # Crammer and Singer: the highest wrong score against the right one.
        "multiclass_hinge": lambda: (
            1 + z[target < 1].reshape(-1, 2).amax(1) - z[target == 1]
        ).clamp(min=0),
    }
    expected = rows[loss]().mean()
    expected.backward()
    value, gradients = net.loss_and_gradients(x, y, loss)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    for (dw, db), wanted_w, wanted_b in zip(gradients, w, b, strict=True):
        np.testing.assert_allclose(dw, wanted_w.grad.numpy(), rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(db, wanted_b.grad.numpy(), rtol=1e-9, atol=1e-13)


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
