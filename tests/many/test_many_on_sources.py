"""Many networks on a source of blocks: each as its own ``fit``, or a sentence that says why not."""

from __future__ import annotations

import numpy as np
import pytest
from communicator import on_ranks
from fastmlp import (
    MLP,
    GroupedMLP,
    MLPEnsemble,
    data,
    fit_many,
    kernels,
    predict_many,
)
from numpy.testing import assert_allclose, assert_array_equal
from support import same_numbers

RNG = np.random.default_rng(2)
X = RNG.normal(size=(90, 3)).astype("f")
Y = (X[:, 0] * X[:, 1]).astype("f")


def source():
    return data.arrays(X, Y, block_rows=20, buffer=2)


def networks():
    return [MLP([3, 4 + i, 1], random_state=i, n_threads=1) for i in range(3)]


def test_each_network_goes_through_the_source_as_alone():
    options = {"epochs": 3, "batch_size": 16, "validation_data": source()}
    rates = [0.1, 0.01, 0.001]
    alone = networks()
    expected = [
        n.fit(source(), learning_rate=r, **options) for n, r in zip(alone, rates, strict=True)
    ]

    def train(comm):
        nets, told = networks(), []
        histories = fit_many(nets, source(), learning_rate=rates, comm=comm, n_threads=1,
                             progress=lambda *done: told.append(done), **options)  # fmt: skip
        return nets, histories, told

    for nets, histories, told in (train(None), *on_ranks(2, train)[:1]):
        for net, own, history, before in zip(nets, alone, histories, expected, strict=True):
            assert_array_equal(net.parameters, own.parameters)
            assert history.validation_loss == before.validation_loss
            assert net.n_threads == 1
        assert told[-1][0] == told[-1][1]


def test_predictions_of_many_networks_for_a_source():
    nets = networks()
    found = predict_many(nets, source())
    same_numbers(kernels.info()["backend"], "f")(found, predict_many(nets, X))
    out = np.empty_like(found)
    assert predict_many(nets, source(), out=out) is out
    assert_array_equal(out, found)


def test_an_ensemble_learns_selects_and_predicts():
    of_source, of_arrays = (MLPEnsemble([3, 6, 1], 4, random_state=0, n_threads=1) for _ in "ab")
    options = {"epochs": 2, "shuffle": False, "vary": {"learning_rate": [0.1, 0.01, 1e-4]}}
    of_source.fit(source(), validation_data=source(), select="greedy", **options)
    of_arrays.fit(X, Y, validation_data=(X, Y), select="greedy", **options)
    assert_array_equal(of_source.counts, of_arrays.counts)
    mean, spread = of_source.predict(source(), return_std=True)
    expected = of_arrays.predict(X, return_std=True)
    assert_allclose(mean, expected[0], rtol=1e-6)
    assert_allclose(spread, expected[1], rtol=1e-5)


def test_max_time_leaves_the_others_as_they_were():
    nets = networks()
    before = [net.parameters.copy() for net in nets]
    histories = fit_many(nets, source(), epochs=10**7, max_time=0.05)
    assert [history.stop_reason for history in histories] == ["time_limit"] * 3
    assert (nets[0].parameters != before[0]).any()
    assert_array_equal(nets[2].parameters, before[2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": [None] * 3}, "rows is for rows in arrays, and X is a source"),
        ({"sample_weight": np.ones(90)}, "sample_weight is for rows in arrays"),
        ({"lanes": True}, "lanes is for rows in arrays"),
    ],
)
def test_what_a_source_does_not_have(options, words):
    nets = networks()
    before = nets[0].parameters.copy()
    with pytest.raises(ValueError, match=words):
        fit_many(nets, source(), epochs=1, **options)
    assert_array_equal(nets[0].parameters, before)
    once = data.batches((X, Y) for _ in range(1))
    with pytest.raises(ValueError, match="gone through once, and 3 networks"):
        fit_many(nets, once, epochs=1)


@pytest.mark.parametrize("options", [{"optimizer": "levenberg_marquardt"}, {"shuffle": "rows"}])
def test_each_takes_all_rows_where_its_own_fit_does(options):
    nets, alone = networks(), networks()
    fit_many(nets, source(), epochs=2, **options)
    for net, other in zip(nets, alone, strict=True):
        other.fit(source(), epochs=2, **options)
        assert_array_equal(net.parameters, other.parameters)


def test_others_say_that_they_take_arrays():
    with pytest.raises(ValueError, match="bootstrap draws rows of an array, and X is a source"):
        MLPEnsemble([3, 4, 1], 2).fit(source(), bootstrap=True)
    with pytest.raises(TypeError, match="GroupedMLP takes arrays or a data frame"):
        GroupedMLP([3, 4, 1]).fit(source(), Y, np.zeros(90))
