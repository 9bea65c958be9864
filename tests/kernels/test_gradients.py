"""The reference's gradients against finite differences, and all backends against torch."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, reference
from fastmlp.kernels.reference import regularisation
from support import LOSS_PAIRS, show, targets

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
    if output == "exp":  # so that a change of a parameter is not magnified by huge outputs
        net.views(flat)[0][-1][...] *= 0.2
    return net, flat, rng.standard_normal((N, 3))


def batches(loss, n_out, rng):
    """Targets of every kind with and without row weights; none where the loss needs two outputs."""
    if loss.name == "multiclass_hinge" and n_out < 2:
        return
    for target in targets(loss, N, n_out, "float64", rng):
        for weight in (None, rng.random(N) * np.array([1, 0, 1, 1, 1, 1, 1])):
            yield target, weight


def check_slope(function, flat, slope, rng):
    """Compare ``slope · d`` with central differences along random directions ``d``.

    Each direction has all parameters in it, so any wrong element of the gradient shows. A kink may
    happen to lie within the first step, but then not within the second, a hundredth of it.
    """
    for direction in rng.standard_normal((2, len(flat))):
        direction /= np.linalg.norm(direction)
        for step in (1e-5, 1e-7):
            above, below = function(flat + step * direction), function(flat - step * direction)
            error = abs((above - below) / (2 * step) - slope @ direction)
            # The difference loses digits of the value, and the third derivative grows with it.
            allowed = 1e-6 * max(1, abs(above), np.linalg.norm(slope))
            if error <= allowed:
                break
        assert error <= allowed


@pytest.mark.covers("activation", "pair")
@pytest.mark.parametrize("pair", LOSS_PAIRS, ids=show)
@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_network(activation, pair, rng):
    """∇C of the reference for every activation, loss, target, row weights and penalty."""
    loss, output = pair
    penalties = ({"l2": 0.3, "l1": 0.2}, {})
    for n_out in (1, 2, 5):
        net, flat, x = problem(activation, output, n_out, rng)
        network = reference.Network(net, "float64")
        for number, (target, weight) in enumerate(batches(loss, n_out, rng)):
            options = {"sample_weight": weight, **penalties[number % 2]}

            def both(flat, target=target, network=network, x=x, options=options):
                return network.loss_and_gradient(flat, x, target, loss, **options)

            check_slope(lambda flat, both=both: both(flat)[0], flat, both(flat)[1], rng)


@pytest.mark.covers("activation", "pair")
@pytest.mark.parametrize("pair", LOSS_PAIRS, ids=show)
@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_network_with_dropout(activation, pair, rng):
    """∇C with the units that are left in one step, the same for every evaluation."""
    loss, output = pair
    net, flat, x = problem(activation, output, 3, rng)
    network = reference.Network(net, "float64")
    dropout = regularisation.Dropout((0.2, 0.5, 0.3), seed=5, step=9)
    for target, weight in islice(batches(loss, 3, rng), 0, None, 3):
        slope, unused = np.empty((2, len(flat)))

        def value(flat, out=unused, target=target, weight=weight):
            return network.backpropagate(flat, x, target, loss, weight, out, dropout)

        value(flat, slope)
        check_slope(value, flat, slope, rng)


@pytest.mark.covers("pair", "n_out")
@pytest.mark.parametrize("n_out", [1, 2, 5])
@pytest.mark.parametrize("pair", LOSS_PAIRS, ids=show)
def test_output_delta(pair, n_out, rng):
    """δ of a row is the derivative of its loss, times its weight, not divided by the rows."""
    loss, output = pair
    scores = rng.standard_normal((N, n_out))
    for target, weight in batches(loss, n_out, rng):
        delta = reference.output_delta(scores, target, loss, output, sample_weight=weight)
        total = N if weight is None else weight.sum()

        def value(target=target, weight=weight):
            return reference.loss_value(scores, target, loss, output, sample_weight=weight)

        expected = finite_differences(value, scores) * total
        np.testing.assert_allclose(delta, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [*kernels.ACTIVATIONS, "exp"])
def test_derivative(name, rng):
    """σ' away from the kinks, from what the forward pass keeps."""
    z = np.concatenate([rng.uniform(-5, 5, 90), [-0.9, 0.9, -1.1, 1.1, 0.1, -0.1]])[:, None]
    delta = rng.standard_normal(z.shape)
    table = reference.activations.TABLE
    expected = delta * finite_slope(table[name].function, z)
    kept = z if name in kernels.NEED_SCORES else table[name].function(z)
    np.testing.assert_allclose(table[name].backward(delta, kept), expected, rtol=1e-6, atol=1e-8)


def finite_slope(function, z, step=1e-6):
    return (function(z + step) - function(z - step)) / (2 * step)


@pytest.mark.covers("backend name", "dtype")
@pytest.mark.parametrize(
    ("name", "at", "slope"),
    [
        ("relu", 0, 0),
        ("leaky_relu", 0, 0.01),
        ("hardtanh", -1, 0),
        ("hardtanh", 1, 0),
        ("elu", 0, 1),
        ("selu", 0, 1.7580993408473766),
    ],
)
def test_derivative_at_a_kink(backend, dtype, name, at, slope):
    """PyTorch's: of the left side, but for hardtanh at -1."""
    z = np.full((2, 19), at, dtype)
    a = kernels.activate(z, name)
    actual = kernels.activation_backward(np.full((2, 19), 2, dtype), a, name)
    np.testing.assert_allclose(actual, 2 * slope, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.covers("backend loss", "dtype")
@pytest.mark.parametrize("loss", ["absolute_error", "quantile", "hinge", "squared_hinge"])
def test_slope_at_the_kink_of_a_loss(backend, dtype, loss):
    """Where a loss has a kink and the score lies on it, δ is 0."""
    y = np.tile(np.array([1, -1], dtype), (3, 9))
    np.testing.assert_array_equal(kernels.output_delta(y, y, loss, "identity"), 0)
    assert kernels.loss_value(y, y, loss, "identity") == 0


def test_multiclass_hinge_at_ties(backend, dtype):
    """The first of several largest rivals is the one; a margin of exactly 0 has no error."""
    scores = np.array([[2, 1, 2, 2], [0, 1, 0, -5], [7, 7, 7, 7], [0, 0, 0, 3]], dtype)
    labels = np.array([1, 1, 0, 3])
    expected = [[1, -1, 0, 0], [0, 0, 0, 0], [-1, 1, 0, 0], [0, 0, 0, 0]]
    one_hot = np.eye(4, dtype=dtype)[labels]
    first_of_two = one_hot + (one_hot.cumsum(axis=1) > 0)  # the largest values of a row repeat
    for target in (labels, one_hot, first_of_two - one_hot):
        delta = kernels.output_delta(scores, target, "multiclass_hinge", "identity")
        np.testing.assert_array_equal(delta, expected)
        loss = kernels.loss_value(scores, target, "multiclass_hinge", "identity")
        assert loss == (2 + 0 + 1 + 0) / 4


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
        a = torch.tensor(x, dtype=torch.float64)
        for w, b, name in zip(weights, biases, net.activations, strict=False):
            a = self.activation(torch, name)(a @ w + b)
        z = a @ weights[-1] + biases[-1]
        labels = torch.tensor(target.astype(int)) if target.ndim == 1 else None
        y = torch.tensor(target).double()
        if labels is not None:
            y = torch.nn.functional.one_hot(labels, z.shape[1]).double()
        rows = self.row_losses(torch, loss, self.activation(torch, net.output)(z), z, y, labels)
        row_weight = torch.ones(len(x)) if weight is None else torch.tensor(weight)
        value = (rows * row_weight).sum() / row_weight.sum()
        value.backward()
        return value.item(), parameters.grad.numpy()

    def activation(self, torch, name):
        f = torch.nn.functional
        special = {
            "identity": lambda z: z,
            "softmax": lambda z: torch.softmax(z, dim=1),
            "exp": torch.exp,
            "gelu_tanh": lambda z: f.gelu(z, approximate="tanh"),
        }
        return special.get(name) or getattr(f, name)

    def row_losses(self, torch, loss, a, z, y, labels):
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

    def compare(self, torch, activation, pair, rng):
        loss, output = pair
        for n_out in (1, 3):
            net, flat, x = problem(activation, output, n_out, rng)
            network = kernels.network(net, "float64")
            for target, weight in batches(loss, n_out, rng):
                value, gradient = self.value_and_gradient(torch, net, flat, x, target, loss, weight)
                actual, slope = network.loss_and_gradient(
                    flat, x, target, loss, sample_weight=weight
                )
                np.testing.assert_allclose(actual, value, rtol=1e-11)
                np.testing.assert_allclose(slope, gradient, rtol=1e-9, atol=1e-11)

    @pytest.mark.parametrize("pair", LOSS_PAIRS, ids=show)
    def test_losses(self, backend, pair, rng):
        torch = pytest.importorskip("torch")
        self.compare(torch, "tanh", pair, rng)

    @pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
    def test_activations(self, backend, activation, rng):
        torch = pytest.importorskip("torch")
        for pair in LOSS_PAIRS[:2]:
            self.compare(torch, activation, pair, rng)
