"""Gradient and Gauss–Newton matrix of squared errors in one pass: against the layers' own sums."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from fastmlp import MLP, kernels, optimizers
from fastmlp._training.full_batch import curved
from support import LAYOUTS, laid_out

#: Backends in Python, by the folders of their modules.
NAMES = {"reference": "reference", "numba": "jit"}
#: Rows, sizes, activation: no row, part of a block, several blocks; one layer, several outputs.
SHAPES = [
    (0, (3, 4, 2), "tanh"),
    (1, (3, 4, 2), "tanh"),
    (50, (2, 3), "tanh"),
    (129, (1, 9, 1), "sigmoid"),
    (300, (9, 27, 5), "relu"),
    (260, (17, 3, 8, 1), "leaky_relu"),
]


def problem(n, sizes, activation, dtype, rng):
    """A network of kernels, and parameters, rows, targets and roots of weights."""
    net = kernels.Architecture(sizes, (activation,) * (len(sizes) - 2), "identity")
    arrays = [rng.normal(size=s) for s in (net.n_parameters, (n, sizes[0]), (n, sizes[-1]))]
    given = [*arrays, rng.uniform(0.1, 1, n)]
    return kernels.network(net, np.dtype(dtype)), [a.astype(dtype) for a in given]


def expected_sums(network, parameters, x, target, roots):
    """By the backend's functions of single layers, in float64."""
    net, weights = network.architecture, network.architecture.views(parameters.astype("f8"))
    inputs = [x.astype("f8")]
    for w, b, name in zip(*weights, net.activations, strict=False):
        inputs.append(kernels.activate(inputs[-1] @ w + b, name))
    z = inputs[-1] @ weights[0][-1] + weights[1][-1]
    errors = [roots[:, None, None] * np.eye(net.sizes[-1])]
    for level in range(len(inputs) - 1, 0, -1):
        ones = np.ones_like(inputs[level])
        slope = kernels.activation_backward(ones, inputs[level], net.activations[level - 1])
        errors.insert(0, (errors[0] @ weights[0][level].T) * slope[:, None, :])
    return kernels.gauss_newton(inputs, errors, roots[:, None] * (z - target))


def close(found, expected, dtype):
    size = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=size * (3e-6 if dtype == "f4" else 1e-13)
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_sums_of_layers(backend, dtype, shape, rng):
    network, given = problem(*shape, dtype, rng)
    gradient, matrix = network.gauss_newton(*given)
    sums = expected_sums(network, *given)
    assert gradient.dtype == matrix.dtype == np.float64
    close(matrix, sums[:-1, :-1], dtype)
    close(gradient, sums[-1, :-1], dtype)
    np.testing.assert_array_equal(matrix, matrix.T)
    twice = network.gauss_newton(*given, out=matrix.copy())[1]
    close(twice, 2 * matrix, dtype)


@pytest.mark.parametrize("name", [name for name in kernels.available() if name != "compiled"])
def test_rows_go_through_in_blocks(name, monkeypatch, rng):
    """Backends that write errors or Jacobians down do so for some rows at a time."""
    with kernels.use_backend(name):
        network, given = problem(60, (3, 4, 2), "tanh", "f8", rng)
        whole = network.gauss_newton(*given)
        module = importlib.import_module(f"fastmlp.kernels.{NAMES[name]}.second")
        monkeypatch.setattr(module, "_NUMBERS", 400)
        parts = network.gauss_newton(*given)
    for one, other in zip(whole, parts, strict=True):
        close(one, other, "f8")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(fast_backend, layout, rng, tmp_path):
    network, (parameters, x, target, roots) = problem(140, (5, 4, 2), "tanh", "f8", rng)
    x, target = laid_out(x, layout, tmp_path), laid_out(target, layout, tmp_path)
    expected = network.gauss_newton(parameters, x.copy(), target.copy(), roots)
    found = network.gauss_newton(parameters, x, target, roots)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_threads_change_no_bit(fast_backend, dtype, rng):
    net, given = problem(2000, (9, 30, 2), "tanh", dtype, rng)
    one, two, three = (
        kernels.network(net.architecture, np.dtype(dtype), n_threads=n).gauss_newton(*given)
        for n in (1, 2, 3)
    )
    for other in (two, three):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_wrong_inputs(backend, rng):
    network, (parameters, x, y, roots) = problem(4, (3, 4, 2), "tanh", "f8", rng)
    cases = [
        ((parameters[:-1], x, y, roots), ValueError, "parameters must have shape"),
        ((parameters, x[:, :2], y, roots), ValueError, r"x must have shape \(n, 3\)"),
        ((parameters, x, y[:3], roots), ValueError, r"target must have shape \(4, 2\)"),
        ((parameters, x, y.astype("f4"), roots), TypeError, "target must be float64"),
        ((parameters, x, y, roots[:, None]), ValueError, r"roots must have shape \(4,\)"),
    ]
    for given, error, message in cases:
        with pytest.raises(error, match=message):
            network.gauss_newton(*given)
    with pytest.raises(ValueError, match=r"out must have shape \(26, 26\)"):
        network.gauss_newton(parameters, x, y, roots, out=np.zeros((3, 3)))
    for hidden, output in (("silu", "identity"), ("tanh", "sigmoid")):
        other = kernels.Architecture((3, 4, 2), (hidden,), output)
        with pytest.raises(ValueError, match="needs the output 'identity'"):
            kernels.network(other, np.dtype("f8")).gauss_newton(parameters, x, y, roots)


X = np.random.default_rng(3).uniform(-1, 1, (150, 2))
Y = np.stack([np.sin(3 * X[:, 0]), X[:, 0] * X[:, 1]], axis=1)
WEIGHT = np.random.default_rng(4).random(150)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("rule", ["levenberg_marquardt", "bayesian_regularization"])
def test_a_fit_is_that_of_any_cost(backend, rule, weight, monkeypatch):
    """One pass for gradient and matrix goes the way of separate ones, penalty and weights too."""
    l2 = 0.01 if rule == "levenberg_marquardt" else 0.0
    fits = []
    for joint in (True, False):
        if not joint:
            monkeypatch.setattr(curved, "best", lambda network, loss, otherwise, *_: otherwise)
        net = MLP([2, 6, 2], "tanh", dtype="f8", random_state=1)
        history = net.fit(X, Y, optimizer=rule, epochs=6, l2=l2, sample_weight=weight)
        fits.append((net.parameters, history))
    np.testing.assert_allclose(fits[0][0], fits[1][0], rtol=1e-6, atol=1e-9)
    for what in ("loss", "gradient_norm", "damping"):
        one, other = (getattr(history, what) for _, history in fits)
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_many_rows_are_added_up_in_parts(monkeypatch):
    """Between which Ctrl-C is answered; the sums are those of one call but for rounding."""
    x = np.random.default_rng(0).normal(size=(9000, 2))
    fits = []
    for work in (curved._WORK, 1.0):
        monkeypatch.setattr(curved, "_WORK", work)
        net = MLP([2, 6, 1], "tanh", dtype="f8", random_state=1)
        rule = optimizers.LevenbergMarquardt()
        fits.append(net.fit(x, x[:, :1] * x[:, 1:], optimizer=rule, epochs=4, l2=1e-4))
    np.testing.assert_allclose(fits[0].loss, fits[1].loss, rtol=1e-9)
    np.testing.assert_allclose(fits[0].gradient_norm, fits[1].gradient_norm, rtol=1e-8)


def test_a_cost_whose_gradient_might_overflow_brings_it(monkeypatch):
    """So that a step to where it does is not taken."""
    net = kernels.network(kernels.Architecture((2, 3, 1), ("tanh",), "identity"), np.dtype("f4"))
    parameters = np.full(net.architecture.n_parameters, 0.1, "f4")
    x, y = X.astype("f4"), Y[:, :1].astype("f4")

    def cost(parameters, x, target, weight, out):
        out[...] = np.inf
        return float(np.square(target).mean())

    squares = curved.OfSquares(net, 0.0, curved.InParts(cost, lambda *_: None))
    assert squares.value(parameters, (x, y, None))[1] is None
    value, gradient = squares.value(parameters, (x, 1e6 * y, None))
    assert np.isfinite(value)
    assert np.isinf(gradient).all()
