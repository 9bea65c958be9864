"""Results are equal to the bit for any number of threads, callers and neighbouring rows."""

from __future__ import annotations

import multiprocessing
import threading
from itertools import islice

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, UpdateRule
from support import FUNCTIONS, calls

ADAM = UpdateRule("adam", {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8})
MOMENTUM = UpdateRule("momentum", {"momentum": 0.9})
OF_LOSSES = ("output_delta", "loss_value")
# Small, ragged and large ones: large enough that several threads take part.
NETS = [
    ((4, 16, 3), 16, 150),
    ((7, 31, 17, 5), 13, 100),
    ((64, 100, 10), 200, 1000),
    ((300, 257, 129, 10), 128, 300),
]


@pytest.mark.covers("fast_backend function", "function shape", "dtype", without="numba float64")
@pytest.mark.parametrize("shape", [(1, 5, 3), (33, 31, 17), (400, 200, 120)], ids=str)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_threads_of_kernels(fast_backend, function, dtype, shape, rng):
    some = 13 if function in OF_LOSSES else 1  # of many losses
    for call in islice(calls(function, shape, dtype, rng), 0, None, some):
        first = call.run(n_threads=1)
        for n_threads in (2, 3, 3, 4, None):  # another thread may take a tile the next time
            np.testing.assert_array_equal(call.run(n_threads=n_threads), first, str(call))


def problem(sizes, n, dtype, rng, output="softmax"):
    net = Architecture(sizes, ("tanh", "relu", "sigmoid")[: len(sizes) - 2], output)
    flat = (rng.standard_normal(net.n_parameters) * 0.3).astype(dtype)
    x = rng.standard_normal((n, sizes[0])).astype(dtype)
    return net, flat, x, rng.integers(0, sizes[-1], n)


def train(net, dtype, flat, x, labels, batch_size, rule, n_threads):
    """Parameters and losses after three shuffled epochs."""
    trainer = kernels.trainer(
        net, dtype, "cross_entropy", rule, batch_size=batch_size, l2=1e-3, n_threads=n_threads
    )
    trainer.load(flat)
    shuffle = np.random.default_rng(0)
    losses = [
        trainer.run_epoch(x, labels, shuffle.permutation(len(x)).astype(np.intp), 0.01)
        for _ in range(3)
    ]
    result = np.empty_like(flat)
    trainer.store(result)
    return result, losses


@pytest.mark.covers(
    "fast_backend sizes", "dtype sizes", "fast_backend rule", without="numba float64"
)
@pytest.mark.parametrize(("sizes", "batch_size", "n"), NETS, ids=str)
@pytest.mark.parametrize("rule", [ADAM, MOMENTUM], ids=lambda rule: rule.name)
def test_threads_of_training(fast_backend, dtype, sizes, batch_size, n, rule, rng):
    net, flat, x, labels = problem(sizes, n, dtype, rng)
    first, losses = train(net, dtype, flat, x, labels, batch_size, rule, 1)
    assert not np.array_equal(first, flat)
    for n_threads in (2, 3, 4, None):
        again, repeated = train(net, dtype, flat, x, labels, batch_size, rule, n_threads)
        assert repeated == losses, f"{n_threads} threads"
        np.testing.assert_array_equal(again, first, f"{n_threads} threads")


def descend(net, dtype, loss, flat, x, target, batch_size, order, weight):
    """Parameters and losses after two epochs of plain descent."""
    trainer = kernels.trainer(net, dtype, loss, UpdateRule("sgd"), batch_size=batch_size)
    trainer.load(flat)
    losses = [trainer.run_epoch(x, target, order, 0.1, sample_weight=weight) for _ in range(2)]
    result = np.empty_like(flat)
    trainer.store(result)
    return result, losses


@pytest.mark.usefixtures("compiled_backend")
@pytest.mark.parametrize(
    "sizes", [(4, 3), (4, 16, 3), (5, 7, 2), (8, 33, 16, 4), (3, 32, 3), (600, 20, 3)], ids=str
)
def test_steps_of_small_networks(dtype, sizes, rng):
    """They have a way of their own, but not where rows have weights, which are all one here."""
    for case, batch_size in enumerate((1, 2, 5, 8, 9, 16, 17, 64)):
        classes = sizes[-1] > 1 and case % 3 != 2
        output, loss = ("softmax", "cross_entropy") if classes else ("sigmoid", "squared_error")
        net, flat, x, labels = problem(sizes, batch_size + 21, dtype, rng, output)
        target = labels if classes else rng.random((len(x), sizes[-1])).astype(dtype)
        order = rng.permutation(len(x)).astype(np.intp) if case % 2 else None
        rows = np.asfortranarray(x) if case % 4 == 3 else x
        small, losses = descend(net, dtype, loss, flat, rows, target, batch_size, order, None)
        ones = np.ones(len(x), dtype)
        weighted, expected = descend(net, dtype, loss, flat, x, target, batch_size, order, ones)
        assert losses == expected, f"batch {batch_size}"
        np.testing.assert_array_equal(small, weighted, f"batch {batch_size}")


@pytest.mark.covers("fast_backend sizes", "dtype", without="numba float64")
@pytest.mark.parametrize(("sizes", "batch_size", "n"), NETS, ids=str)
def test_threads_of_networks(fast_backend, dtype, sizes, batch_size, n, rng):
    net, flat, x, labels = problem(sizes, n, dtype, rng)
    one = kernels.network(net, dtype, n_threads=1)
    predicted = one.predict(flat, x)
    loss = one.loss(flat, x, labels, "cross_entropy")
    value, gradient = one.loss_and_gradient(flat, x, labels, "cross_entropy")
    for n_threads in (2, 3, 4, None):
        network = kernels.network(net, dtype, n_threads=n_threads)
        np.testing.assert_array_equal(network.predict(flat, x), predicted)
        assert network.loss(flat, x, labels, "cross_entropy") == loss
        again, slope = network.loss_and_gradient(flat, x, labels, "cross_entropy")
        assert again == value
        np.testing.assert_array_equal(slope, gradient)


@pytest.mark.covers("fast_backend sizes", "output sizes", "dtype", without="numba float64")
@pytest.mark.parametrize("output", kernels.OUTPUTS)
@pytest.mark.parametrize("sizes", [(4, 3), (7, 31, 17, 5), (64, 100, 10), (20, 64, 64, 1)], ids=str)
def test_row_alone_or_in_any_batch(fast_backend, dtype, sizes, output, rng):
    """A row's prediction does not depend on the rows around it, nor on their number."""
    net, flat, x, _ = problem(sizes, 261, dtype, rng, output)
    for n_threads in (1, 3):
        network = kernels.network(net, dtype, n_threads=n_threads)
        whole = network.predict(flat, x)
        for start, stop in ((0, 1), (5, 6), (260, 261), (3, 9), (1, 8), (10, 27), (7, 200)):
            part = network.predict(flat, x[start:stop])
            np.testing.assert_array_equal(part, whole[start:stop], f"rows {start}:{stop}")
        backwards = network.predict(flat, x[::-1])
        np.testing.assert_array_equal(backwards[::-1], whole)


@pytest.mark.covers("fast_backend name", "dtype", without="numba float64")
@pytest.mark.parametrize("name", [*kernels.ACTIVATIONS, "softmax", "exp"])
def test_row_alone_or_in_any_batch_of_a_layer(fast_backend, dtype, name, rng):
    for n_in, n_out in ((5, 3), (31, 17), (100, 64)):
        x = rng.standard_normal((133, n_in)).astype(dtype)
        weights = rng.standard_normal((n_in, n_out)).astype(dtype)
        bias = rng.standard_normal(n_out).astype(dtype)
        whole = kernels.dense_forward(x, weights, bias, name)
        for start, stop in ((0, 1), (5, 6), (132, 133), (3, 9), (1, 8), (10, 27), (7, 120)):
            part = kernels.dense_forward(x[start:stop], weights, bias, name)
            np.testing.assert_array_equal(part, whole[start:stop], f"rows {start}:{stop}")


def everything(dtype, n_threads):
    """A few results of each kind, the same for each caller."""
    rng = np.random.default_rng(5)
    net, flat, x, labels = problem((40, 60, 10), 300, np.dtype(dtype), rng)
    results = []
    for function in FUNCTIONS:
        some = 29 if function in OF_LOSSES else 9
        for call in islice(calls(function, (150, 40, 60), np.dtype(dtype), rng), 0, None, some):
            results.append(call.run(n_threads=n_threads))
    network = kernels.network(net, dtype, n_threads=n_threads)
    results.append(network.predict(flat, x))
    results.extend(network.loss_and_gradient(flat, x, labels, "cross_entropy"))
    trained, losses = train(net, dtype, flat, x, labels, 64, ADAM, n_threads)
    return [*results, trained, *losses]


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for have, want in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.covers("fast_backend")
def test_concurrent_callers(fast_backend, dtype):
    """Four Python threads that each use two threads of the kernels, all at once."""
    expected = everything(dtype, 1)
    start = threading.Barrier(4)
    answers, errors = {}, []

    def caller(number):
        try:
            start.wait(60)
            answers[number] = [everything(dtype, 2) for _ in range(2)]
        except BaseException as error:
            errors.append(error)
            raise

    callers = [threading.Thread(target=caller, args=(n,), daemon=True) for n in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(120)
        assert not thread.is_alive(), "a caller hangs"
    assert not errors
    for rounds in answers.values():
        for answer in rounds:
            assert_same(answer, expected)


@pytest.mark.covers("fast_backend", "dtype", without="numba float64")
def test_shared_network(fast_backend, dtype, rng):
    """One network object used by several Python threads, with different rows and losses."""
    net, flat, x, labels = problem((30, 50, 4), 200, dtype, rng)
    network = kernels.network(net, dtype, n_threads=2)
    sizes = (1, 7, 50, 200)
    expected = {
        n: (network.predict(flat, x[:n]), *network.loss_and_gradient(flat, x[:n], labels[:n], loss))
        for n, loss in zip(sizes, ["cross_entropy", "squared_error"] * 2, strict=True)
    }
    errors = []

    def caller(n, loss):
        try:
            for _ in range(20):
                predicted = network.predict(flat, x[:n])
                value, slope = network.loss_and_gradient(flat, x[:n], labels[:n], loss)
                assert_same((predicted, value, slope), expected[n])
        except BaseException as error:
            errors.append(error)
            raise

    callers = [
        threading.Thread(target=caller, args=pair, daemon=True)
        for pair in zip(sizes, ["cross_entropy", "squared_error"] * 2, strict=True)
    ]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(120)
        assert not thread.is_alive(), "a caller hangs"
    assert not errors


def _in_child(pipe, dtype):
    pipe.send(everything(dtype, 2))


@pytest.mark.covers("fast_backend", "dtype", without="numba float64")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child(fast_backend, dtype):
    """A child forked after the parent used its threads computes the same and does not hang."""
    expected = everything(dtype, 2)
    fork = multiprocessing.get_context("fork")
    for _ in range(2):
        ours, theirs = fork.Pipe(duplex=False)
        child = fork.Process(target=_in_child, args=(theirs, dtype), daemon=True)
        child.start()
        theirs.close()
        try:
            assert ours.poll(60), "the forked child hangs"
            answer = ours.recv()
            child.join(60)
            assert child.exitcode == 0, "the forked child does not end"
        finally:
            child.kill()
            child.join()
        assert_same(answer, expected)
        assert_same(everything(dtype, 2), expected)  # and the parent's threads still work
