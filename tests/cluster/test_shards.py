"""Steps in two halves: gradients of shards, added up in one tree however they are divided."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, TrainingOptions, UpdateRule, reference

SIZES = (6, 40, 9, 3)
NET = Architecture(SIZES, ("relu", "gelu"), "softmax")
ADAM = UpdateRule("adam", {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "epsilon_hat": 0.0})
N = 53
CUTS = [N * k // 8 for k in range(9)]
#: Eight shards in one call, as two ranks have them, and one by one.
DIVISIONS = ([CUTS], [CUTS[:5], CUTS[4:]], [CUTS[k : k + 2] for k in range(8)])
OPTIONS = {
    "plain": {},
    "dropout": {"dropout": (0.1, 0.3, 0.2), "seed": 3},
    "clipped": {"l2": 0.1, "l1": 0.01, "clip_norm": 0.5, "clip_value": 0.2, "max_norm": 0.5},
    "frozen": {"trainable": (False, True, True), "l2": 0.1, "l2_over_batch": True},
}


@pytest.fixture
def data(dtype):
    rng = np.random.default_rng(0)
    p = 0.3 * rng.standard_normal(NET.n_parameters).astype(dtype)
    x = rng.standard_normal((N, SIZES[0])).astype(dtype)
    return p, x, rng.integers(0, SIZES[-1], N), rng.random(N).astype(dtype)


def sparse(x):
    """Dense rows in compressed form, every value stored."""
    n, width = x.shape
    return CSR(x.ravel(), np.tile(np.arange(width), n), np.arange(n + 1) * width, x.shape)


def trained(module, division, p, x, y, weight, **options):
    """Parameters, moments and what was returned, after two steps of a division of the shards."""
    dtype, total = p.dtype, float(N if weight is None else weight.sum(dtype=np.float64))
    options = TrainingOptions(batch_size=N, n_threads=2, track_gradient_norm=True, **options)
    trainer = module.ShardTrainer(NET, dtype, "cross_entropy", ADAM, options)
    trainer.load(p)
    found = []
    for _ in range(2):
        losses, sums = [], []
        for cuts in division:
            part = slice(cuts[0], cuts[-1])
            rows = sparse(x.data.reshape(x.shape)[part]) if isinstance(x, CSR) else x[part]
            losses += trainer.differentiate(
                rows, y[part], [cut - cuts[0] for cut in cuts], total,
                sample_weight=None if weight is None else weight[part], position=cuts[0],
            ).tolist()  # fmt: skip
            sums.append(trainer.gradient.copy())
        while len(sums) > 1:
            sums = [a + b for a, b in zip(sums[::2], sums[1::2], strict=True)]
        trainer.gradient[...] = sums[0]
        penalty = trainer.descend(0.01, total)
        found += [*losses, penalty, trainer.gradient_norm]
    after, state = np.empty_like(p), np.empty((2, p.size), dtype)
    trainer.store(after, state)
    assert trainer.step == 2
    return after, state, np.array(found)


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_division_of_the_shards_gives_the_same_bits(backend, dtype, options, weighed, data):
    p, x, y, weight = data
    known = weight if weighed else None
    one, *others = [
        trained(kernels.active(), division, p, x, y, known, **options) for division in DIVISIONS
    ]
    for other in others:
        for a, b in zip(one, other, strict=True):
            assert a.tobytes() == b.tobytes()
    expected = trained(reference, DIVISIONS[0], p, x, y, known, **options)
    tolerance = 2e-4 if dtype == np.float32 else 1e-9
    for a, b in zip(one, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)


@pytest.mark.parametrize("name", ["plain", "dropout", "clipped"])
def test_sparse_rows_take_the_steps_of_dense_ones(backend, name):
    rng = np.random.default_rng(1)
    p = 0.3 * rng.standard_normal(NET.n_parameters)
    x, y = rng.standard_normal((N, SIZES[0])), rng.integers(0, SIZES[-1], N)
    dense = trained(kernels.active(), DIVISIONS[2], p, x, y, None, **OPTIONS[name])
    found = trained(kernels.active(), DIVISIONS[2], p, sparse(x), y, None, **OPTIONS[name])
    for a, b in zip(found, dense, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_steps_are_those_of_a_trainer(backend, dtype, data):
    p, x, y, _ = data
    after, state, _ = trained(kernels.active(), DIVISIONS[0], p, x, y, None, **OPTIONS["dropout"])
    whole = kernels.trainer(NET, dtype, "cross_entropy", ADAM, batch_size=N, **OPTIONS["dropout"])
    whole.load(p)
    whole.run_epochs(x, y, None, np.full(2, 0.01))
    plain, moments = np.empty_like(p), np.empty_like(state)
    whole.store(plain, moments)
    tolerance = 2e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(after, plain, atol=tolerance)
    np.testing.assert_allclose(state, moments, atol=tolerance)


def test_one_shard_takes_as_many_rows_as_there_are(backend):
    """More than one pass, or run of a sum, holds."""
    rng = np.random.default_rng(2)
    net, n = Architecture((3, 5, 1), ("tanh",), "identity"), 70_000
    x, y = rng.standard_normal((n, 3), np.float32), rng.standard_normal((n, 1), np.float32)
    p = rng.standard_normal(net.n_parameters).astype(np.float32)
    options = TrainingOptions(batch_size=n)
    trainer = kernels.shard_trainer(net, np.float32, "squared_error", UpdateRule("sgd"), options)
    trainer.load(p)
    losses = trainer.differentiate(x, y, [0, n], float(n))
    trainer.descend(1.0, float(n))
    after = np.empty_like(p)
    trainer.store(after)
    exact = kernels.backend("reference").Network(net, np.float64)
    loss, gradient = exact.loss_and_gradient(
        p.astype(float), x.astype(float), y.astype(float), "squared_error"
    )
    np.testing.assert_allclose(losses, [loss], rtol=1e-6)
    np.testing.assert_allclose(p - after, gradient, rtol=1e-4, atol=1e-6)


def test_what_is_no_division_is_refused(backend):
    options = TrainingOptions(batch_size=8)
    trainer = kernels.shard_trainer(NET, np.float64, "cross_entropy", ADAM, options)
    x, y = np.ones((8, SIZES[0])), np.zeros(8, np.intp)
    for cuts, message in (
        ([0, 3, 5, 8], "a power of two of shards"),
        ([0, 4, 7], "cut from 0 to the 8 rows"),
        ([0, 9, 8], "cut from 0 to the 8 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            trainer.differentiate(x, y, cuts, 8.0)
    with pytest.raises(ValueError, match="one of sparse rows"):
        trainer.differentiate(sparse(x), y, [0, 4, 8], 8.0)
    with pytest.raises(ValueError, match="at most 8 rows together, got 16"):
        trainer.differentiate(np.ones((16, SIZES[0])), np.zeros(16, np.intp), [0, 8, 16], 16.0)


def test_groups_of_shards():
    assert kernels.shard_groups([0, 128, 256, 384, 512], False) == [[0, 128, 256, 384, 512]]
    assert kernels.shard_groups([0, 700, 1400], False) == [[0, 700], [700, 1400]]
    assert kernels.shard_groups([8, 9, 10], True) == [[8, 9], [9, 10]]
    assert len(kernels.shard_groups(list(range(17)), False)) == 2
    assert kernels.shard_rows(100, 8) == 800
    assert kernels.shard_rows(3000, 8) == 3000
