"""The passes of a product with the Hessian: of each backend that has them, beside the reference."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture

NETS = {
    "linear": Architecture((3, 2), (), "identity"),
    "one": Architecture((5, 7, 1), ("tanh",), "identity"),
    "halves": Architecture((20, 17, 40, 3), ("tanh", "sigmoid"), "identity"),
    "kinks": Architecture((33, 64, 16, 9), ("relu", "leaky_relu"), "sigmoid"),
}
ROWS = (1, 13, 128, 300)


def problem(net, rows, dtype, seed=0):
    rng = np.random.default_rng(seed)
    flat, v = rng.normal(0, 0.4, (2, net.n_parameters)).astype(dtype)
    x = rng.normal(size=(rows, net.sizes[0])).astype(dtype)
    delta, delta_dot = rng.normal(size=(2, rows, net.sizes[-1])).astype(dtype)
    return flat, v, x, delta, delta_dot


def run(net, dtype, flat, v, x, delta, delta_dot, rows=None, **options):
    """Scores, how they move, and the product."""
    network = kernels.network(net, dtype, **options)
    product = network.hessian_product(flat, v, len(x) if rows is None else rows)
    return None if product is None else (*product.forward(x), product.back(delta, delta_dot))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_to_the_reference(name, dtype, backend):
    net, close = NETS[name], {"float32": 2e-5, "float64": 1e-13}[dtype]
    for rows in ROWS:
        given = problem(net, rows, dtype)
        found = run(net, dtype, *given)
        if found is None:
            assert backend == "numba"
            return
        with kernels.use_backend("reference"):
            expected = run(net, dtype, *given)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=0, atol=close * max(1.0, np.abs(b).max()))


def test_the_reference_is_the_derivative_of_the_gradient():
    """By central differences of a loss whose errors of the scores are those of the call."""
    net = NETS["halves"]
    flat, v, x, *_ = problem(net, 9, "float64")
    target, step = np.random.default_rng(1).normal(size=(9, 3)), 1e-5
    with kernels.use_backend("reference"):
        network = kernels.network(net, "float64")
        gradients = [
            network.loss_and_gradient(flat + s * step * v, x, target, "squared_error")[1].copy()
            for s in (1, -1)
        ]
        product = network.hessian_product(flat, v, 9)
        z, z_dot = product.forward(x)
        found = product.back((z - target) / 9, z_dot / 9)
    differences = (gradients[0] - gradients[1]) / (2 * step)
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-8)


def test_bits_do_not_depend_on_threads_or_on_the_rows_before(backend):
    net = NETS["halves"]
    given = problem(net, 300, "float32")
    one = run(net, "float32", *given, n_threads=1)
    if one is None or backend == "reference":  # BLAS sums rows as it likes
        return
    for options in ({"n_threads": 2}, {"n_threads": 5}, {"rows": 777}):
        for a, b in zip(one, run(net, "float32", *given, **options), strict=True):
            np.testing.assert_array_equal(a, b)
    flat, v, x, delta, delta_dot = given
    product = kernels.network(net, "float32").hessian_product(flat, v, 300)
    product.forward(x)
    product.back(delta, delta_dot)
    z, z_dot = product.forward(x[:40])
    for a, b in zip((z, z_dot), one, strict=False):
        np.testing.assert_array_equal(a, b[:40])
    alone = run(net, "float32", flat, v, x[:40], delta[:40], delta_dot[:40])
    np.testing.assert_array_equal(product.back(delta[:40], delta_dot[:40]), alone[2])


def test_strides_and_other_activations(backend):
    net = NETS["one"]
    flat, v, x, delta, delta_dot = problem(net, 6, "float64")
    found = run(net, "float64", flat, v, x, delta, delta_dot)
    if found is not None:
        apart = [np.repeat(a, 2, axis=1)[:, ::2] for a in (x, delta, delta_dot)]
        for a, b in zip(run(net, "float64", flat, v, *apart), found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    other = Architecture((5, 7, 1), ("gelu",), "identity")
    assert kernels.network(other, "float64").hessian_product(flat, v, 6) is None


def test_what_does_not_fit_is_named(backend):
    net = NETS["one"]
    flat, v, x, delta, delta_dot = problem(net, 6, "float64")
    network = kernels.network(net, "float64")
    with pytest.raises(ValueError, match="direction"):
        network.hessian_product(flat, v[1:], 6)
    product = network.hessian_product(flat, v, 6)
    if product is None:
        return
    with pytest.raises(ValueError, match=r"forward|shape"):
        product.back(delta, delta_dot)
    for wrong in (x[:, 1:], x[:0], np.concatenate([x, x])):
        with pytest.raises(ValueError, match="x must have"):
            product.forward(wrong)
    product.forward(x)
    with pytest.raises(ValueError, match="delta_dot must have shape"):
        product.back(delta, delta_dot[1:])
    with pytest.raises(TypeError, match="delta must be float64"):
        product.back(delta.astype("f4"), delta_dot)
