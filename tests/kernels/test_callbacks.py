"""Functions of users in NumPy: their exceptions belong to one call, their arrays to them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from fastmlp import MLP, kernels
from fastmlp.kernels import CustomActivation, CustomLoss

pytestmark = pytest.mark.filterwarnings("ignore:.*runs as NumPy inside the engine")
ROWS = 6000  # several blocks, so several callbacks a call
X = np.random.default_rng(0).normal(size=(ROWS, 5)).astype("f4")
Y = X[:, :1]


def squared(z, y):
    return 0.5 * ((z - y) ** 2).sum(axis=1), z - y


def value(loss, n_threads, activation="tanh"):
    net = MLP([5, 4, 1], activation, random_state=0, n_threads=n_threads)
    return net.loss_and_gradients(X, Y, loss=loss)[0]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_exceptions_reach_the_call_that_raised_them(fast_backend, n_threads):
    """Another call begins and ends between the exception and the end of its own call."""
    raised, finished, other, seen = threading.Event(), threading.Event(), [], []

    def bad(z, y):
        if not seen:
            seen.append(True)
            raise KeyError("bad")
        raised.set()
        finished.wait(20)
        return squared(z, y)

    def run_another():
        raised.wait(20)
        try:
            other.append(value(CustomLoss("good", squared), n_threads))
        except KeyError as error:
            other.append(error)
        finished.set()

    thread = threading.Thread(target=run_another)
    thread.start()
    with pytest.raises(KeyError, match="bad"):
        value(CustomLoss("bad", bad), n_threads)
    thread.join()
    assert other == [pytest.approx(value("squared_error", 1), rel=1e-5)]
    assert np.isfinite(value(CustomLoss("good", squared), n_threads))  # nothing is left over


def test_further_exceptions_are_noted(fast_backend):
    def bad(z, y):
        raise ValueError(f"{len(z)} rows")

    with pytest.raises(ValueError, match="rows") as caught:
        value(CustomLoss("always bad", bad), 1)
    assert "also raised in this call: ValueError:" in caught.value.__notes__[0]


def test_a_type_error_is_the_functions_own(fast_backend):
    """It is not taken for one of arguments, after which the call would be made once more."""
    seen = []

    def tanh(z):
        seen.append(len(z))
        if len(seen) > runs:
            raise TypeError("of the function")
        return np.tanh(z), 1 - np.tanh(z) ** 2

    runs = 100
    net = kernels.Architecture((5, 3, 1), (CustomActivation("typed", tanh),), "identity")
    network = kernels.network(net, "f4", n_threads=1)
    flat = np.ones(net.n_parameters, "f4")
    network.predict(flat, X[:2])
    runs = len(seen)
    with pytest.raises(TypeError, match="of the function"):
        network.predict(flat, X[:2])
    assert len(seen) == 2 * runs


def test_arrays_belong_to_the_function(backend):
    """It may keep them and write to them: neither the engine's memory nor results change."""
    kept = []

    def careless(z, y):
        result = squared(z, y)
        kept.append((z, y, *result))
        z += 7
        y += 7
        return result

    def careless_tanh(z):
        a = np.tanh(z)
        kept.append((z, a))
        z.fill(9)
        return a, 1 - a * a

    wrong = CustomLoss("careless", careless)
    sloppy = CustomActivation("careless tanh", careless_tanh)
    assert value(wrong, 1, sloppy) == pytest.approx(value("squared_error", 1), rel=1e-5)
    np.testing.assert_array_equal(Y, X[:, :1])
    before = [[array.copy() for array in arrays] for arrays in kept]
    assert all(arrays[0].flags.owndata for arrays in kept)
    value(CustomLoss("good", squared), 1)
    for arrays, copies in zip(kept, before, strict=True):
        for array, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_functions_see_sums_and_zeros_alone(fast_backend):
    """Nothing that an earlier call has left in the memory of padding."""

    def careful(z):
        assert np.abs(z).max() < 100, "what an earlier call has left"
        return np.tanh(z), 1 - np.tanh(z) ** 2

    activation = CustomActivation("careful", careful)
    small, large = np.full((100, 256), 1e-3, "f4"), np.full((100, 256), 1e18, "f4")
    for n_in, n_out in ((20, 8), (300, 3)):
        weights, bias = np.ones((n_in, n_out), "f4"), np.zeros(n_out, "f4")
        for rows in (100, 10):
            x = np.resize(large, (rows, n_in))
            kernels.dense_forward(x, np.resize(large, (n_in, 24)), np.zeros(24, "f4"))
            kernels.dense_forward(np.resize(small, x.shape), weights, bias, activation)
            net = kernels.Architecture((n_in, n_out, 1), (activation,), "identity")
            network = kernels.network(net, "f4", n_threads=1)
            network.predict(np.ones(net.n_parameters, "f4"), np.resize(small, x.shape))


@pytest.mark.parametrize("rows", [3, 9])
def test_threads_that_share_columns_call_functions_for_their_own(fast_backend, rows):
    """Each element once, and the first exception reaches the caller."""
    seen, bad = [], []

    def tanh(z):
        seen.append(z.size)
        if bad:
            raise bad[0]
        return np.tanh(z), 1 - np.tanh(z) ** 2

    activation = CustomActivation("my tanh", tanh)
    net = kernels.Architecture((301, 530, 613, 3), (activation,) * 2, "identity")
    flat = np.random.default_rng(0).normal(size=net.n_parameters).astype("f4") * np.float32(0.05)
    x = np.random.default_rng(1).normal(size=(rows, 301)).astype("f4")
    want = kernels.network(net, "f4", n_threads=1).predict(flat, x)
    network = kernels.network(net, "f4", n_threads=2)
    for parameters in (flat, network.pack(flat)):
        seen.clear()
        np.testing.assert_array_equal(network.predict(parameters, x), want)
        assert sum(seen) in (rows * (530 + 613), rows * (544 + 624))  # Numba's lines are whole
    bad.append(KeyError("bad"))
    with pytest.raises(KeyError, match="bad"):
        network.predict(flat, x)


class Third(Exception):
    """What a function raises in its third step."""


def but_for_large(function):
    """The same function, which raises where it is given a large number."""

    def careful(*arrays):
        if np.abs(arrays[-1]).max() > 100:
            raise Third
        return function(*arrays)

    return careful


#: Five steps, of which the third has large numbers.
STEP_ROWS = 40
STEPS = np.concatenate([X[:80], X[80:120] + 1e4, X[120:200]])


@pytest.mark.parametrize("which", ["loss", "activation"])
@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_an_exception_leaves_the_last_finished_step(backend, which, rule):
    """Not a step with what the function has not computed; training goes on from there."""
    functions = {"loss": squared, "activation": lambda z: (np.tanh(z), 1 - np.tanh(z) ** 2)}

    functions[which] = but_for_large(functions[which])

    def trainer():
        activation = CustomActivation("stepped", functions["activation"])
        net = kernels.Architecture((5, 3, 1), (activation,), "identity")
        made = kernels.trainer(
            net, np.dtype("f4"), CustomLoss("stepped", functions["loss"]),
            kernels.UpdateRule(rule), batch_size=STEP_ROWS, n_threads=1,
        )  # fmt: skip
        made.load(np.linspace(-1, 1, net.n_parameters).astype("f4"))
        return made

    def state(made):
        parameters = np.empty(22, "f4")
        moments = np.empty((len(kernels.UpdateRule(rule).slots), 22), "f4")
        made.store(parameters, moments)
        return made.step, parameters.tobytes(), moments.tobytes()

    x, y = STEPS, STEPS[:, :1].copy()
    expected, broken = trainer(), trainer()
    expected.run_epoch(x[: 2 * STEP_ROWS], y[: 2 * STEP_ROWS], None, 0.1)
    with pytest.raises(Third):
        broken.run_epoch(x, y, None, 0.1)
    assert state(broken) == state(expected)
    assert state(broken)[0] == 2
    broken.run_epoch(x[3 * STEP_ROWS :], y[3 * STEP_ROWS :], None, 0.1)
    expected.run_epoch(x[3 * STEP_ROWS :], y[3 * STEP_ROWS :], None, 0.1)
    assert state(broken) == state(expected)
