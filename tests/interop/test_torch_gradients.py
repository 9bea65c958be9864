"""Functions, losses and gradients of all backends beside PyTorch's, differentiated by autograd."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import activations, kernels
from problems import batches, small_network
from support import LOSS_PAIRS, show

torch = pytest.importorskip("torch")

FUNCTIONS = tuple(dict.fromkeys((*activations.hidden, *activations.output)))


def value_and_gradient(net, flat, x, target, loss, weight):
    parameters = torch.tensor(flat, dtype=torch.float64, requires_grad=True)
    weights, biases = [], []
    pieces = torch.split(
        parameters,
        [n_in * n_out for n_in, n_out in net.layer_shapes] + [b for _, b in net.layer_shapes],
    )
    for (n_in, n_out), piece in zip(net.layer_shapes, pieces, strict=False):
        weights.append(piece.reshape(n_in, n_out))
    biases = pieces[len(weights) :]
    a = torch.tensor(x, dtype=torch.float64)
    for w, b, name in zip(weights, biases, net.activations, strict=False):
        a = activation_of(name)(a @ w + b)
    z = a @ weights[-1] + biases[-1]
    labels = torch.tensor(target.astype(int)) if target.ndim == 1 else None
    y = torch.tensor(target).double()
    if labels is not None:
        y = torch.nn.functional.one_hot(labels, z.shape[1]).double()
    rows = row_losses(loss, activation_of(net.output)(z), z, y, labels)
    row_weight = torch.ones(len(x)) if weight is None else torch.tensor(weight)
    value = (rows * row_weight).sum() / row_weight.sum()
    value.backward()
    return value.item(), parameters.grad.numpy()


def activation_of(name):
    f = torch.nn.functional
    special = {
        "identity": lambda z: z,
        "softmax": lambda z: torch.softmax(z, dim=1),
        "exp": torch.exp,
        "gelu_tanh": lambda z: f.gelu(z, approximate="tanh"),
    }
    return special.get(name) or getattr(f, name)


def row_losses(loss, a, z, y, labels):
    """torch's losses, summed over the outputs of a row."""
    f, c = torch.nn.functional, loss.constants
    s = c.get("label_smoothing", 0.0)
    name = loss.name
    if name == "cross_entropy":
        if labels is not None:
            return f.cross_entropy(z, labels, reduction="none", label_smoothing=s)
        # torch smooths as if rows summed to 1.
        smooth = (1 - s) * y + s / y.shape[1] * y.sum(dim=1, keepdim=True)
        return f.cross_entropy(z, smooth, reduction="none")
    if name == "multiclass_hinge":
        return torch.stack([
            f.relu(1 + torch.cat([row[:k], row[k + 1 :]]).max() - row[k])
            for row, k in zip(z, y.argmax(dim=1).tolist(), strict=True)
        ])  # fmt: skip
    if name in ("hinge", "squared_hinge"):
        t = y if labels is None else 2 * y - 1
        return (f.relu(1 - t * z) ** (1 if name == "hinge" else 2)).sum(dim=1)
    if name == "squared_error":
        values = 0.5 * f.mse_loss(a, y, reduction="none")
    elif name == "absolute_error":
        values = f.l1_loss(a, y, reduction="none")
    elif name == "huber":
        values = f.huber_loss(a, y, reduction="none", delta=c["delta"])
    elif name == "log_cosh":
        values = torch.log(torch.cosh(a - y))
    elif name == "quantile":
        values = torch.maximum(c["quantile"] * (y - a), (c["quantile"] - 1) * (y - a))
    elif name == "poisson":
        values = f.poisson_nll_loss(z, y, reduction="none") + torch.xlogy(y, y) - y
    else:
        smooth = y * (1 - s) + s / 2
        values = f.binary_cross_entropy_with_logits(z, smooth, reduction="none")
    return values.sum(dim=1)


def compare(activation, pair, rng):
    loss, output = pair
    for n_out in (1, 3):
        net, flat, x = small_network(activation, output, n_out, rng)
        network = kernels.network(net, "float64")
        for target, weight in batches(loss, n_out, rng):
            value, gradient = value_and_gradient(net, flat, x, target, loss, weight)
            actual, slope = network.loss_and_gradient(flat, x, target, loss, sample_weight=weight)
            np.testing.assert_allclose(actual, value, rtol=1e-11)
            np.testing.assert_allclose(slope, gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pair", LOSS_PAIRS, ids=show)
def test_losses(backend, pair, rng):
    compare("tanh", pair, rng)


@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_activations(backend, activation, rng):
    for pair in LOSS_PAIRS[:2]:
        compare(activation, pair, rng)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(backend, name, rng):
    """PyTorch's functions with their default constants."""
    theirs = {
        "identity": lambda z: z,
        "exp": torch.exp,
        "gelu_tanh": lambda z: torch.nn.functional.gelu(z, approximate="tanh"),
        "softmax": lambda z: torch.softmax(z, dim=-1),
    }
    z = np.concatenate([rng.uniform(-19, 19, 200), [0.0]])
    expected = (theirs.get(name) or getattr(torch.nn.functional, name))(torch.tensor(z)).numpy()
    np.testing.assert_allclose(activations.get(name)(z), expected, rtol=1e-11, atol=1e-14)
