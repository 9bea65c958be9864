"""Derivatives of whole networks by their inputs: every backend gives the reference's values."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, reference
from support import same_numbers

#: Sizes, activations and output; more inputs than outputs, and fewer; wider than a tile; deep.
NETS = [
    Architecture((20, 33, 5), ("tanh",), "identity"),
    Architecture((3, 5, 4, 2), ("gelu", "relu"), "softmax"),
    Architecture((2, 19, 70), ("relu",), "softmax"),
    Architecture((70, 7, 1), ("mish",), "sigmoid"),
    Architecture((4,) * 12, ("elu",) * 10, "exp"),
    Architecture((1, 1), (), "identity"),
]
LOSSES = {
    "identity": "huber",
    "softmax": "cross_entropy",
    "sigmoid": "binary_cross_entropy",
    "exp": "poisson",
}
TOLERANCE = {"float32": {"rtol": 3e-4, "atol": 3e-5}, "float64": {"rtol": 1e-10, "atol": 1e-12}}


def problem(net, n, dtype, rng):
    flat = (0.4 * rng.standard_normal(net.n_parameters)).astype(dtype)
    arrays = [rng.standard_normal((n, net.sizes[k])).astype(dtype) for k in (0, 0, -1)]
    return flat, *arrays


@pytest.mark.covers("fast_backend net", "net n", "fast_backend dtype")
@pytest.mark.parametrize("net", NETS, ids=lambda net: "-".join(map(str, net.sizes)))
@pytest.mark.parametrize("n", [0, 1, 3, 40, 201])
def test_products(fast_backend, dtype, net, n, rng):
    flat, x, d_x, d_y = problem(net, n, dtype, rng)
    network = kernels.network(net, dtype)
    expected = reference.Network(net, "float64")
    double = [a.astype(np.float64) for a in (flat, x, d_x, d_y)]
    for scores in (False, True):
        for name, given in (("vjp", (3,)), ("jvp", (2,)), ("jacobian", ())):
            wanted = getattr(expected, name)(
                *double[:2], *(double[i] for i in given), scores=scores
            )
            others = [(flat, x, d_x, d_y)[i] for i in given]
            found = getattr(network, name)(flat, x, *others, scores=scores)
            np.testing.assert_allclose(
                found, wanted, **TOLERANCE[np.dtype(dtype).name], err_msg=name
            )
            out = np.full_like(found, 7)
            assert getattr(network, name)(flat, x, *others, scores=scores, out=out) is out
            np.testing.assert_array_equal(out, found, name)


@pytest.mark.parametrize("net", NETS[:5], ids=lambda net: net.output)
def test_gradients_of_losses(fast_backend, net, rng):
    flat, x, _, y = problem(net, 30, "float64", rng)
    labels = rng.integers(0, net.sizes[-1], 30)
    target = labels if net.output == "softmax" else rng.random(y.shape)
    weight = rng.random(30)
    network, expected = kernels.network(net, "float64"), reference.Network(net, "float64")
    for given in (None, weight):
        arguments = flat, x, target, LOSSES[net.output]
        np.testing.assert_allclose(
            network.input_gradients(*arguments, sample_weight=given),
            expected.input_gradients(*arguments, sample_weight=given),
            rtol=1e-10,
            atol=1e-12,
        )


@pytest.mark.parametrize("net", NETS[:4], ids=lambda net: net.output)
def test_rows_do_not_depend_on_each_other(dtype, net, rng):
    """On the compiled backend: a row alone, any number of threads, and rows of a Jacobian."""
    if "compiled" not in kernels.available():
        pytest.skip("the compiled backend is not built")
    flat, x, d_x, d_y = problem(net, 300, dtype, rng)
    with kernels.use_backend("compiled"):
        network = kernels.network(net, dtype, n_threads=1)
        vjp, jvp = network.vjp(flat, x, d_y), network.jvp(flat, x, d_x)
        jacobian = network.jacobian(flat, x)
        for n_threads in (2, 3):
            other = kernels.network(net, dtype, n_threads=n_threads)
            np.testing.assert_array_equal(other.vjp(flat, x, d_y), vjp)
            np.testing.assert_array_equal(other.jacobian(flat, x), jacobian)
        for part in (slice(0, 1), slice(299, 300), slice(5, 8), slice(7, 60)):
            np.testing.assert_array_equal(network.vjp(flat, x[part], d_y[part]), vjp[part])
            np.testing.assert_array_equal(network.jvp(flat, x[part], d_x[part]), jvp[part])
            np.testing.assert_array_equal(network.jacobian(flat, x[part]), jacobian[part])
        ones = np.zeros_like(d_y)
        ones[:, -1] = 1
        if net.sizes[-1] <= net.sizes[0]:
            np.testing.assert_array_equal(network.vjp(flat, x, ones), jacobian[:, -1])


def test_layouts_and_wrong_arguments(backend, rng):
    net = NETS[0]
    flat, x, d_x, d_y = problem(net, 9, "float64", rng)
    network = kernels.network(net, "float64")
    expected = network.vjp(flat, x, d_y)
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    for other in (np.asfortranarray(x), strided):
        found = network.vjp(flat, other, np.asfortranarray(d_y))
        same_numbers(backend, "float64")(found, expected)
    for wrong in (d_x, d_y[:-1], d_y[:, :-1]):
        with pytest.raises(ValueError, match=r"d_outputs must have shape \(9, 5\)"):
            network.vjp(flat, x, wrong)
    with pytest.raises(ValueError, match="d_x must have shape"):
        network.jvp(flat, x, d_y)
    with pytest.raises(TypeError, match="d_outputs must be float64"):
        network.vjp(flat, x, d_y.astype("f4"))
    with pytest.raises(ValueError, match=r"out must have shape \(9, 5, 20\)"):
        network.jacobian(flat, x, out=np.empty((9, 20, 5)))
    with pytest.raises(ValueError, match="out must not share memory"):
        network.vjp(flat, x, d_y, out=x)
