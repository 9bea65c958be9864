"""NaN, infinities, huge, tiny and subnormal numbers, and the accuracy of the activations."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, reference
from support import LOSS_PAIRS, assert_agrees, show


def special(dtype):
    limits = np.finfo(dtype)
    ends = [np.inf, limits.max, 1e30, 1000, 710, 104, 89, 88, 20, 1, 0.5, 1e-4, 1e-20]
    ends += [limits.tiny, limits.smallest_subnormal, 0]
    return np.array([*ends, *(-end for end in ends), np.nan], dtype)


def quietly(function, *args, **kwargs):
    with np.errstate(all="ignore"):
        return function(*args, **kwargs)


#: Their last digits are relative to 1: where they go to zero, not every digit is promised.
ABSOLUTE = ("elu", "selu", "softplus", *kernels.NEED_SCORES)


@pytest.mark.covers("backend name", "dtype name", without="numba float64")
@pytest.mark.parametrize("name", [*kernels.ACTIVATIONS, "exp"])
def test_activations(backend, dtype, name):
    values = special(dtype)
    limits = np.finfo(dtype)
    smallest = 4 * limits.eps if name in ABSOLUTE else limits.tiny
    for n in (1, 7, 16, len(values)):  # every value at every place of a vector, and in its tail
        shifted = [np.roll(values, shift)[None, :n].copy() for shift in range(len(values))]
        z = np.concatenate(shifted)
        exact = quietly(reference.activate, z.astype("float64"), name)
        wanted = quietly(exact.astype, dtype)
        actual = np.concatenate([quietly(kernels.activate, row, name) for row in shifted])
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted), f"{name}({z})")
        np.testing.assert_array_equal(np.isinf(actual), np.isinf(wanted), f"{name}({z})")
        np.testing.assert_allclose(actual, wanted, 1e-6 if dtype == "f4" else 1e-14, smallest)


@pytest.mark.covers("backend name", "dtype name", without="numba float64")
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        *[(name, 0, np.inf) for name in ("softplus", "silu", "gelu", "gelu_tanh", "mish")],
        *[("elu", -1, np.inf), ("selu", -1.7580993408473766, np.inf), ("exp", 0, np.inf)],
        ("leaky_relu", -np.inf, np.inf),
    ],
)
def test_limits(backend, dtype, name, low, high):
    """At ±∞ there are the limits, with derivatives that are numbers; NaN stays NaN."""
    z = np.array([[-np.inf, np.inf, np.nan]], dtype)
    a = quietly(kernels.activate, z, name)
    np.testing.assert_allclose(a, [[low, high, np.nan]], rtol=np.finfo(dtype).eps)
    if name == "exp":
        return
    kept = z if name in kernels.NEED_SCORES else a
    slope = quietly(kernels.activation_backward, np.ones_like(z), kept, name)[0, :2]
    steep = {"leaky_relu": [0.01, 1], "selu": [0, 1.0507009873554805]}.get(name, [0, 1])
    np.testing.assert_allclose(slope, steep, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.covers("backend name", "dtype name", without="numba float64")
@pytest.mark.parametrize("name", kernels.ACTIVATIONS)
def test_derivatives(backend, dtype, name):
    """Where σ' is zero by cases the product is zero whatever the error holds, even NaN."""
    delta, z = np.meshgrid(special(dtype), special(dtype))
    delta, z = np.ascontiguousarray(delta), np.ascontiguousarray(z)
    kept = z if name in kernels.NEED_SCORES else quietly(reference.activate, z, name)
    exact, smallest = (delta, kept), 0.0
    if name in ABSOLUTE:
        # Infinity times what goes to zero may be NaN or infinity. Of scores, terms that nearly
        # cancel are up to 30 times the derivative.
        delta = np.where(np.isinf(delta), 1, delta)
        terms = 64 if name in kernels.NEED_SCORES else 8
        smallest = terms * float(np.finfo(dtype).eps) * np.nan_to_num(np.abs(delta))
        smallest += float(np.finfo(dtype).smallest_subnormal)
        exact = (delta.astype("f8"), kept.astype("f8"))
    wanted = quietly(quietly(reference.activation_backward, *exact, name).astype, dtype)
    actual = quietly(kernels.activation_backward, delta, kept, name)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
    relative = 1e-6 if dtype == "f4" else 1e-14
    with np.errstate(all="ignore"):
        error = np.abs(actual.astype(np.longdouble) - wanted)
        close = (actual == wanted) | (error <= smallest + relative * np.abs(wanted))
    # A slope that rounds to one or to the number above it takes the largest number over the edge.
    edge = np.isinf(actual) & (np.abs(wanted) >= np.finfo(dtype).max * (1 - relative))
    wrong = ~(close | np.isnan(wanted) | edge)
    assert not wrong.any(), (z[wrong], delta[wrong], actual[wrong], wanted[wrong])


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


@pytest.mark.covers("backend bad", "dtype", without="numba float64")
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


@pytest.mark.covers("backend pair", "dtype", without="numba float64")
@pytest.mark.parametrize("pair", LOSS_PAIRS, ids=show)
def test_losses_far_out(backend, dtype, pair):
    """No finite score gives an infinite loss or δ, unless its square or exp overflows."""
    loss, output = pair
    # A hinge is squared in its own dtype.
    for size in (0.0, 1e-30, 30.0) if output == "exp" else (0.0, 1e-30, 30.0, 100.0, 1e4, 1e18):
        scores = np.array([[size, -size, 0], [-size, size, size]], dtype)
        values = np.full((2, 3), -1 if "hinge" in loss.name else 0.25, dtype)
        for target in (np.array([0, 1]), np.array([2, 0]), values):
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


@pytest.mark.covers("backend bad", "dtype bad", without="numba float64")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_losses_of_bad_scores(backend, dtype, bad):
    """A diverged network is seen in its loss: NaN and inf are never hidden."""
    scores = np.array([[1, bad, 0], [0.5, 2, 1]], dtype)
    target = np.full((2, 3), 0.25, dtype)
    exact = scores.astype("f8"), target.astype("f8")
    for loss, output in LOSS_PAIRS:
        wanted = quietly(reference.loss_value, *exact, loss, output)
        actual = quietly(kernels.loss_value, scores, target, loss, output)
        assert_agrees(actual, wanted, dtype, 12, f"{loss} with a score {bad}")
        wanted = quietly(reference.output_delta, *exact, loss, output)
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
