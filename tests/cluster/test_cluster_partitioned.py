"""Ranks with rows of their own: every row once an epoch, all ranks agreed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from communicator import on_ranks
from fastmlp import MLP, data, optimizers
from fastmlp._network.batch import Batch
from fastmlp.callbacks import Callback, Checkpoint
from fastmlp.metrics import r2
from fastmlp.stopping import TimeLimit
from numpy.testing import assert_allclose, assert_array_equal

RNG = np.random.default_rng(8)
X = RNG.normal(size=(90, 4)).astype("f")
Y = (X[:, :1] * X[:, 1:2] > 0).astype("f")
WEIGHT = RNG.uniform(0, 2, 90).astype("f")
#: Rows of three ranks: 60, 20 and 10.
CUTS = (0, 60, 80, 90)
OWN = [slice(*ends) for ends in pairwise(CUTS)]


def network(seed=0):
    return MLP([4, 6, 1], output="sigmoid", random_state=seed, n_threads=1)


def trained(size=3, rows=lambda own: (X[own], Y[own]), **options):
    def train(comm):
        net = network(seed=comm.rank)  # those of rank 0 count
        own = {name: value(OWN[comm.rank]) if callable(value) and name in ("sample_weight",
               "validation_data") else value for name, value in options.items()}  # fmt: skip
        history = net.fit(*rows(OWN[comm.rank]), comm=comm, partitioned=True,
                          **{"epochs": 2, "batch_size": 9, **own})  # fmt: skip
        return net, history

    found = on_ranks(size, train)
    for result in found:
        if isinstance(result, BaseException):
            raise result
    first, history = found[0]
    for net, other in found[1:]:
        assert_array_equal(net.parameters, first.parameters)
        assert other.loss == history.loss
        assert other.validation_loss == history.validation_loss
        assert (other.metrics, other.stop_reason) == (history.metrics, history.stop_reason)
        assert other.learning_rate == history.learning_rate
        assert net._generator.bit_generator.state == first._generator.bit_generator.state
    return first, history


#: In the order in which three ranks go through their rows: 6, 2 and 1 of each batch.
INTERLEAVED = np.concatenate(
    [np.r_[6 * k : 6 * k + 6, 60 + 2 * k : 62 + 2 * k, 80 + k] for k in range(10)]
)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": [0.1, 0.3], "l2": 0.01, "clip_norm": 0.1, "learning_rate": "one_cycle"},
        {"sample_weight": lambda rows: WEIGHT[rows]},
    ],
    ids=["plain", "restrained", "weighed"],
)
def test_steps_are_those_of_one_process_on_the_rows_in_turn(options):
    net, history = trained(shuffle=False, **options)
    alone, given = network(), dict(options)
    if "sample_weight" in options:
        given["sample_weight"] = WEIGHT[INTERLEAVED]
    expected = alone.fit(X[INTERLEAVED], Y[INTERLEAVED], shuffle=False, batch_size=9, epochs=2,
                         **given)  # fmt: skip
    assert_allclose(net.parameters, alone.parameters, atol=2e-6)
    assert_allclose(history.loss, expected.loss, rtol=1e-5)
    assert history.learning_rate == expected.learning_rate


def test_every_row_is_visited_once_an_epoch_in_another_order():
    """Sources that do not say how many rows they have: the long ones go on alone."""
    seen = []

    class Spy(data.Source):
        def __init__(self, own):
            self.source = data.arrays(X[own], Y[own], block_rows=7, buffer=2)
            self.memory, self.buffer = self.source.memory, 2

        def __len__(self):
            return len(self.source)

        def __getitem__(self, i):
            seen.append((len(self), i))
            return self.source[i]

    first, history = trained(rows=lambda own: (Spy(own),), epochs=3)
    for n in (9, 3, 2):
        for i in range(1, n):  # the first is looked at before
            assert seen.count((n, i)) == 3
    again, _ = trained(rows=lambda own: (Spy(own),), epochs=3)
    assert_array_equal(again.parameters, first.parameters)
    assert len(set(history.loss)) == 3


def test_a_step_takes_what_all_ranks_bring():
    def train(comm):
        net = network()
        trainer = net.trainer(comm=comm, partitioned=True, optimizer=optimizers.SGD(0.5))
        own = OWN[comm.rank]
        losses = [trainer.step(X[own], Y[own]) for _ in range(2)]
        return net.parameters, losses

    alone = network()
    trainer = alone.trainer(optimizer=optimizers.SGD(0.5))
    losses = [trainer.step(X, Y) for _ in range(2)]
    for parameters, found in on_ranks(3, train):
        assert_allclose(parameters, alone.parameters, atol=1e-6)
        assert_allclose(found, losses, rtol=1e-6)


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt", "bayesian_regularization"])
def test_full_steps_are_those_of_all_rows(optimizer, source):
    def blocks(own):
        return (data.arrays(X[own], Y[own], block_rows=7),)

    options = {"optimizer": optimizer, "metrics": "accuracy"}
    if optimizer == "bayesian_regularization":
        options["loss"] = "squared_error"
    net, history = trained(**options, **({"rows": blocks} if source else {}))
    alone = network()
    expected = alone.fit(X, Y, epochs=2, **options)
    assert_allclose(history.loss, expected.loss, rtol=1e-4)
    assert_allclose(net.parameters, alone.parameters, atol=1e-3)


def test_measures_are_those_of_the_rows_of_all():
    net, history = trained(
        validation_data=lambda own: (X[own] + 1, Y[own], WEIGHT[own]), metrics=["r2", "accuracy"],
        stop="early_stopping", epochs=4,
    )  # fmt: skip
    assert_allclose(history.metrics["r2"][-1], r2(Y[:, 0], net.predict(X)[:, 0]), rtol=1e-4)
    batch = Batch(*net._batch(X + 1, Y, net._loss(None), WEIGHT))
    assert_allclose(history.validation_loss[-1], batch.mean_loss(net), rtol=1e-5)


def test_clocks_callbacks_and_checkpoints_are_those_of_rank_0(tmp_path):
    class Change(Callback):
        def on_batch_end(self, net, history, batch, loss):
            net.parameters[0] = 1

    net, _ = trained(callbacks=Change())
    assert net.parameters[0] == 1
    _, history = trained(stop=TimeLimit(0.05), epochs=10**6)
    assert history.stop_reason == "time_limit"
    path = str(tmp_path / "run-{epoch}")
    whole, _ = trained(epochs=4, callbacks=Checkpoint(path))
    resumed, _ = trained(epochs=4, resume=path.replace("{epoch}", "2"))
    assert_array_equal(resumed.parameters, whole.parameters)
    with pytest.raises(ValueError, match="every_steps keeps rank 0's place alone"):
        trained(callbacks=Checkpoint(path, every_steps=2), size=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_weight": "balanced"}, "class_weight='balanced' counts the rows of one process"),
        ({"partitioned": 1}, "partitioned must be True or False, got 1"),
    ],
)
def test_what_one_rank_cannot_know_is_refused(options, words):
    def train(comm):
        network().fit(X, Y, comm=comm, **{"partitioned": True, **options})

    with pytest.raises((TypeError, ValueError), match=words):
        raise on_ranks(1, train)[0]


def test_ranks_whose_rows_do_not_go_together_are_refused():
    def train(comm):
        weight = WEIGHT if comm.rank else None
        network().fit(X, Y, comm=comm, partitioned=True, sample_weight=weight)

    with pytest.raises(ValueError, match=r"rank 0 has the rows with 4 features .* weighed"):
        raise on_ranks(2, train)[0]

    def validated(comm):
        wrong = X[:, : 4 - comm.rank]
        network().fit(X, Y, comm=comm, partitioned=True, validation_data=(wrong, Y))

    with pytest.raises(RuntimeError, match="rank 1 could not begin: ValueError: validation_data"):
        raise on_ranks(2, validated)[0]
