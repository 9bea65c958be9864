"""The reference's gradients against finite differences, and all backends against torch."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, reference
from support import LOSS_PAIRS, targets

N = 7


def finite_differences(function, point, step=1e-6):
    """Central differences of a scalar function by each element of a float64 array."""
    slope = np.empty_like(point)
    for place in np.ndindex(point.shape):
        kept = point[place]
        point[place] = kept + step
        above = function()
        point[place] = kept - step
        below = function()
        point[place] = kept
        slope[place] = (above - below) / (2 * step)
    return slope


def problem(activation, output, n_out, rng):
    net = Architecture((3, 5, 4, n_out), (activation, activation), output)
    flat = rng.standard_normal(net.n_parameters)
    return net, flat, rng.standard_normal((N, 3))


@pytest.mark.parametrize("n_out", [1, 2, 5])
@pytest.mark.parametrize("pair", LOSS_PAIRS, ids="-".join)
@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_network(activation, pair, n_out, rng):
    """∇C of the reference for every activation, loss, target, row weights and penalty."""
    loss, output = pair
    net, flat, x = problem(activation, output, n_out, rng)
    network = reference.Network(net, "float64")
    for target in targets(loss, N, n_out, "float64", rng):
        for weight in (None, rng.random(N) * np.array([1, 0, 1, 1, 1, 1, 1])):
            for l2 in (0.0, 0.3):

                def value(target=target, weight=weight, l2=l2):
                    return network.loss_and_gradient(
                        flat, x, target, loss, sample_weight=weight, l2=l2
                    )[0]

                _, slope = network.loss_and_gradient(
                    flat, x, target, loss, sample_weight=weight, l2=l2
                )
                expected = finite_differences(value, flat)
                np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("n_out", [1, 2, 5])
@pytest.mark.parametrize("pair", LOSS_PAIRS, ids="-".join)
def test_output_delta(pair, n_out, rng):
    """δ of a row is the derivative of its loss, times its weight, not divided by the rows."""
    loss, output = pair
    scores = rng.standard_normal((N, n_out))
    for target in targets(loss, N, n_out, "float64", rng):
        for weight in (None, rng.random(N)):
            delta = reference.output_delta(scores, target, loss, output, sample_weight=weight)
            total = N if weight is None else weight.sum()

            def value(target=target, weight=weight):
                return reference.loss_value(scores, target, loss, output, sample_weight=weight)

            expected = finite_differences(value, scores) * total
            np.testing.assert_allclose(delta, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", kernels.ACTIVATIONS)
def test_activation_backward(name, rng):
    """``delta ⊙ σ'(z)`` from the activation's output, away from the kinks."""
    z = np.concatenate([rng.uniform(-3, 3, 50), [-0.9, 0.9, -1.1, 1.1, 0.1, -0.1]])[:, None]
    delta = rng.standard_normal(z.shape)
    step = 1e-6
    above, below = reference.activate(z + step, name), reference.activate(z - step, name)
    expected = delta * (above - below) / (2 * step)
    actual = reference.activation_backward(delta, reference.activate(z, name), name)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-8)


def test_canonical_pairs_are_a_minus_y(backend, dtype, rng):
    """For the canonical pairs of loss and output, δ^L is ``a - y``."""
    scores, y = rng.standard_normal((2, N, 3)).astype(dtype)
    y = kernels.activate(y, "softmax")
    for loss, output in (
        ("squared_error", "identity"),
        ("binary_cross_entropy", "sigmoid"),
        ("cross_entropy", "softmax"),
    ):
        delta = kernels.output_delta(scores, y, loss, output)
        expected = kernels.activate(scores, output) - y
        np.testing.assert_allclose(delta, expected, atol=8 * np.finfo(dtype).eps)


class TestTorch:
    """A second oracle: the same networks in torch, differentiated by its autograd."""

    def value_and_gradient(self, torch, net, flat, x, target, loss, weight):
        parameters = torch.tensor(flat, dtype=torch.float64, requires_grad=True)
        weights, biases = [], []
        pieces = torch.split(
            parameters,
            [n_in * n_out for n_in, n_out in net.layer_shapes] + [b for _, b in net.layer_shapes],
        )
        for (n_in, n_out), piece in zip(net.layer_shapes, pieces, strict=False):
            weights.append(piece.reshape(n_in, n_out))
        biases = pieces[len(weights) :]
        functions = {
            "identity": lambda z: z,
            "sigmoid": torch.sigmoid,
            "tanh": torch.tanh,
            "hardtanh": torch.nn.functional.hardtanh,
            "relu": torch.relu,
            "softmax": lambda z: torch.softmax(z, dim=1),
        }
        a = torch.tensor(x, dtype=torch.float64)
        for w, b, name in zip(weights, biases, net.activations, strict=False):
            a = functions[name](a @ w + b)
        z = a @ weights[-1] + biases[-1]
        y = torch.tensor(target)
        if target.ndim == 1:
            y = torch.nn.functional.one_hot(y.long(), z.shape[1]).double()
        if loss == "squared_error":
            rows = 0.5 * ((functions[net.output](z) - y) ** 2).sum(dim=1)
        elif loss == "binary_cross_entropy":
            rows = torch.nn.functional.binary_cross_entropy_with_logits(
                z, y.double(), reduction="none"
            ).sum(dim=1)
        else:
            rows = -(y * torch.log_softmax(z, dim=1)).sum(dim=1)
        row_weight = torch.ones(len(x)) if weight is None else torch.tensor(weight)
        value = (rows * row_weight).sum() / row_weight.sum()
        value.backward()
        return value.item(), parameters.grad.numpy()

    @pytest.mark.parametrize("pair", LOSS_PAIRS, ids="-".join)
    @pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
    def test_loss_and_gradient(self, backend, activation, pair, rng):
        torch = pytest.importorskip("torch")
        loss, output = pair
        for n_out in (1, 3):
            net, flat, x = problem(activation, output, n_out, rng)
            network = kernels.network(net, "float64")
            for target in targets(loss, N, n_out, "float64", rng):
                for weight in (None, rng.random(N)):
                    value, gradient = self.value_and_gradient(
                        torch, net, flat, x, target, loss, weight
                    )
                    actual, slope = network.loss_and_gradient(
                        flat, x, target, loss, sample_weight=weight
                    )
                    np.testing.assert_allclose(actual, value, rtol=1e-12)
                    np.testing.assert_allclose(slope, gradient, rtol=1e-10, atol=1e-13)
