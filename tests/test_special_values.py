"""NaN, infinities, huge, tiny and subnormal numbers, and the accuracy of the activations."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, reference
from support import LOSS_PAIRS, assert_agrees


def special(dtype):
    limits = np.finfo(dtype)
    ends = [np.inf, limits.max, 1e30, 1000, 710, 104, 89, 88, 20, 1, 0.5, 1e-4, 1e-20]
    ends += [limits.tiny, limits.smallest_subnormal, 0]
    return np.array([*ends, *(-end for end in ends), np.nan], dtype)


def quietly(function, *args, **kwargs):
    with np.errstate(all="ignore"):
        return function(*args, **kwargs)


@pytest.mark.parametrize("name", kernels.ACTIVATIONS)
def test_activations(backend, dtype, name):
    values = special(dtype)
    for n in (1, 7, 16, len(values)):  # every value at every place of a vector, and in its tail
        for shift in range(len(values)):
            z = np.roll(values, shift)[None, :n].copy()
            exact = quietly(reference.activate, z.astype("float64"), name)
            wanted = quietly(exact.astype, dtype)
            actual = quietly(kernels.activate, z, name)
            np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted), f"{name}({z})")
            np.testing.assert_array_equal(np.isinf(actual), np.isinf(wanted), f"{name}({z})")
            tiny = np.finfo(dtype).tiny
            np.testing.assert_allclose(actual, wanted, 1e-6 if dtype == "f4" else 1e-14, tiny)


@pytest.mark.parametrize("name", kernels.ACTIVATIONS)
def test_derivatives(backend, dtype, name):
    """Where σ' is zero by cases the product is zero whatever the error holds, even NaN."""
    delta, z = np.meshgrid(special(dtype), special(dtype))
    delta, z = np.ascontiguousarray(delta), np.ascontiguousarray(z)
    activations = quietly(reference.activate, z, name)
    wanted = quietly(reference.activation_backward, delta, activations, name)
    actual = quietly(kernels.activation_backward, delta, activations, name)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
    np.testing.assert_allclose(actual, wanted, 1e-6 if dtype == "f4" else 1e-14, 0)


def test_softmax_rows(backend, dtype):
    """A row's largest score is taken off first; NaN and +inf spoil their own row only."""
    limits = np.finfo(dtype)
    rows = np.array(
        [
            [0, 0, 0, 0, 0],
            [1000, 1000, -1000, 0, 999],
            [limits.max, limits.max, 0, -limits.max, 0],
            [-np.inf, 0, 1, -np.inf, 2],
            [np.nan, 0, 1, 2, 3],
            [np.inf, 0, 1, 2, 3],
            [-np.inf] * 5,
            [1, 2, 3, 4, 5],
        ],
        dtype,
    )
    wanted = quietly(reference.activate, rows.astype("float64"), "softmax")
    actual = quietly(kernels.activate, rows, "softmax")
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
    assert_agrees(actual, wanted, dtype, 5, "softmax of rows")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_row_stays_alone(backend, dtype, bad, rng):
    """NaN and inf spread as in the reference: through their row, and no other."""
    x = rng.standard_normal((20, 9)).astype(dtype)
    weights, bias = rng.standard_normal((9, 21)).astype(dtype), np.zeros(21, dtype)
    weights[3, 5] = 0
    clean = kernels.dense_forward(x, weights, bias, "tanh")
    x[7, 3] = bad
    exact = [array.astype("float64") for array in (x, weights, bias)]
    for name in (*kernels.ACTIVATIONS, "softmax"):
        actual = quietly(kernels.dense_forward, x, weights, bias, name)
        wanted = quietly(reference.dense_forward, *exact, name)
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted), name)
        assert_agrees(actual, wanted, dtype, 9 + 21, name)
    others = np.arange(20) != 7
    spoiled = quietly(kernels.dense_forward, x, weights, bias, "tanh")
    if kernels.info()["backend"] != "reference":  # BLAS may group rows as it likes
        np.testing.assert_array_equal(spoiled[others], clean[others])
    gradient = quietly(kernels.weight_gradient, x, clean)
    wanted = quietly(reference.weight_gradient, x, clean)
    np.testing.assert_array_equal(np.isfinite(gradient), np.isfinite(wanted))


@pytest.mark.parametrize("pair", LOSS_PAIRS, ids="-".join)
def test_losses_far_out(backend, dtype, pair):
    """No finite score gives an infinite loss or δ, unless its square overflows."""
    loss, output = pair
    for size in (0.0, 1e-30, 30.0, 100.0, 1e4, 1e18):
        scores = np.array([[size, -size, 0], [-size, size, size]], dtype)
        for target in (np.array([0, 1]), np.array([2, 0]), np.full((2, 3), 0.25, dtype)):
            exact = (scores.astype("f8"), target if target.ndim == 1 else target.astype("f8"))
            what = f"{loss} of scores ±{size}, target {target.tolist()}"
            value = quietly(kernels.loss_value, scores, target, loss, output)
            delta = quietly(kernels.output_delta, scores, target, loss, output)
            assert np.isfinite(value), what
            assert np.isfinite(delta).all(), what
            wanted = quietly(reference.loss_value, *exact, loss, output)
            # A difference of scores is as exact as the scores are.
            assert_agrees(value, wanted, dtype, 12 + size, what)
            wanted = quietly(reference.output_delta, *exact, loss, output)
            assert_agrees(delta, wanted, dtype, 12, f"δ of {what}")


@pytest.mark.parametrize("pair", LOSS_PAIRS, ids="-".join)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_losses_of_bad_scores(backend, dtype, pair, bad):
    """A diverged network is seen in its loss: NaN and inf are never hidden."""
    loss, output = pair
    scores = np.array([[1, bad, 0], [0.5, 2, 1]], dtype)
    target = np.full((2, 3), 0.25, dtype)
    wanted = quietly(reference.loss_value, scores.astype("f8"), target.astype("f8"), loss, output)
    actual = quietly(kernels.loss_value, scores, target, loss, output)
    assert_agrees(actual, wanted, dtype, 12, f"{loss} with a score {bad}")
    wanted = quietly(reference.output_delta, scores.astype("f8"), target.astype("f8"), loss, output)
    actual = quietly(kernels.output_delta, scores, target, loss, output)
    assert_agrees(actual, wanted, dtype, 12, f"δ of {loss} with a score {bad}")


def test_network_with_nan(backend, dtype, rng):
    net = Architecture((5, 8, 3), ("relu",), "softmax")
    flat = rng.standard_normal(net.n_parameters).astype(dtype)
    x = rng.standard_normal((9, 5)).astype(dtype)
    x[4, 2] = np.nan
    predicted = quietly(kernels.network(net, dtype).predict, flat, x)
    np.testing.assert_array_equal(np.isnan(predicted).any(axis=1), np.arange(9) == 4)
    assert np.isnan(predicted[4]).all()
    loss = quietly(kernels.network(net, dtype).loss, flat, x, np.zeros(9, int), "cross_entropy")
    assert np.isnan(loss)


def test_subnormal_products(backend, dtype):
    """Nothing is flushed to zero: a product of small numbers keeps its subnormal value."""
    tiny = np.finfo(dtype).tiny
    x, weights = np.full((3, 1), tiny, dtype), np.full((1, 17), 0.25, dtype)
    result = kernels.dense_forward(x, weights, np.zeros(17, dtype))
    np.testing.assert_array_equal(result, np.full((3, 17), tiny * dtype.type(0.25)))


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_accuracy(fast_backend, dtype, name):
    """Within 3 units in the last place in float32, 4 in float64, over a sample of all numbers."""
    bits = np.dtype(f"i{dtype.itemsize}")
    top = dtype.type(np.inf).view(bits)
    z = np.linspace(0, float(top) - 1, 200_001).astype(bits).view(dtype)
    near = np.linspace(-25, 25, 100_001).astype(dtype)
    z = np.concatenate([z, -z, near])[None]
    exact = z.astype(np.float64 if dtype == "f4" else np.longdouble)
    if np.finfo(exact.dtype).nmant < np.finfo(dtype).nmant + 10:
        pytest.skip("this platform's long double is no more than a double")
    with np.errstate(all="ignore"):
        wanted = np.tanh(exact) if name == "tanh" else 1 / (1 + np.exp(-exact))
    actual = kernels.activate(z, name)
    unit = np.spacing(np.maximum(np.abs(wanted.astype(dtype)), np.finfo(dtype).tiny))
    error = np.abs(actual.astype(exact.dtype) - wanted) / unit
    worst = int(error.argmax())
    assert error.max() <= (3 if dtype == "f4" else 4), (
        f"{name}({z[0, worst]!r}) = {actual[0, worst]!r}, exactly {wanted[0, worst]!r}: "
        f"{error[0, worst]:.2f} units in the last place"
    )
