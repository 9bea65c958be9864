"""Sparse rows give what the same rows written out give, in predictions, gradients and training."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, UpdateRule
from support import assert_agrees

NET = Architecture((12, 7, 3), ("tanh",), "softmax")


pytestmark = pytest.mark.usefixtures("backend")


def sparse_rows(n, dtype, rng, index="int64"):
    """Rows with columns in any order, repeated columns, empty rows and room behind the last."""
    counts = rng.integers(0, 6, n)
    counts[1] = 0
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(index)
    indices = rng.integers(0, 12, indptr[-1] + 3).astype(index)
    indices[-3:] = 99  # unused
    data = rng.standard_normal(len(indices)).astype(dtype)
    return CSR(data, indices, indptr, (n, 12))


def written_out(x):
    dense = np.zeros(x.shape, x.data.dtype)
    for row in range(len(x)):
        start, stop = x.indptr[row], x.indptr[row + 1]
        np.add.at(dense[row], x.indices[start:stop], x.data[start:stop])
    return dense


def problem(dtype, rng, n=20, index="int64"):
    x = sparse_rows(n, dtype, rng, index)
    return rng.standard_normal(NET.n_parameters).astype(dtype), x, rng.integers(0, 3, n)


@pytest.mark.covers("backend index", "dtype")
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_network(backend, dtype, index, rng):
    flat, x, y = problem(dtype, rng, index=index)
    dense = written_out(x)
    network = kernels.network(NET, dtype)
    assert_agrees(network.predict(flat, x), network.predict(flat, dense), dtype, 12, "predict")
    for weight in (None, rng.random(20).astype(dtype)):
        batch = (y, "cross_entropy")
        actual = network.loss(flat, x, *batch, sample_weight=weight)
        expected = network.loss(flat, dense, *batch, sample_weight=weight)
        assert_agrees(actual, expected, dtype, 20, "loss")
        actual = network.loss_and_gradient(flat, x, *batch, sample_weight=weight, l2=0.1)
        expected = network.loss_and_gradient(flat, dense, *batch, sample_weight=weight, l2=0.1)
        assert_agrees(actual[0], expected[0], dtype, 20, "penalised loss")
        assert_agrees(actual[1], expected[1], dtype, 60, "gradient")
    nothing = CSR(x.data[:0], x.indices[:0], x.indptr[:1], (0, 12))
    assert network.predict(flat, nothing).shape == (0, 3)


def test_rows_are_let_go(backend, rng):
    """What is kept for the next call must not keep the rows of this one alive."""
    flat, x, y = problem(np.float32, rng)
    network = kernels.network(NET, np.float32)
    network.predict(flat, x)
    network.loss(flat, x, y, "cross_entropy")
    network.loss_and_gradient(flat, x, y, "cross_entropy")
    data = weakref.ref(x.data)
    del x
    gc.collect()
    assert data() is None


@pytest.mark.covers("backend dropout shuffled", "dtype")
@pytest.mark.parametrize("dropout", [(), (0.5, 0.3)])
@pytest.mark.parametrize("shuffled", [False, True])
def test_training(backend, dtype, dropout, shuffled, rng):
    flat, x, y = problem(dtype, rng)
    order = rng.integers(0, 20, 33).astype(np.intp) if shuffled else None
    rule = UpdateRule("adam", {"epsilon": 1e-3})
    results = []
    for rows in (x, written_out(x)):
        options = {"dropout": dropout, "seed": 4} if dropout else {}
        trainer = kernels.trainer(NET, dtype, "cross_entropy", rule, batch_size=8, **options)
        trainer.load(flat)
        losses = [trainer.run_epoch(rows, y, order, 0.01) for _ in range(3)]
        results.append((losses, np.empty_like(flat)))
        trainer.store(results[-1][1])
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=200 * np.finfo(dtype).eps)
    assert_agrees(results[0][1], results[1][1], dtype, 400, "parameters")


def test_wrong_rows(backend, dtype, rng):
    """Nothing may point outside of the data or of the network's inputs."""
    flat, x, _ = problem(dtype, rng)
    network = kernels.network(NET, dtype)
    other = "float64" if dtype == "float32" else "float32"

    def changed(array, place, value):
        copy = array.copy()
        copy[place] = value
        return copy

    for message, error, arguments in (
        ("data must be", TypeError, (x.data.astype(other), x.indices, x.indptr, x.shape)),
        ("indices must be", TypeError, (x.data, x.indices.astype("i2"), x.indptr, x.shape)),
        ("indptr must be", TypeError, (x.data, x.indices, x.indptr.tolist(), x.shape)),
        ("must have shape", ValueError, (x.data, x.indices, x.indptr, (20, 13))),
        ("indptr must have", ValueError, (x.data, x.indices, x.indptr[:-1], x.shape)),
        ("indices must have", ValueError, (x.data, x.indices[1:], x.indptr, x.shape)),
        ("start at 0", ValueError, (x.data, x.indices, x.indptr + 1, x.shape)),
        ("start at 0", ValueError, (x.data, x.indices, changed(x.indptr, 3, 99), x.shape)),
        ("start at 0", ValueError, (x.data, x.indices, changed(x.indptr, -1, 999), x.shape)),
        ("0…11", ValueError, (x.data, changed(x.indices, 0, -1), x.indptr, x.shape)),
        ("0…11", ValueError, (x.data, changed(x.indices, 1, 12), x.indptr, x.shape)),
    ):
        with pytest.raises(error, match=message):
            network.predict(flat, CSR(*arguments))
