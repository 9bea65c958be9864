"""Derivatives of a network by inputs and parameters, against finite differences of what it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fastmlp import MLP, activations, kernels, losses
from fastmlp.kernels import LOSS_OUTPUTS

SIZES = [3, 5, 4, 2]
STEP = 1e-6


def wavy(z):
    return z * np.tanh(z) + np.sin(z)


def my_log_cosh(z, y):
    return np.log(np.cosh(z - y))


def network(activation="tanh", output="identity", dtype="f8", sizes=SIZES):
    """A network whose biases are not zero, so that no derivative is zero by chance."""
    net = MLP(sizes, activation=activation, output=output, dtype=dtype, random_state=1)
    rng = np.random.default_rng(2)
    net.biases = [0.3 * rng.normal(size=bias.shape) for bias in net.biases]
    return net


def differences(f, x):
    """Central differences of ``f`` by every element of ``x``, ``(*f(x).shape, *x.shape)``."""
    result = np.empty((*np.shape(f(x)), *x.shape))
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = STEP
        result[(..., *place)] = (f(x + step) - f(x - step)) / (2 * STEP)
    return result


def with_parameters(net, parameters):
    other = network(net.architecture.activations, net.architecture.output, sizes=SIZES)
    other.parameters[:] = parameters
    return other


CASES = [
    *((name, "identity") for name in kernels.ACTIVATIONS),
    *(("gelu", output) for output in kernels.OUTPUTS),
    (activations.custom(wavy), "softmax"),
    (activations.custom(wavy, lambda z: np.tanh(z) + z / np.cosh(z) ** 2 + np.cos(z)), "exp"),
]


@pytest.mark.parametrize(("activation", "output"), CASES, ids=str)
def test_products_and_jacobians(activation, output, rng):
    net = network(activation, output)
    X = rng.normal(size=(4, 3))
    dX, dY = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    jacobian = np.stack([differences(lambda x: net.predict(x[None])[0], row) for row in X])
    np.testing.assert_allclose(net.jacobian(X), jacobian, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(net.jvp(X, dX), np.einsum("nki,ni->nk", net.jacobian(X), dX))
    np.testing.assert_allclose(net.vjp(X, dY), np.einsum("nki,nk->ni", net.jacobian(X), dY))
    by_parameters = differences(lambda p: with_parameters(net, p).predict(X), net.parameters.copy())
    np.testing.assert_allclose(net.parameter_jacobian(X), by_parameters, rtol=1e-6, atol=1e-7)
    d_x, gradient = net.vjp(X, dY, parameters=True)
    np.testing.assert_array_equal(d_x, net.vjp(X, dY))
    np.testing.assert_allclose(gradient, np.einsum("nk,nkp->p", dY, net.parameter_jacobian(X)))


@pytest.mark.parametrize(("activation", "output"), CASES, ids=str)
def test_second_derivatives_by_inputs(activation, output, rng):
    net = network(activation, output)
    X = rng.normal(size=(3, 3))
    hessian = np.stack([differences(lambda x: net.jacobian(x[None])[0], row) for row in X])
    np.testing.assert_allclose(net.input_hessian(X), hessian, rtol=1e-6, atol=1e-7)


PAIRS = [(loss, output) for loss, outputs in LOSS_OUTPUTS.items() for output in outputs]
PAIRS += [(losses.custom(my_log_cosh), output) for output in ("identity", "softmax")]


@pytest.mark.parametrize(("loss", "output"), PAIRS, ids=str)
def test_of_losses(loss, output, rng):
    """Gradients by inputs, and products with the Hessian, with row weights."""
    net = network("silu", output)
    X, weight = rng.normal(size=(5, 3)), rng.random(5)
    y = rng.dirichlet([1, 1], 5)
    if loss in ("hinge", "squared_hinge"):
        y = np.where(y > 0.5, 1.0, -1.0)
    if loss in ("multiclass_hinge", "cross_entropy"):
        y = rng.integers(0, 2, 5)

    def of_row(row, x):
        return net.loss(x[None], y[row : row + 1], loss)

    expected = [differences(lambda x, i=i: of_row(i, x), row) for i, row in enumerate(X)]
    found = net.input_gradients(X, y, loss)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(net.input_gradients(X, y, loss, weight), found * weight[:, None])

    def gradient(parameters):
        _, layers = with_parameters(net, parameters).loss_and_gradients(X, y, loss, weight)
        return np.concatenate([*(w.ravel() for w, _ in layers), *(b for _, b in layers)])

    v = rng.normal(size=net.parameters.shape)
    p = net.parameters.copy()
    product = (gradient(p + STEP * v) - gradient(p - STEP * v)) / (2 * STEP)
    np.testing.assert_allclose(
        net.hessian_product(X, y, v, loss, weight), product, rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("name", kernels.ACTIVATIONS)
def test_bend_is_curvature_over_slope(name):
    z = np.linspace(-3, 3, 41)[None]
    kept = z if kernels.needs_scores(name) else kernels.activate(z, name)
    curvature, bend = kernels.activation_curvature(kept, name), kernels.activation_bend(name)
    assert (bend == (0, 0)) == (curvature is None)
    assert bend is not None or name not in {"tanh", "sigmoid"}
    if bend is not None and curvature is not None:
        slope = kernels.activation_backward(np.ones_like(z), kept, name)
        np.testing.assert_allclose((bend[0] + bend[1] * kept) * slope, curvature, atol=1e-15)


CURVED = [
    ("squared_error", "identity"),
    ("huber", "identity"),
    ("cross_entropy", "softmax"),
    ("binary_cross_entropy", "sigmoid"),
    ("poisson", "exp"),
    ("squared_hinge", "identity"),
]


@pytest.mark.parametrize(("loss", "output"), CURVED, ids=str)
def test_gauss_newton_matrix(loss, output, rng):
    """``Σ Jᵀ H J``, with the Hessian by the scores from a network that passes its rows on."""
    net = network("tanh", output)
    X, weight = rng.normal(size=(20, 3)), rng.random(20)
    y = rng.integers(0, 2, 20) if loss == "cross_entropy" else rng.random((20, 2))
    if loss == "squared_hinge":
        y = np.where(y > 0.5, 1.0, -1.0)
    scores, jacobian = net.scores(X), net.parameter_jacobian(X, scores=True)
    passing = MLP([2, 2], output=output, dtype="f8")
    passing.weights = [np.eye(2)]
    curvature = np.array(
        [
            [passing.hessian_product(z[None], y[i : i + 1], v, loss)[4:] for v in np.eye(6)[4:]]
            for i, z in enumerate(scores)
        ]
    )
    share = weight / weight.sum()
    expected = np.einsum("n,nkp,nkl,nlq->pq", share, jacobian, curvature, jacobian)
    found = net.gauss_newton(X, y, loss, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(found, found.T)


def test_gauss_newton_through_an_output_activation(rng):
    """Squared error of probabilities: the Jacobian of the outputs, not of the scores."""
    net = network("tanh", "softmax")
    X = rng.normal(size=(300, 3))
    jacobian = net.parameter_jacobian(X)
    expected = np.einsum("nkp,nkq->pq", jacobian, jacobian) / len(X)
    found = net.gauss_newton(X, rng.random((300, 2)), "squared_error")
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def everything(net, X, y, v):
    """All derivatives, as one list of arrays."""
    dY = np.ones((len(y), net.architecture.sizes[-1]))
    return [
        *net.vjp(X, dY, parameters=True),
        net.jvp(X, np.ones((len(y), net.architecture.sizes[0]))),
        net.jacobian(X),
        net.parameter_jacobian(X),
        net.input_gradients(X, y),
        net.hessian_product(X, y, v),
        net.gauss_newton(X, y),
        net.input_hessian(X),
        *(net.layer_outputs(X, layer) for layer in range(len(net.architecture.sizes))),
    ]


@pytest.mark.parametrize("activation", ["relu", "mish", "softplus"])
def test_backends_agree(fast_backend, dtype, activation, rng):
    """Many rows (several blocks), against the reference backend in float64."""
    X, y = rng.normal(size=(2500, 3)).astype(dtype), rng.integers(0, 2, 2500)
    net = network(activation, "softmax", dtype)
    v = rng.normal(size=net.parameters.shape)
    found = everything(net, X, y, v)
    with kernels.use_backend("reference"):
        exact = network(activation, "softmax")
        exact.parameters[:] = net.parameters
        expected = everything(exact, X.astype("f8"), y, v)
    tolerance = 2e-4 if dtype == "f4" else 1e-11
    for got, wanted in zip(found, expected, strict=True):
        assert got.dtype == dtype or got.shape == 2 * net.parameters.shape
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def test_the_number_of_threads_changes_no_bit(fast_backend, rng):
    X, y = rng.normal(size=(3000, 3)), rng.integers(0, 2, 3000)
    results = []
    for n_threads in (1, 2, 3):
        net = MLP(SIZES, "tanh", "softmax", random_state=0, n_threads=n_threads)
        results.append(everything(net, X, y, np.ones_like(net.parameters)))
    for first, *others in zip(*results, strict=True):
        for other in others:
            np.testing.assert_array_equal(first, other)


def test_scores_leave_out_the_output_activation(rng):
    X, dY = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    net, plain = network(output="softmax"), network()
    for name, arguments in (("vjp", [dY]), ("jvp", [X]), ("jacobian", []), ("input_hessian", [])):
        with_scores = getattr(net, name)(X, *arguments, scores=True)
        np.testing.assert_array_equal(with_scores, getattr(plain, name)(X, *arguments))


def test_jacobian_either_way(rng):
    """With fewer inputs than outputs it is computed forward."""
    X = rng.normal(size=(6, 2))
    net = network(output="softmax", sizes=[2, 4, 5])
    by_rows = [net.vjp(X, np.tile(row, (6, 1))) for row in np.eye(5)]
    np.testing.assert_allclose(net.jacobian(X), np.stack(by_rows, axis=1))


def test_sparse_rows_are_those_of_the_array(rng):
    sparse = pytest.importorskip("scipy.sparse")
    X, y = np.where(rng.random((50, 3)) < 0.5, rng.normal(size=(50, 3)), 0), rng.random((50, 2))
    net = network()
    v = rng.normal(size=net.parameters.shape)
    rows = sparse.csr_array(X)
    for got, wanted in zip(everything(net, rows, y, v), everything(net, X, y, v), strict=True):
        np.testing.assert_array_equal(got, wanted)
    double = sparse.csr_array((np.ones(2), np.zeros(2, int), np.array([0, 2])), shape=(1, 3))
    np.testing.assert_array_equal(net.jacobian(double), net.jacobian([[2.0, 0.0, 0.0]]))


def test_layers_are_counted_as_in_sizes(rng):
    X = rng.normal(size=(4, 3))
    net = network(output="softmax")
    for layer, size in enumerate(SIZES):
        assert net.layer_outputs(X, layer).shape == (4, size)
        np.testing.assert_array_equal(
            net.layer_outputs(X, layer), net.layer_outputs(X, layer - len(SIZES))
        )
    np.testing.assert_array_equal(net.layer_outputs(X, 0), X)
    np.testing.assert_array_equal(net.layer_outputs(X, -1), net.predict(X))
    expected = np.tanh(net.layer_outputs(X, 1) @ net.weights[1] + net.biases[1])
    np.testing.assert_allclose(net.layer_outputs(X), expected)


def test_far_from_zero_second_derivatives_vanish():
    """No product of an infinite factor and zero: NaN comes from NaN alone."""
    for activation in set(kernels.ACTIVATIONS) - {"softsign"}:  # a cube
        net = MLP([1, 1, 1], activation=activation, random_state=0)
        net.weights = [[[1.0]], [[1.0]]]
        for x in (-1e4, -200.0, 200.0, 1e4):
            assert net.input_hessian([[x]]).item() == 0.0, (activation, x)


def test_no_rows():
    net, none = network(), np.empty((0, 3))
    assert net.vjp(none, np.empty((0, 2))).shape == (0, 3)
    assert net.jacobian(none).shape == (0, 2, 3)
    assert net.input_hessian(none).shape == (0, 2, 3, 3)


X = np.zeros((4, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda net: net.vjp(X, np.zeros((4, 3))), ValueError, r"dY must have shape \(4, 2\)"),
        (lambda net: net.vjp(X[:, :2], X), ValueError, r"X must have shape \(n, 3\)"),
        (lambda net: net.jvp(X, X[:3]), ValueError, r"dX must have shape \(4, 3\)"),
        (lambda net: net.jvp(X, [["a"] * 3] * 4), TypeError, "dX must hold real numbers"),
        (lambda net: net.layer_outputs(X, 4), ValueError, r"layer must lie in -4…3"),
        (lambda net: net.layer_outputs(X, 1.0), TypeError, "layer must be an integer"),
        (lambda net: net.hessian_product(X, X[:, :2], [1.0]), ValueError, r"v must have shape"),
        (lambda net: net.gauss_newton(X, X[:, :2], "quantile"), ValueError, "with curvature"),
        (lambda net: net.input_gradients(X, X), ValueError, r"y must have shape \(4, 2\)"),
        (
            lambda net: net.parameter_jacobian(np.broadcast_to(X[:1], (10**8, 3))),
            MemoryError,
            "takes .* GiB",
        ),
    ],
)
def test_wrong_inputs(call, error, message):
    with pytest.raises(error, match=message):
        call(network())


def test_a_loss_that_cannot_be_traced_is_named(rng):
    loss = kernels.CustomLoss("plain", lambda z, y: ((z - y).sum(axis=1), np.ones_like(z)))
    net = network()
    with pytest.raises(TypeError, match="'plain' is no expression that can be traced"):
        net.hessian_product(X, np.zeros((4, 2)), net.parameters, loss)


def test_every_combination_is_seen():
    assert {name for name, _ in CASES if isinstance(name, str)} == set(kernels.ACTIVATIONS)
    assert len(PAIRS) == 2 + sum(map(len, itertools.chain(LOSS_OUTPUTS.values())))
