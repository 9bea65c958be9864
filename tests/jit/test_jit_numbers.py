"""Sums over very many rows, weights and gradients at the ends of the range: digits that stay."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels

pytest.importorskip("numba")

from fastmlp.kernels import jit
from fastmlp.kernels.jit.threads import tuner

RULES = ("adam", "nadam", "radam", "amsgrad", "rmsprop", "adadelta", "adagrad", "ftrl")


@pytest.mark.parametrize("n", [127, 128, 129, 256, 257, 1000, 100_001])
@pytest.mark.parametrize("value", [0.1, 1.7])
def test_bias_gradient_of_many_rows(value, n):
    delta = np.full((n, 3), value, np.float32)
    expected = delta.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(jit.bias_gradient(delta), expected, rtol=2e-6)


@pytest.mark.covers("shape", "n")
@pytest.mark.parametrize("shape", [(1, 1), (70, 5), (5, 40)], ids=str)
@pytest.mark.parametrize("n", [256, 257, 100_001])
def test_weight_gradient_of_many_rows(n, shape, rng):
    """Also of layers that fill little of a panel, whose gradient is made transposed."""
    n_in, n_out = shape
    x = rng.random((n, n_in), dtype=np.float32) + 1
    delta = 0.5 * x[:, :1] + rng.random((n, n_out), dtype=np.float32)
    expected = x.T.astype(np.float64) @ delta.astype(np.float64) / n
    np.testing.assert_allclose(jit.weight_gradient(x, delta), expected, rtol=2e-6)


def test_the_order_of_the_sum_is_that_of_the_rows(monkeypatch, rng):
    """Whatever number of threads a step is cut for."""
    monkeypatch.setattr(tuner, "EACH_ALONE", 0.0)
    monkeypatch.setattr(tuner, "WORTH_SHARING", 0.0)
    x, delta = (rng.random((1000, n), dtype=np.float32) for n in (150, 37))
    one = jit.weight_gradient(x, delta, n_threads=1)
    for n_threads in (2, 3, 7):
        np.testing.assert_array_equal(jit.weight_gradient(x, delta, n_threads=n_threads), one)


@pytest.mark.parametrize("weight", [1e37, 1e-37, 1e-38, 1e-44])
def test_row_weights_at_the_ends_of_the_range(weight, rng):
    """Equal weights are none, however large or small; steps of a batch have their own size."""
    x, y = rng.normal(size=(8, 5)).astype("f4"), rng.normal(size=(8, 1)).astype("f4")
    net = kernels.Architecture((5, 8, 1), ("tanh",), "identity")
    flat = np.linspace(-1, 1, net.n_parameters).astype("f4")

    def trained(weights):
        trainer = jit.Trainer(
            net, np.dtype("f4"), "squared_error", kernels.UpdateRule("sgd"),
            kernels.TrainingOptions(batch_size=4, n_threads=1),
        )  # fmt: skip
        trainer.load(flat)
        loss = trainer.run_epoch(x, y, None, 0.1, sample_weight=weights)
        result = np.empty_like(flat)
        trainer.store(result)
        return result, loss

    plain, loss = trained(None)
    weights = np.full(8, weight, np.float32)
    for each in (weights, np.concatenate([weights[:4], np.ones(4, "f4")])):
        moved, found = trained(each)
        np.testing.assert_allclose(moved, plain, rtol=1e-5, atol=1e-6)
        assert found == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_a_mean_of_squares_that_overflows(name):
    """It stays infinite and stops the parameter; nothing becomes NaN."""
    rule = kernels.UpdateRule(name)
    p = np.array([1.0, 1.0], np.float32)
    state = rule.initial_state(2, 0.0, np.dtype("f4"))
    for step, size in enumerate((1e25, 1.0, 1.0, 1e-3), 1):
        jit.update(rule, p, np.array([size, 1.0], np.float32), state, step, 0.01)
        assert not np.isnan(p).any(), (step, p)
        assert not np.isnan(state).any(), (step, state)
    assert np.isfinite(p).all()


def sparse_columns(n, n_in, rng):
    """Rows with an entry in the first column and one elsewhere, all positive; and dense."""
    others = rng.integers(1, n_in, n)
    values = rng.random((n, 2), dtype=np.float32) + 1
    columns = np.stack([np.zeros(n, np.int64), others], axis=1)
    dense = np.zeros((n, n_in))
    np.put_along_axis(dense, columns, values.astype(np.float64), axis=1)
    starts = np.arange(0, 2 * n + 1, 2)
    return kernels.CSR(values.reshape(-1), columns.reshape(-1), starts, (n, n_in)), dense


@pytest.mark.parametrize("n", [256, 257, 60_001])
def test_gradient_of_many_sparse_rows(n, rng):
    """Weights of columns with an entry in every row, and in few."""
    x, dense = sparse_columns(n, 7, rng)
    net = kernels.Architecture((7, 19), (), "identity")
    flat, y = np.zeros(net.n_parameters, "f4"), rng.random((n, 19), dtype=np.float32) + 1
    _, found = jit.Network(net, "f4").loss_and_gradient(flat, x, -y, "squared_error")
    expected = (dense.T @ y.astype(np.float64) / n).reshape(-1)
    np.testing.assert_allclose(found[: expected.size], expected, rtol=2e-6)


@pytest.mark.parametrize("rule", ["sgd", "adagrad"])
def test_a_step_of_many_sparse_rows(rule, rng):
    """Plain descent adds rows to the weights one by one only where they are few."""
    n = 60_001
    x, dense = sparse_columns(n, 7, rng)
    net = kernels.Architecture((7, 1), (), "identity")
    trainer = jit.Trainer(
        net, np.dtype("f4"), "squared_error", kernels.UpdateRule(rule),
        kernels.TrainingOptions(batch_size=n, n_threads=1),
    )  # fmt: skip
    trainer.load(np.zeros(net.n_parameters, "f4"))
    y = rng.random((n, 1), dtype=np.float32) + 1
    trainer.run_epoch(x, y, None, 100.0)
    found = np.empty(net.n_parameters, "f4")
    trainer.store(found)
    gradient = dense.T @ y.astype(np.float64) / n
    expected = 100 * gradient if rule == "sgd" else np.full_like(gradient, 100.0)
    np.testing.assert_allclose(found[:7], expected[:, 0], rtol=2e-6)
