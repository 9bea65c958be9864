"""Tasks: decisions from probabilities and from scores, initial weights, and training for each."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP
from fastmlp.optimizers import LBFGS, Adam
from problems import data, network

# Initial weights


def test_init_by_name_by_object_and_by_array():
    zeros = MLP([3, 4, 2], init="zeros")
    assert not zeros.parameters.any()
    rng = np.random.default_rng(0)
    w1, w2, b2 = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=2)
    net = MLP([3, 4, 2], dtype=np.float64, init=[w1, (w2, b2)])
    assert np.array_equal(net.weights[0], w1)
    assert np.array_equal(net.weights[1], w2)
    assert not net.biases[0].any()
    assert np.array_equal(net.biases[1], b2)
    w1[:] = 0
    assert net.weights[0].any()
    mixed = MLP([3, 4, 2], dtype=np.float64, init=["orthogonal", w2], random_state=0)
    np.testing.assert_allclose(mixed.weights[0] @ mixed.weights[0].T, np.eye(3), atol=1e-14)


@pytest.mark.parametrize(
    ("init", "error", "message"),
    [
        ("he", ValueError, "he_normal"),
        (["zeros"], ValueError, "list of 2"),
        (["zeros", np.ones((3, 2))], ValueError, r"\(4, 2\), got \(3, 2\)"),
        (["zeros", (np.ones((4, 2)), np.ones(3))], ValueError, r"bias .*\(2,\)"),
        (["zeros", object()], TypeError, "real numbers|init"),
        (3, ValueError, r"\(3, 4\)"),
    ],
)
def test_wrong_init(init, error, message):
    with pytest.raises(error, match=message):
        MLP([3, 4, 2], init=init)


# Tasks: from outputs to decisions


def test_multinomial_decisions_from_probabilities_and_from_scores(backend):
    x, _ = data()
    net = network()
    scores, probabilities = net.scores(x), net.predict(x)
    e = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(e / e.sum(1, keepdims=True), probabilities, rtol=1e-10)
    assert np.array_equal(net.predict_classes(x), scores.argmax(1))
    assert np.array_equal(net.predict_classes(x), probabilities.argmax(1))
    np.testing.assert_allclose(np.exp(net.log_probabilities(x)), probabilities, rtol=1e-10)


def test_binary_decisions_from_probabilities_and_from_scores(backend):
    x, _ = data()
    net = network((4, 5, 1), "sigmoid")
    p = net.predict(x)[:, 0]
    assert np.array_equal(net.predict_classes(x), net.scores(x)[:, 0] >= 0)
    assert np.array_equal(net.predict_classes(x, threshold=0.8), p >= 0.8)
    linear = network((4, 1), "identity")
    assert np.array_equal(linear.predict_classes(x), linear.predict(x)[:, 0] >= 0)


def test_multilabel_decisions(backend):
    x, _ = data()
    net = network((4, 5, 3), "sigmoid")
    assert np.array_equal(net.predict_labels(x), net.scores(x) >= 0)
    assert np.array_equal(net.predict_labels(x, threshold=0.7), net.predict(x) >= 0.7)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_logarithms_of_probabilities_are_finite(backend, dtype, output):
    net = MLP([1, 2], output=output, dtype=dtype, init=[np.array([[1.0, -1.0]])])
    x = np.array([[1e4], [-1e4], [0.0]])
    with np.errstate(divide="ignore"):
        assert np.isneginf(np.log(net.predict(x))).any()
    logs = net.log_probabilities(x)
    assert np.isfinite(logs).all()
    assert logs.dtype == dtype
    assert logs.min() == (-2e4 if output == "softmax" else -1e4)


def test_logarithms_need_probabilities():
    with pytest.raises(ValueError, match="identity"):
        network(output="identity").log_probabilities(np.ones((1, 4)))


def test_scores_follow_the_parameters_and_the_backend():
    from fastmlp import kernels

    x, _ = data()
    net = network(output="identity")
    for name in kernels.available():
        with kernels.use_backend(name):
            net.weights[1][:] *= 2
            np.testing.assert_allclose(net.scores(x), net.predict(x), rtol=1e-12)


# Tasks: training


def test_every_task_is_learnt(backend):
    rng = np.random.default_rng(8)
    x = rng.normal(size=(120, 2))
    inside = (np.square(x).sum(1) < 1.2).astype(int)
    quadrant = (x[:, 0] > 0).astype(int) + 2 * (x[:, 1] > 0)
    options = {"optimizer": Adam(0.02), "epochs": 150}

    def net(n_out, output):
        return MLP([2, 16, n_out], "tanh", output, random_state=1)

    binary = net(1, "sigmoid")
    binary.fit(x, inside, **options)
    assert np.mean(binary.predict_classes(x) == inside) > 0.95
    multinomial = net(4, "softmax")
    multinomial.fit(x, quadrant, **options)
    assert np.mean(multinomial.predict_classes(x) == quadrant) > 0.95
    several = np.stack([inside, x[:, 0] > 0, x[:, 1] > 0], 1)
    multilabel = net(3, "sigmoid")
    multilabel.fit(x, several, **options)
    assert np.mean(multilabel.predict_labels(x) == several) > 0.95
    values = np.stack([np.sin(x[:, 0]), x[:, 0] * x[:, 1] / 2], 1)
    regression = net(2, "identity")
    regression.fit(x, values, **options)
    assert np.mean(np.square(regression.predict(x) - values)) < 0.02


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "multiclass_hinge"])
def test_margins_are_learnt(backend, loss):
    rng = np.random.default_rng(8)
    x = rng.normal(size=(90, 2))
    y = np.digitize(x[:, 0], [-0.5, 0.5])
    net = MLP([2, 16, 3], "tanh", random_state=1)
    net.fit(x, y, loss=loss, optimizer=Adam(0.02), epochs=150)
    assert np.mean(net.predict_classes(x) == y) > 0.95


# Sparse rows


@pytest.mark.parametrize("options", [{}, {"optimizer": "lbfgs"}, {"dropout": 0.3}])
def test_sparse_rows_train_like_the_same_rows_written_out(backend, options):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(30, 12)) * (rng.random((30, 12)) < 0.2)
    y = rng.integers(0, 3, 30)
    one, other = network((12, 5, 3)), network((12, 5, 3))
    options = {"epochs": 4, "batch_size": 8, "metrics": ["accuracy"], **options}
    written_out = one.fit(dense, y, **options)
    for make in (sparse.csr_matrix, sparse.coo_array, sparse.csc_matrix):
        assert np.array_equal(other.predict(make(dense)), other.predict(sparse.csr_array(dense)))
    history = other.fit(
        sparse.csr_array(dense), y, validation_data=(sparse.coo_array(dense), y), **options
    )
    np.testing.assert_allclose(other.parameters, one.parameters, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(history.loss, written_out.loss, rtol=1e-8)
    np.testing.assert_allclose(other.scores(sparse.csr_array(dense)), one.scores(dense), rtol=1e-7)


def test_wrong_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    from fastmlp import kernels

    net = network((12, 5, 3))
    with kernels.use_backend("reference"):
        with pytest.raises(ValueError, match=r"\(n, 12\)"):
            net.predict(sparse.csr_array(np.eye(4)))
        with pytest.raises(TypeError, match="complex"):
            net.predict(sparse.csr_array(np.eye(12) * 1j))
        broken = sparse.csr_array(np.eye(12))
        broken.data[3] = np.nan
        with pytest.raises(ValueError, match="finite"):
            net.fit(broken, np.zeros(12, int))
        with pytest.raises(ValueError, match="subset"):
            net.fit(sparse.csr_array(np.eye(12)), np.zeros(12, int), optimizer=LBFGS(subset=3))
