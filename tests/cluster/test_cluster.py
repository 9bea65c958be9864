"""One network over several ranks: the same bits for any number of them, and no rank waits for ever.

The ranks are threads here (``communicator``); ``test_cluster_processes`` has those of MPI.
"""

from __future__ import annotations

import fastmlp
import numpy as np
import pytest
from communicator import Aborted, on_ranks
from fastmlp import MLP, data, kernels
from fastmlp._cluster import plan, sums
from fastmlp._derivatives import gauss_newton
from fastmlp._streams.stream import Stream
from fastmlp.callbacks import Callback
from fastmlp.stopping import TimeLimit
from numpy.testing import assert_allclose, assert_array_equal

RNG = np.random.default_rng(0)
X = RNG.normal(size=(101, 5)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)
WEIGHT = RNG.integers(0, 3, 101).astype(np.float32)

OPTIONS = {
    "adam": {},
    "dropout": {
        "dropout": 0.3,
        "clip_norm": 0.1,
        "stop": "early_stopping",
        "validation_data": (X[:30], Y[:30]),
        "metrics": "accuracy",
    },
    "penalties": {
        "optimizer": "sgd",
        "l2": 0.01,
        "l1": 0.01,
        "max_norm": 0.6,
        "clip_value": 0.05,
        "trainable": [True, False],
    },
    "weights": {"sample_weight": WEIGHT, "learning_rate": "one_cycle", "batch_size": 5},
    "damped": {"optimizer": "levenberg_marquardt", "l2": 0.01},
    "lbfgs": {"optimizer": "lbfgs", "l2": 0.01, "sample_weight": WEIGHT},
}


def network(seed=0, activation="relu"):
    return MLP([5, 6, 1], activation, output="sigmoid", random_state=seed, n_threads=1)


def fitted(comm, x=X, y=Y, **options):
    net = network()
    history = net.fit(x, y, comm=comm, **{"epochs": 3, **options})
    return net.parameters, history


@pytest.mark.parametrize("name", OPTIONS)
def test_any_number_of_ranks_gives_the_same_bits(name):
    options = OPTIONS[name]
    one, history = on_ranks(1, lambda comm: fitted(comm, **options))[0]
    for size in (2, 8):
        for parameters, other in on_ranks(size, lambda comm: fitted(comm, **options)):
            assert_array_equal(parameters, one)
            for curve in ("loss", "validation_loss", "learning_rate", "gradient_norm"):
                assert getattr(other, curve) == getattr(history, curve)
            assert other.metrics == history.metrics
    # And they are, to rounding, what one process makes without a communicator.
    parameters, alone = fitted(None, **options)
    assert_allclose(one, parameters, atol=1e-3 if name in ("lbfgs", "damped") else 2e-6)
    assert_allclose(history.loss, alone.loss, rtol=1e-5)


def test_ranks_share_the_matrix_of_second_order(monkeypatch):
    rows = []
    total = gauss_newton.total

    def recorded(network, x, *others):
        rows.append(len(x))
        return total(network, x, *others)

    monkeypatch.setattr(gauss_newton, "total", recorded)
    on_ranks(2, lambda comm: fitted(comm, optimizer="levenberg_marquardt", epochs=1))
    assert sorted(rows) == [12] * 3 + [13] * 5  # each shard once, on one of the ranks


@pytest.mark.parametrize("activation", ["gelu", "tanh"])
def test_dropout_of_any_activation_is_that_of_one_process(activation):
    sparse = pytest.importorskip("scipy.sparse")
    rows = sparse.csr_array(X * (X > 0))

    def train(comm):
        net = network(activation=activation)
        net.fit(rows, Y, comm=comm, epochs=2, dropout=[0.2, 0.4], sample_weight=WEIGHT)
        return net.parameters

    assert_allclose(on_ranks(2, train)[1], train(None), atol=2e-6)


def test_a_source_is_trained_on_by_all_ranks():
    def train(comm):
        net = network()
        net.fit(data.arrays(X, Y, block_rows=30, buffer=2), comm=comm, epochs=2)
        return net.parameters

    assert_array_equal(on_ranks(4, train)[3], on_ranks(1, train)[0])


@pytest.mark.parametrize("rows", [9, 40], ids=["many blocks", "fewer blocks than ranks"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt"])
def test_full_steps_read_each_block_on_one_rank(optimizer, rows, monkeypatch):
    read, block = [], Stream.block
    options = {"optimizer": optimizer, "l2": 0.01, "epochs": 3}

    def noted(stream, i):
        read.append(i)
        return block(stream, i)

    def train(comm):
        return fitted(comm, data.arrays(X, Y, block_rows=rows), None, **options)

    (one, history), (alone, _) = on_ranks(1, train)[0], fitted(None, **options)
    for size in (2, 4):
        for parameters, other in on_ranks(size, train):
            assert_array_equal(parameters, one)
            assert other.loss == history.loss
    assert_allclose(one, alone, atol=1e-3)
    assert_allclose(train(None)[0], alone, atol=1e-3)
    monkeypatch.setattr(Stream, "block", noted)
    counts = []
    for size in (1, 4):
        read.clear()
        on_ranks(size, train)
        counts.append(len(read) - size * -(-len(X) // rows))  # targets are looked at by all
    assert counts[0] == counts[1] > 0


def test_any_other_number_of_ranks_agrees_with_a_warning():
    with pytest.warns(RuntimeWarning, match="3 ranks are no power of two up to 8 shards"):
        found = on_ranks(3, fitted)
    assert_array_equal(found[0][0], found[2][0])
    assert_allclose(found[0][0], fitted(None)[0], atol=2e-6)


@pytest.mark.parametrize("n", [1, 7, 40_000])
def test_sums_are_those_of_the_tree(n):
    vectors = RNG.normal(size=(8, n)).astype(np.float32)
    expected = kernels.tree_sum(list(vectors.copy()))

    def add(comm):
        own = vectors[comm.rank].copy()
        sums.over_ranks(comm, own)
        return own

    for found in on_ranks(8, add):
        assert_array_equal(found, expected)
    pairs = [a + b for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
    assert_array_equal(expected, (pairs[0] + pairs[1]) + (pairs[2] + pairs[3]))


def test_callbacks_and_clocks_are_those_of_rank_0():
    seen = []

    class Change(Callback):
        def __init__(self, rank):
            self.rank = rank

        def on_batch_end(self, net, history, batch, loss):
            seen.append(self.rank)
            net.parameters[0] = 1

        def on_epoch_end(self, net, history):
            return history.epochs == 2

    def train(comm):
        net = network(seed=comm.rank)  # those of rank 0 count
        history = net.fit(X, Y, comm=comm, epochs=5, callbacks=Change(comm.rank))
        limited = net.fit(X, Y, comm=comm, epochs=10**6, stop=TimeLimit(0.02))
        return net.parameters, history.stop_reason, limited.stop_reason, limited.epochs

    first, second = on_ranks(2, train)
    assert set(seen) == {0}
    assert_array_equal(first[0], second[0])
    assert first[1:] == second[1:]
    assert first[1:3] == ("callback", "time_limit")


@pytest.mark.parametrize(
    ("different", "words"),
    [
        ({"x": X[:50], "y": Y[:50]}, r"rank 0 has the rows .*101, 5.* and rank 1 .*50, 5"),
        ({"x": X + 1}, "the same rows"),
        ({"batch_size": 8}, "rank 0 has batch_size=32 and rank 1 batch_size=8"),
        ({"optimizer": "sgd"}, r"rank 0 has optimizer=Adam.* and rank 1 optimizer=SGD"),
    ],
)
def test_ranks_that_disagree_are_refused(different, words):
    found = on_ranks(2, lambda comm: fitted(comm, **(different if comm.rank else {})))
    for error in found:
        with pytest.raises(ValueError, match=words):
            raise error


def test_a_rank_that_cannot_begin_is_named():
    wrong = X.copy()
    wrong[3, 3] = np.nan
    found = on_ranks(2, lambda comm: fitted(comm, wrong if comm.rank else X))
    with pytest.raises(RuntimeError, match="rank 1 could not begin: ValueError: X must be finite"):
        raise found[0]
    with pytest.raises(ValueError, match="X must be finite"):
        raise found[1]


def test_a_rank_that_fails_ends_all(capsys):
    class Fail(Callback):
        def on_epoch_end(self, net, history):
            raise OSError("the disk is full")

    found = on_ranks(2, lambda comm: fitted(comm, callbacks=Fail()))
    assert [type(error) for error in found] == [Aborted, Aborted]
    error = capsys.readouterr().err
    assert "rank 0 of 2 has failed:" in error
    assert "OSError: the disk is full" in error


def test_steps_of_a_trainer_are_shared():
    def train(comm):
        trainer = network().trainer(comm=comm, optimizer="adam")
        losses = [trainer.step(X, Y) for _ in range(3)]
        return trainer.network.parameters, losses

    one = train(None)
    for parameters, losses in on_ranks(2, train):
        assert_allclose(parameters, one[0], atol=2e-6)
        assert_allclose(losses, one[1], rtol=1e-6)
    with pytest.raises(ValueError, match="step_delta is for one process"):
        raise on_ranks(1, lambda comm: network().trainer(comm=comm).step_delta(X, Y))[0]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"comm": "world"}, TypeError, "comm must be a communicator of mpi4py"),
        ({"shards": 6}, ValueError, "shards must be a power of two, got 6"),
    ],
)
def test_wrong_communicators_are_refused(options, error, words):
    def train(comm):
        return fitted(**{"comm": comm, **options})

    with pytest.raises(error, match=words):
        raise on_ranks(1, train)[0]


def test_a_plan_follows_its_formula():
    constants = plan.Constants(fixed=1e-4, row=1e-6)
    network = {"sizes": [100, 200, 10], "batch_size": 1024, "constants": constants}
    one, two, four = fastmlp.plan(**network, ranks=4, latency=1e-5, bandwidth=1e9)
    volume = 4 * (100 * 200 + 200 * 10 + 200 + 10)
    assert_allclose(one.seconds, 1024e-6 + 1e-4)
    assert_allclose(four.travelling, 3 * 2 * 1e-5 + 1.5 * volume / 1e9)
    assert_allclose(two.seconds, 512e-6 + 1e-4 + 3e-5 + volume / 1e9)
    assert (one.ranks, two.bytes, four.bytes) == (1, volume, int(1.5 * volume))
    assert_allclose(four.efficiency, one.seconds / (4 * four.seconds))
    small = fastmlp.plan([4, 1], 8, 2, constants=constants, latency=1e-5, bandwidth=1e9)[1]
    assert_allclose(small.travelling, 2e-5 + 20e-9)
    with pytest.raises(ValueError, match="bandwidth must be above 0"):
        fastmlp.plan([4, 1], 8, bandwidth=0.0)
    assert all(line.seconds > 0 for line in fastmlp.plan([8, 4, 1], 64, 2))
