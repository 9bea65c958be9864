"""The reference's gradients against finite differences; torch's are in ``tests/interop``."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import reference
from fastmlp.kernels.reference import regularisation
from problems import N, batches, small_network
from support import LOSS_PAIRS, show


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
        net, flat, x = small_network(activation, output, n_out, rng)
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
    net, flat, x = small_network(activation, output, 3, rng)
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
