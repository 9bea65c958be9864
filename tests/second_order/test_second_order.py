"""Levenberg–Marquardt, Bayesian regularisation and Laplace's approximation."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, kernels, losses, optimizers
from fastmlp._training.full_batch import cholesky, curved

RNG = np.random.default_rng(3)
X = RNG.uniform(-1, 1, (120, 2))
Y = np.stack([np.sin(3 * X[:, 0]), X[:, 0] * X[:, 1]], axis=1)
WEIGHT = RNG.random(120)


def network(output="identity", dtype="f8", n_out=2, **options):
    return MLP([2, 6, n_out], "tanh", output, dtype, random_state=1, **options)


def test_first_step_solves_the_damped_equations(backend):
    """``(G + l2 D + λ I) s = -∇C``, made from the network's own matrix and gradient."""
    net, l2, damping = network(), 0.01, 0.5
    before, weights = net.parameters.copy(), np.zeros_like(net.parameters)
    weights[:-8] = 1
    matrix = net.gauss_newton(X, Y, None, WEIGHT)
    matrix[np.diag_indices(len(matrix))] += l2 * weights
    pairs = net.loss_and_gradients(X, Y, None, WEIGHT)[1]
    gradient = np.concatenate([p[0].ravel() for p in pairs] + [p[1] for p in pairs])
    gradient += l2 * weights * before
    matrix += damping * matrix.diagonal().max() * np.eye(len(matrix))
    rule = optimizers.LevenbergMarquardt(damping=damping)
    history = net.fit(X, Y, optimizer=rule, epochs=1, l2=l2, sample_weight=WEIGHT)
    expected = before - np.linalg.solve(matrix, gradient)
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-9, atol=1e-12)
    assert history.learning_rate == [1.0]


def test_far_below_what_lbfgs_reaches(backend):
    lm, lbfgs = network(), network()
    history = lm.fit(X, Y, optimizer="levenberg_marquardt", epochs=60)
    lbfgs.fit(X, Y, optimizer="lbfgs", epochs=200)
    assert lm.loss(X, Y) < 0.2 * lbfgs.loss(X, Y)
    assert all(
        later < earlier for earlier, later in zip(history.loss, history.loss[1:], strict=False)
    )
    assert len(history.damping) == history.epochs
    assert history.to_dict()["damping"] == history.damping


@pytest.mark.parametrize(
    ("loss", "output"),
    [
        ("cross_entropy", "softmax"),
        ("binary_cross_entropy", "sigmoid"),
        ("poisson", "exp"),
        (losses.Huber(0.3), "identity"),
        ("log_cosh", "identity"),
        ("squared_error", "sigmoid"),
    ],
    ids=str,
)
def test_generalised_gauss_newton(loss, output):
    """Every loss with curvature (and a penalty) ends where its gradient vanishes."""
    y = np.abs(Y) / np.abs(Y).sum(axis=1, keepdims=True)
    net = network(output)
    history = net.fit(X, y, loss=loss, optimizer="levenberg_marquardt", epochs=100, l2=1e-2)
    assert history.gradient_norm[-1] < 1e-6 * history.gradient_norm[0]


def test_a_linear_network_is_solved_in_two_iterations(dtype):
    """Squared error of a network without hidden layer: ordinary (weighted) least squares."""
    net = MLP([2, 2], dtype=dtype, random_state=0)
    rule = optimizers.LevenbergMarquardt(damping=1e-12)
    net.fit(X, Y, optimizer=rule, epochs=3, sample_weight=WEIGHT)
    root = np.sqrt(WEIGHT)[:, None]
    design = np.c_[X, np.ones(len(X))]
    expected = np.linalg.lstsq(root * design, root * Y, rcond=None)[0]
    found = np.concatenate([net.weights[0], net.biases[0][None]])
    np.testing.assert_allclose(found, expected, atol=2e-6 if dtype == "f4" else 1e-10)


def test_frozen_layers_stay():
    net = network()
    before = net.parameters.copy()
    net.fit(X, Y, optimizer="levenberg_marquardt", epochs=5, trainable=[False, True])
    np.testing.assert_array_equal(net.weights[0].ravel(), before[:12])
    assert not np.array_equal(net.weights[1].ravel(), before[12:24])


def test_laplace_of_a_linear_network_is_bayesian_linear_regression():
    net = MLP([2, 1], dtype="f8", random_state=0)
    design = np.c_[X, np.ones(len(X))]
    net.fit(X, Y[:, :1], optimizer=optimizers.LevenbergMarquardt(damping=1e-12), epochs=3)
    laplace = net.laplace(X, Y[:, :1], alpha=2.0, beta=5.0)
    covariance = np.linalg.inv(5 * design.T @ design + 2 * np.eye(3))
    np.testing.assert_allclose(laplace.covariance, covariance, rtol=1e-9, atol=1e-15)
    rows = np.array([[0.0, 0.0], [3.0, -2.0]])
    j = np.c_[rows, np.ones(2)]
    variance = np.einsum("np,pq,nq->n", j, covariance, j)[:, None]
    np.testing.assert_allclose(laplace.standard_deviations(rows), np.sqrt(variance))
    noisy = laplace.standard_deviations(rows, noise=True)
    np.testing.assert_allclose(noisy, np.sqrt(variance + 1 / 5))


@pytest.mark.parametrize("learning", [[False, True], [True, False], [False, True, True]], ids=str)
def test_laplace_of_some_layers_is_that_of_their_parameters(learning, backend):
    """Covariance, deviations and evidence from a dense Jacobian of the parameters that learn."""
    sizes = [2, 5, 2] if len(learning) == 2 else [2, 5, 4, 2]
    net = MLP(sizes, "tanh", dtype="f8", random_state=1)
    net.fit(X, Y, optimizer="levenberg_marquardt", epochs=5)
    laplace = net.laplace(X, Y, None, WEIGHT, trainable=learning)
    places = np.zeros(net.parameters.size, bool)
    for views in net.architecture.views(places):
        for view, learns in zip(views, learning, strict=True):
            view[...] = learns
    jacobian = net.parameter_jacobian(X)[:, :, places]
    shares = WEIGHT / WEIGHT.mean()
    matrix = np.einsum("n,nki,nkj->ij", shares, jacobian, jacobian)
    curved = laplace.beta * matrix + laplace.alpha * np.eye(len(matrix))
    inverse = np.linalg.inv(curved)
    np.testing.assert_allclose(
        laplace.covariance[np.ix_(places, places)], inverse, rtol=1e-6, atol=1e-12
    )
    assert not laplace.covariance[~places].any()
    assert not laplace.covariance[:, ~places].any()
    variance = np.einsum("nki,ij,nkj->nk", jacobian, inverse, jacobian)
    np.testing.assert_allclose(laplace.standard_deviations(X), np.sqrt(variance), rtol=1e-6)
    gamma = len(matrix) - laplace.alpha * np.trace(inverse)
    assert laplace.effective_parameters == pytest.approx(gamma, rel=1e-6)
    theta, error = net.parameters[places], (shares[:, None] * (net.predict(X) - Y) ** 2).sum()
    assert laplace.alpha == pytest.approx(gamma / (theta @ theta), rel=1e-4)
    assert laplace.beta == pytest.approx((Y.size - gamma) / error, rel=1e-4)


def test_layers_of_laplace_are_checked():
    for wrong, message in (([True], "list of 2 bools"), ([False, False], "let a layer learn")):
        with pytest.raises(ValueError, match=message):
            network().laplace(X, Y, trainable=wrong)


def test_laplace_of_probabilities():
    net = network("softmax")
    labels = (X[:, 0] > 0).astype(int)
    net.fit(X, labels, optimizer="levenberg_marquardt", epochs=10, l2=0.01)
    laplace = net.laplace(X, labels)
    assert laplace.beta == 1
    assert (laplace.standard_deviations(X) > 0).all()
    with pytest.raises(ValueError, match="noise=True needs the loss 'squared_error'"):
        laplace.standard_deviations(X, noise=True)


@pytest.mark.parametrize("n", [2, cholesky.BLOCK, cholesky.ALONE + 1, 2 * cholesky.BLOCK + 1])
def test_without_scipy(n, monkeypatch):
    """NumPy's Cholesky gives the same steps, of whole systems and block by block.

    So does the live backend's, of the systems that it takes.
    """
    half = np.random.default_rng(n).normal(size=(n, n + 3))
    matrix, right = half @ half.T + np.eye(n), np.arange(1.0, n + 1)
    cases = []
    own = cholesky.solve(matrix, right)
    monkeypatch.setattr(kernels, "solves_systems", lambda: False)
    for missing in (False, True):
        if missing:
            monkeypatch.setattr(cholesky, "_lapack", lambda: None)
        factor = cholesky.factor(matrix)
        diagonal, log_determinant = factor.inverse_diagonal(), factor.log_determinant()
        cases.append((cholesky.solve(matrix, right), diagonal, log_determinant))
        assert cholesky.solve(-matrix, right) is None
        assert cholesky.factor(-matrix) is None
        late = matrix.copy()
        late[-1, -1] = -1.0  # found in the last block
        assert cholesky.solve(late, right) is None
    np.testing.assert_allclose(cases[0][0], np.linalg.solve(matrix, right), rtol=1e-9)
    np.testing.assert_allclose(cases[0][0], cases[1][0], rtol=1e-9)
    np.testing.assert_allclose(cases[0][0], own, rtol=1e-9)
    for _, diagonal, log_determinant in cases:
        np.testing.assert_allclose(diagonal, np.linalg.inv(matrix).diagonal())
        assert log_determinant == pytest.approx(np.linalg.slogdet(matrix)[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "absolute_error"}, "a loss with curvature, one of .*, got 'absolute_error'"),
        ({"loss": losses.custom(lambda z, y: (z - y) ** 2)}, "a loss with curvature"),
        ({"learning_rate": 0.1}, "LevenbergMarquardt has no learning rate"),
        ({"learning_rate": "cosine"}, "no schedule"),
        ({"l1": 0.1}, "l1 must be 0"),
        ({"dropout": 0.1}, "no dropout"),
        (
            {"optimizer": optimizers.LevenbergMarquardt(max_parameters=31)},
            r"4 matrices of 32 x 32 .* GiB, .*max_parameters=31 .* got 32; take optimizers.LBFGS",
        ),
        ({"optimizer": "bayesian_regularization", "l2": 0.1}, "finds the penalty itself"),
        ({"optimizer": "bayesian_regularization", "loss": "huber"}, "needs the loss"),
    ],
)
def test_what_does_not_fit_is_named(options, message):
    net = network()
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, **{"optimizer": "levenberg_marquardt", **options})
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("constants", [{"damping": 0}, {"up": 1}, {"down": 1}, {"down": 0}])
def test_constants_are_checked(constants):
    with pytest.raises(ValueError, match=next(iter(constants))):
        optimizers.LevenbergMarquardt(**constants)


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_constants_of_laplace_are_checked(name):
    with pytest.raises(ValueError, match=f"{name} must be a finite number above 0, got 0"):
        network().laplace(X, Y, **{name: 0})


# Layers that stay have no part in what is descended and learnt


LAST = [False, True]
ROWS = np.random.default_rng(4).normal(size=(60, 3))
SINE = np.sin(ROWS[:, :1]) + 0.1 * np.random.default_rng(5).normal(size=(60, 1))


def one_output():
    return MLP([3, 6, 1], "tanh", dtype="f8", random_state=1)


def curves(net, x, epochs, **options):
    """What an evidence run has learnt after each epoch."""
    history = net.fit(x, SINE, optimizer="bayesian_regularization", epochs=epochs, **options)
    return np.array(
        [history.loss, *(getattr(history, n) for n in ("alpha", "beta", "effective_parameters"))]
    )


def test_frozen_layers_are_no_part_of_the_evidence():
    """With the first layer frozen the rest is a linear model of what that layer gives."""
    net, linear = one_output(), MLP([6, 1], (), dtype="f8", random_state=2)
    features = net.layer_outputs(ROWS, layer=1)
    linear.weights, linear.biases = [net.weights[1]], [net.biases[1]]
    before = net.weights[0].copy()
    found, expected = curves(net, ROWS, 11, trainable=LAST), curves(linear, features, 11)
    n = min(found.shape[1], expected.shape[1])
    np.testing.assert_allclose(found[:, :n], expected[:, :n], rtol=1e-5)
    np.testing.assert_array_equal(net.weights[0], before)
    np.testing.assert_allclose(net.weights[1], linear.weights[0], rtol=1e-4)
    assert 0 < found[3, -1] < 7  # of the seven parameters that learn


def test_large_frozen_weights_change_nothing_of_the_steps():
    """The penalty that begins and the descent do not see them: ReLU layers that are scaled up and
    down again compute the same."""
    nets = [MLP([3, 6, 6, 1], "relu", dtype="f8", random_state=1) for _ in range(2)]
    scaled = nets[1]
    scaled.weights = [64 * scaled.weights[0], scaled.weights[1] / 64, scaled.weights[2]]
    scaled.biases = [64 * scaled.biases[0], *scaled.biases[1:]]
    learnt = [curves(net, ROWS, 12, trainable=[False, False, True]) for net in nets]
    np.testing.assert_allclose(learnt[0], learnt[1], rtol=1e-9)


@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_the_damping_of_frozen_layers_is_that_of_the_rest(l2):
    """Rows that are measured in small units have a small matrix; a frozen layer's ones do not
    count as its largest element."""
    net, linear = one_output(), MLP([6, 1], (), dtype="f8", random_state=2)
    net.weights = [1e-3 * net.weights[0], net.weights[1]]
    net.biases = [0 * net.biases[0], net.biases[1]]
    features = net.layer_outputs(ROWS, layer=1)
    linear.weights, linear.biases = [net.weights[1]], [net.biases[1]]
    options = {"optimizer": "levenberg_marquardt", "epochs": 3, "l2": l2}
    y = 1e-3 * SINE
    found = net.fit(ROWS, y, trainable=LAST, **options)
    expected = linear.fit(features, y, **options)
    n = min(len(found.loss), len(expected.loss))
    np.testing.assert_allclose(found.damping[:n], expected.damping[:n], rtol=1e-6)
    np.testing.assert_allclose(net.weights[1], linear.weights[0], rtol=1e-6)


def test_memory_of_an_iteration_is_taken_again(monkeypatch):
    """The matrix and the errors of each iteration lie where those of the first one did."""
    places = []

    def noted(inputs, errors, *, out, n_threads):
        places.append([array.__array_interface__["data"][0] for array in (out, errors[0])])
        return original(inputs, errors, out=out, n_threads=n_threads)

    def of_squares(self, *given):
        gradient, matrix = bend(self, *given)
        places.append(matrix.__array_interface__["data"][0])
        return gradient, matrix

    original, bend = kernels.gauss_newton, curved.OfSquares.bend
    monkeypatch.setattr(kernels, "gauss_newton", noted)
    monkeypatch.setattr(curved.OfSquares, "bend", of_squares)
    options = {"optimizer": "levenberg_marquardt", "epochs": 4}
    for outputs, loss in ((1, "squared_error"), (1, "log_cosh"), (2, "log_cosh")):
        places.clear()
        net = MLP([2, 4, outputs], "tanh", dtype="f8", random_state=0)
        net.fit(X, np.stack([X[:, 0]] * outputs, 1), loss=loss, **options)
        assert len(places) == 4
        assert places[1:] == places[:-1]
    first, second = (net.gauss_newton(X, np.stack([X[:, 0]] * 2, 1)) for _ in range(2))
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, second)
