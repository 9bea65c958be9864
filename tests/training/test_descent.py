"""Ways down: the three textbook loops step by step, line search, L-BFGS."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
from fastmlp import MLP, kernels, schedules
from fastmlp.optimizers import LBFGS, SGD, GradientDescent
from fastmlp.optimizers._directions import QuasiNewton


def data(n=23, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=1)


def network(seed=1, sizes=(3, 5, 2), **options):
    return MLP(sizes, "tanh", dtype=np.float64, random_state=seed, **options)


def textbook(net, x, y, learning_rate, batches):
    """Gradient descent with plain NumPy, one step for each list of rows."""
    (w1, w2), (b1, b2) = ([a.copy() for a in arrays] for arrays in (net.weights, net.biases))
    for rows in batches:
        a0, target = x[rows], y[rows]
        a1 = np.tanh(a0 @ w1 + b1)
        delta2 = (a1 @ w2 + b2 - target) / len(a0)
        delta1 = delta2 @ w2.T * (1 - a1**2)
        w2, b2 = w2 - learning_rate * a1.T @ delta2, b2 - learning_rate * delta2.sum(0)
        w1, b1 = w1 - learning_rate * a0.T @ delta1, b1 - learning_rate * delta1.sum(0)
    return np.concatenate([a.ravel() for a in (w1, w2, b1, b2)])


def orders(net, n, epochs, shuffle):
    """The order of the rows in each epoch: shuffled anew from that of the epoch before."""
    generator, order = copy.deepcopy(net._generator), np.arange(n)
    for _ in range(epochs):
        if shuffle:
            generator.shuffle(order)
        yield order.copy()


# The three loops


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 23])
def test_descent_is_the_textbooks_loop(backend, batch_size, shuffle):
    x, y = data()
    net = network()
    batches = [
        order[start : start + batch_size]
        for order in orders(net, len(x), 4, shuffle)
        for start in range(0, len(x), batch_size)
    ]
    expected = textbook(net, x, y, 0.1, batches)
    net.fit(x, y, optimizer=SGD(0.1), batch_size=batch_size, epochs=4, shuffle=shuffle)
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-11, atol=1e-13)


def test_batch_descent_has_three_names(backend):
    x, y = data()
    start = network()
    expected = textbook(start, x, y, 0.1, [np.arange(len(x))] * 5)
    for options in (
        {"optimizer": SGD(0.1), "batch_size": "full"},
        {"optimizer": SGD(0.1), "batch_size": 1000},
        {"optimizer": GradientDescent(0.1), "batch_size": 3},
    ):
        net = copy.deepcopy(start)
        net.fit(x, y, epochs=5, **options)
        np.testing.assert_allclose(net.parameters, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_a_schedule_sets_the_rate_of_each_step(backend, every):
    x, y = data()
    net = network()
    expected = copy.deepcopy(net)
    history = net.fit(
        *(x, y),
        optimizer=SGD(0.2),
        learning_rate=schedules.Exponential(0.9, every=every),
        batch_size=8,
        epochs=3,
        shuffle=False,
    )
    rates = []
    for step in range(9):
        rates.append(0.2 * 0.9 ** (step if every == "step" else step // 3))
        rows = np.arange(step % 3 * 8, min(step % 3 * 8 + 8, len(x)))
        expected.parameters[:] = textbook(expected, x, y, rates[-1], [rows])
    np.testing.assert_allclose(net.parameters, expected.parameters, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(history.learning_rate, rates[2::3], rtol=1e-14)


def test_a_number_replaces_the_learning_rate():
    x, y = data()
    one, other = network(), network()
    one.fit(x, y, optimizer=SGD(0.3, momentum=0.5), epochs=2)
    history = other.fit(x, y, optimizer=SGD(momentum=0.5), learning_rate=0.3, epochs=2)
    assert np.array_equal(one.parameters, other.parameters)
    assert history.learning_rate == [0.3, 0.3]


def test_a_factor_of_the_epoch_is_a_schedule():
    x, y = data()
    history = network().fit(
        x,
        y,
        optimizer=SGD(0.4),
        learning_rate=schedules.Factor(lambda epoch: 1 / (1 + epoch)),
        epochs=4,
    )
    assert history.learning_rate == pytest.approx([0.4, 0.2, 0.4 / 3, 0.1])


def test_reduce_on_plateau_in_a_fit():
    x, y = data()
    history = network().fit(
        *(x, y),
        optimizer=SGD(1e-12),
        learning_rate=schedules.ReduceOnPlateau(factor=0.5, patience=2),
        batch_size="full",
        epochs=7,
    )
    assert history.learning_rate == [1e-12 * f for f in (1, 1, 1, 0.5, 0.5, 0.25, 0.25)]


# Line search on the whole batch


@pytest.mark.parametrize("line_search", ["armijo", "wolfe"])
def test_gradient_descent_with_line_search(backend, line_search):
    x, y = data()
    net = network()
    points = [net.parameters.copy()]
    history = net.fit(
        *(x, y),
        optimizer=GradientDescent(1.0, line_search=line_search),
        epochs=15,
        callbacks=lambda network, history: points.append(network.parameters.copy()),
    )
    assert history.stop_reason == "epochs"
    for epoch, rate in enumerate(history.learning_rate):
        net.parameters[:] = points[epoch]
        value, gradients = net.loss_and_gradients(x, y)
        gradient = flat(gradients)
        assert history.loss[epoch] == pytest.approx(value, rel=1e-12)
        assert history.gradient_norm[epoch] == pytest.approx(np.linalg.norm(gradient), rel=1e-10)
        np.testing.assert_allclose(points[epoch + 1], points[epoch] - rate * gradient, rtol=1e-9)
        net.parameters[:] = points[epoch + 1]
        new, new_gradients = net.loss_and_gradients(x, y)
        # The bounds allow for rounding where the loss is close to the one before.
        assert new <= value - 1e-4 * rate * gradient @ gradient + 1e-13
        if line_search == "wolfe":
            along = abs(flat(new_gradients) @ gradient)
            assert along <= 0.9 * gradient @ gradient * (1 + 1e-9)
    if line_search == "armijo":
        # Each search begins one size above the step before, and halves.
        ratios = np.log2(np.array(history.learning_rate[1:]) / history.learning_rate[:-1])
        np.testing.assert_allclose(ratios, np.round(ratios), atol=1e-12)
        assert ratios.max() <= 1


def flat(gradients):
    return np.concatenate([dw.ravel() for dw, _ in gradients] + [db for _, db in gradients])


def test_lbfgs_takes_a_quadratic_to_its_minimum():
    # A linear network with squared error: the normal equations say where to go.
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    net = MLP([6, 2], dtype=np.float64, random_state=0)
    history = net.fit(x, y, optimizer=LBFGS(), epochs=60, l2=0.1, stop="gradient_norm")
    design = np.column_stack([x, np.ones(40)])
    penalty = 0.1 * 40 * np.diag([1.0] * 6 + [0.0])
    expected = np.linalg.solve(design.T @ design + penalty, design.T @ y)
    assert history.stop_reason == "gradient_norm"
    assert history.epochs < 30
    np.testing.assert_allclose(net.weights[0], expected[:6], atol=2e-5)
    np.testing.assert_allclose(net.biases[0], expected[6], atol=2e-5)


def test_lbfgs_goes_as_far_as_rounding_allows(backend, dtype):
    x, y = data(100)
    net = MLP([3, 2], dtype=dtype, random_state=0)
    history = net.fit(x, y, optimizer=LBFGS(), epochs=200)
    assert history.stop_reason == "line_search"
    epsilon = np.finfo(dtype).eps
    assert (np.diff(history.loss) <= 16 * epsilon * history.loss[0]).all()
    design = np.column_stack([x, np.ones(100)])
    exact = np.linalg.lstsq(design, y)[0]
    lowest = 0.5 * np.square(design @ exact - y).sum(1).mean()
    assert net.loss(x, y) == pytest.approx(lowest, rel=64 * float(epsilon))


def test_lbfgs_is_as_good_as_scipys():
    optimize = pytest.importorskip("scipy.optimize")
    x, y = data(60)
    net = network()
    theirs = copy.deepcopy(net)

    def cost(parameters):
        theirs.parameters[:] = parameters
        value, gradients = theirs.loss_and_gradients(x, y)
        return value, flat(gradients)

    result = optimize.minimize(
        cost, net.parameters.copy(), jac=True, method="L-BFGS-B", options={"maxiter": 100}
    )
    history = net.fit(x, y, optimizer=LBFGS(), epochs=100)
    # Not convex: they may end in different places, but of the same height.
    assert history.loss[-1] < 2 * result.fun


def test_lbfgs_direction_is_that_of_the_full_matrix():
    # The two-loop recursion against the formula for the inverse Hessian.
    rng = np.random.default_rng(4)
    method = QuasiNewton(memory=5, c1=1e-4, c2=0.9, step=1.0)
    pairs = []
    for _ in range(7):
        s = rng.normal(size=6)
        y = s + 0.3 * rng.normal(size=6)
        method.moved(1.0, s, y)
        if s @ y > 0:
            pairs.append((s, y))
    pairs = pairs[-5:]
    s, y = pairs[-1]
    inverse = s @ y / (y @ y) * np.eye(6)
    for s, y in pairs:
        v = np.eye(6) - np.outer(y, s) / (s @ y)
        inverse = v.T @ inverse @ v + np.outer(s, s) / (s @ y)
    gradient = rng.normal(size=6)
    np.testing.assert_allclose(method.direction(gradient), -inverse @ gradient, rtol=1e-10)


@pytest.mark.parametrize(
    "optimizer", [GradientDescent(line_search="armijo"), GradientDescent(0.05), LBFGS()]
)
def test_a_fixed_subset(optimizer):

    x, y = data(50)
    net = network(seed=5)
    rows = np.sort(copy.deepcopy(net._generator).permutation(50)[:20])
    expected = copy.deepcopy(net)
    expected.fit(x[rows], y[rows], optimizer=optimizer, epochs=6, shuffle=False)
    net.fit(x, y, optimizer=dataclasses.replace(optimizer, subset=20), epochs=6, shuffle=False)
    np.testing.assert_allclose(net.parameters, expected.parameters, rtol=1e-12)


def test_line_search_leaves_frozen_layers_alone():
    x, y = data()
    net = network()
    before = copy.deepcopy(net)
    net.fit(x, y, optimizer=LBFGS(), epochs=5, trainable=[False, True])
    assert np.array_equal(net.weights[0], before.weights[0])
    assert np.array_equal(net.biases[0], before.biases[0])
    assert not np.array_equal(net.weights[1], before.weights[1])


def test_line_search_at_a_minimum_stops():
    net = MLP([2, 1], dtype=np.float64, init="zeros")
    history = net.fit([[1.0, 2]], [0.0], optimizer=LBFGS(), epochs=5)
    assert (history.epochs, history.stop_reason) == (1, "line_search")
    assert history.stop_message == "the gradient is zero"


def test_line_search_and_what_does_not_go_with_it():
    x, y = data()
    for options, message in (
        ({"dropout": 0.5}, "takes all rows has no dropout"),
        ({"clip_norm": 1.0}, "takes all rows has no clip_norm"),
        ({"max_norm": 1.0}, "takes all rows has no max_norm"),
        ({"learning_rate": "cosine"}, "line search takes no schedule"),
    ):
        net = network()
        before = net.parameters.copy()
        with pytest.raises(ValueError, match=message):
            net.fit(x, y, optimizer=LBFGS(), **options)
        assert np.array_equal(net.parameters, before)


def test_a_callback_may_change_what_a_line_search_goes_on_from():
    x, y = data()
    one, two = network(), network()

    def halve(network, history):
        network.parameters[:] *= 0.5

    one.fit(x, y, optimizer=LBFGS(), epochs=2, callbacks=halve)
    for _ in range(2):
        two.fit(x, y, optimizer=LBFGS(), epochs=1)
        two.parameters[:] *= 0.5
    np.testing.assert_allclose(one.parameters, two.parameters, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientDescent(line_search="exact"), "line_search"),
        (lambda: GradientDescent(0), "learning_rate"),
        (lambda: GradientDescent(shrink=1), "shrink"),
        (lambda: GradientDescent(c1=0.9, c2=0.1), "c1"),
        (lambda: LBFGS(history_size=0), "history_size"),
        (lambda: LBFGS(subset=0), "subset"),
        (lambda: network().fit(*data(5), optimizer=LBFGS(subset=6)), "subset"),
    ],
)
def test_wrong_constants(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Every optimizer and every schedule goes down


@pytest.mark.parametrize("schedule", list(schedules.Schedule.registry))
def test_every_schedule_in_a_fit(backend, schedule):
    x, y = data(60)
    net, expected = network(), network()
    options = {"optimizer": SGD(0.1), "learning_rate": schedule, "batch_size": 10, "epochs": 30}
    history = net.fit(x, y, **options)
    assert history.loss[-1] < 0.7 * history.loss[0]
    with kernels.use_backend("reference"):
        assert history.learning_rate == expected.fit(x, y, **options).learning_rate
    np.testing.assert_allclose(net.parameters, expected.parameters, rtol=1e-9, atol=1e-12)
