"""Calls for many rows, which are cut into blocks of rows."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, MLPClassifier, MLPRegressor
from fastmlp._network import blocks
from fastmlp.optimizers import GradientDescent

N = 1000


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 256 rows, the smallest."""
    monkeypatch.setattr(blocks, "WORK", 0)


def rows(kind, rng):
    x = rng.normal(size=(N, 5)) * (rng.random((N, 5)) < 0.5)
    return pytest.importorskip("scipy.sparse").csr_matrix(x) if kind == "sparse" else x


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_predictions_are_the_same_to_the_bit(kind, backend, dtype, rng, monkeypatch):
    net = MLP([5, 7, 3], output="softmax", dtype=dtype, random_state=0)
    x = rows(kind, rng)
    expected = net.predict(x), net.scores(x), net.log_probabilities(x)
    monkeypatch.setattr(blocks, "WORK", 0)
    cut = MLP([5, 7, 3], output="softmax", dtype=dtype, random_state=0)
    for found, want in zip(
        (cut.predict(x), cut.scores(x), cut.log_probabilities(x)), expected, strict=True
    ):
        np.testing.assert_array_equal(found, want)
    if kind == "dense":  # what is not converted takes another way
        np.testing.assert_array_equal(cut.predict(x.astype(dtype)), expected[0])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_losses_and_gradients_are_those_of_all_rows(kind, weighted, backend, rng, monkeypatch):
    net = MLP([5, 7, 3], output="softmax", dtype="float64", random_state=0)
    x, y = rows(kind, rng), rng.integers(0, 3, N)
    weight = rng.random(N) if weighted else None
    if weighted:
        weight[:300] = 0  # a block without any weight
    expected = net.loss(x, y, sample_weight=weight)
    value, gradients = net.loss_and_gradients(x, y, sample_weight=weight)
    monkeypatch.setattr(blocks, "WORK", 0)
    assert net.loss(x, y, sample_weight=weight) == pytest.approx(expected, rel=1e-13)
    cut_value, cut_gradients = net.loss_and_gradients(x, y, sample_weight=weight)
    assert cut_value == pytest.approx(value, rel=1e-13)
    for cut, whole in zip(cut_gradients, gradients, strict=True):
        for a, b in zip(cut, whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("penalties", [{}, {"l2": 0.1}, {"l1": 0.01, "l2": 0.1}])
def test_fits_by_line_search(penalties, rng, monkeypatch):
    x, y = rng.normal(size=(N, 5)), rng.normal(size=(N, 1))

    def fitted():
        net = MLP([5, 4, 1], activation="tanh", dtype="float64", random_state=0)
        optimizer = GradientDescent(line_search="armijo")
        history = net.fit(x, y, optimizer=optimizer, epochs=4, validation_data=(x, y), **penalties)
        return net.parameters, history.loss, history.validation_loss

    expected = fitted()
    monkeypatch.setattr(blocks, "WORK", 0)
    for found, want in zip(fitted(), expected, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:lbfgs failed", "ignore:Stochastic Optimizer")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_estimators(kind, rng, monkeypatch):
    pytest.importorskip("scipy")
    x, y = rng.normal(size=(N, 5)), rng.integers(0, 2, N)

    def found():
        early = kind(hidden_layer_sizes=(4,), early_stopping=True, max_iter=2, random_state=0)
        lbfgs = kind(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=4, random_state=0)
        early.fit(x, y, X_val=x, y_val=y)
        return lbfgs.fit(x, y).loss_, lbfgs.predict(x), early.validation_loss_curve_

    expected = found()
    monkeypatch.setattr(blocks, "WORK", 0)
    for have, want in zip(found(), expected, strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-7, atol=1e-9)


class Interrupted(Exception):
    pass


def test_a_long_call_is_left_between_two_blocks(small_blocks, monkeypatch):
    calls = []

    def interrupt(x, rows):
        calls.append(rows)
        if len(calls) == 2:
            raise Interrupted  # as a signal would between two blocks
        return x[rows]

    monkeypatch.setattr(blocks.sparse, "part", interrupt)
    net = MLP([5, 3, 1])
    x, y = np.ones((N, 5), np.float32), np.ones((N, 1), np.float32)
    for call in (net.predict, net.scores, lambda x: net.loss(x, y)):
        calls.clear()
        with pytest.raises(Interrupted):
            call(x)
        assert len(calls) == 2


def test_the_smallest_block_of_large_networks():
    assert blocks.rows_of_block(MLP([10000, 5000, 1]).architecture) == 256
    assert blocks.rows_of_block(MLP([2, 1]).architecture) == 250_000_000


@pytest.mark.parametrize("shape", [(5,), (2, 2, 5), (3, 4)])
def test_rows_of_another_shape_are_named(shape, backend):
    with pytest.raises(ValueError, match=r"X must have shape \(n, 5\)"):
        MLP([5, 3, 1]).predict(np.ones(shape, np.float32))
