"""Sums over many rows in float32: an error that does not grow with their number.

One chain of a million additions loses percents. Weight and bias gradients, column sums and losses
are summed in blocks, and blocks so that their digits stay. Threads do not change a bit.
"""

import numpy as np
import pytest
from fastmlp.kernels import CSR, Architecture, CustomActivation, UpdateRule
from fastmlp.kernels._options import TrainingOptions

core = pytest.importorskip(
    "fastmlp.kernels.compiled._core", reason="extension not built", exc_type=ImportError
)
N = 400_003
ERROR = 2e-6
NET = Architecture((1, 1), (), "identity")


@pytest.fixture(scope="module")
def positive():
    return np.random.default_rng(0).random((N, 1), np.float32) + 1


def relative(actual, expected):
    return np.abs(np.asarray(actual, np.float64) / expected - 1).max()


def csr(x):
    n = len(x)
    starts = np.arange(n + 1, dtype=np.int64)
    return CSR(x.ravel(), np.zeros(n, np.int32), starts, (n, 1))


@pytest.mark.parametrize("rows", [np.asarray, csr], ids=["dense", "sparse"])
def test_the_gradient_of_a_network(positive, rows):
    flat, y = np.array([0.5, 0.25], np.float32), np.zeros_like(positive)
    network = core.Network(NET, np.float32)
    value, gradient = network.loss_and_gradient(flat, rows(positive), y, "squared_error")
    x = positive.astype(np.float64)
    delta = 0.5 * x + 0.25
    assert relative(gradient, [(delta * x).mean(), delta.mean()]) < ERROR
    assert relative(value, (delta**2 / 2).mean()) < ERROR


@pytest.mark.parametrize("clip", [{}, {"clip_norm": 1e9}, {"l2": 1e-30}])
def test_a_step_of_all_rows(positive, clip):
    trainer = core.Trainer(
        NET, np.float32, "squared_error", UpdateRule("sgd"), TrainingOptions(batch_size=N, **clip)
    )
    flat = np.array([0.5, 0.25], np.float32)
    trainer.load(flat)
    trainer.run_epoch(positive, np.zeros_like(positive), None, 1e3)
    trainer.store(flat)
    x = positive.astype(np.float64)
    delta = 0.5 * x + 0.25
    assert relative(flat, [0.5 - 1e3 * (delta * x).mean(), 0.25 - 1e3 * delta.mean()]) < ERROR


@pytest.mark.parametrize("n_in", [1, 2, 3])
@pytest.mark.parametrize("order", "CF")
def test_the_kernels_on_arrays(positive, n_in, order):
    x = np.asarray(np.tile(positive, n_in), order=order)
    delta = positive[::-1]
    expected = (positive.astype(np.float64) * delta).mean()
    assert relative(core.weight_gradient(x, delta), expected) < ERROR
    assert relative(core.bias_gradient(x), positive.mean(dtype=np.float64)) < ERROR
    constant = np.full((N, n_in), 0.1, np.float32)
    assert relative(core.bias_gradient(constant), np.float64(np.float32(0.1))) < ERROR


@pytest.mark.parametrize("n", [255, 256, 257, 1000, 2048, 2049, 5000, 40_000])
def test_where_sums_are_cut(rng, n):
    """Every way of cutting them: depths of tiles, passes, parts, narrow and wide layers."""
    for n_in, n_out in ((3, 2), (40, 17), (70, 1)):
        x = rng.random((n, n_in), np.float32) + 1
        delta = rng.random((n, n_out), np.float32) + 1
        wide = x.astype(np.float64), delta.astype(np.float64)
        weights = wide[0].T @ wide[1] / n
        assert relative(core.weight_gradient(x, delta), weights) < ERROR
        assert relative(core.bias_gradient(delta), wide[1].mean(0)) < ERROR
        net = Architecture((n_in, n_out), (), "identity")
        network, flat = core.Network(net, np.float32), np.zeros(net.n_parameters, np.float32)
        _, gradient = network.loss_and_gradient(flat, x, -delta, "squared_error")
        assert relative(gradient, [*weights.ravel(), *wide[1].mean(0)]) < ERROR


@pytest.mark.parametrize("n", [300, 5000])
def test_threads_do_not_change_a_bit(rng, n):
    x, delta = rng.normal(size=(n, 70)).astype("f4"), rng.normal(size=(n, 33)).astype("f4")
    net = Architecture((70, 40, 33), ("tanh",), "identity")
    flat = rng.normal(size=net.n_parameters).astype("f4")
    results = [
        (
            core.weight_gradient(x, delta, n_threads=threads),
            core.bias_gradient(delta, n_threads=threads),
            core.Network(net, "f4", n_threads=threads).loss_and_gradient(
                flat, x, delta, "squared_error"
            )[1],
        )
        for threads in (1, 2, 3, 7)
    ]
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_gradients_that_overflow_stay_infinite(rng):
    """The digits that are carried along are no NaN then."""
    x = np.full((5000, 1), 1e20, np.float32)
    _, gradient = core.Network(NET, np.float32).loss_and_gradient(
        np.array([1e15, 0], np.float32), x, np.zeros_like(x), "squared_error"
    )
    assert np.isposinf(gradient[0])


def test_custom_activations_take_part(positive):
    net = Architecture(
        (1, 1, 1), (CustomActivation("twice", lambda z: (2 * z, 2 + 0 * z)),), "identity"
    )
    with pytest.warns(RuntimeWarning, match="slow"):
        network = core.Network(net, np.float32)
    x = positive[:70_000]
    flat = np.array([1, 1, 0, 0], np.float32)
    _, gradient = network.loss_and_gradient(flat, x, np.zeros_like(x), "squared_error")
    assert relative(gradient[:2], 4 * (x.astype(np.float64) ** 2).mean()) < ERROR
