"""Targets with holes, several quantiles, distributions, and factors of outputs."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, losses

pytestmark = pytest.mark.filterwarnings("ignore:divide by zero")
RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 3))
HOLES = np.where(RNG.random(Y.shape) < 0.4, np.nan, Y)
IGNORE = {"missing_targets": "ignore"}

#: Losses that are sums over outputs, each with an output activation.
SUMS = [
    ("squared_error", "identity"),
    ("squared_error", "sigmoid"),
    ("absolute_error", "identity"),
    (losses.Huber(0.4), "identity"),
    (losses.Quantile(0.3), "identity"),
    ("log_cosh", "identity"),
    ("poisson", "exp"),
    ("binary_cross_entropy", "sigmoid"),
    ("hinge", "identity"),
    ("squared_hinge", "identity"),
]


def network(n_out=3, output="identity", dtype="f8"):
    return MLP([3, 5, n_out], "tanh", output, dtype, random_state=0)


def fitting(y, loss):
    """Targets that mean something to the loss."""
    if loss in ("hinge", "squared_hinge"):
        return np.where(np.isnan(y), y, (y > 0).astype(float))
    return np.abs(y) / (1 + np.abs(y)) if loss in ("poisson", "binary_cross_entropy") else y.copy()


@pytest.mark.covers("backend", "pair", without="numba")
@pytest.mark.parametrize("pair", SUMS, ids=str)
def test_an_output_without_targets_is_not_there(backend, pair):
    """The gradient with two observed outputs is that of the network with those alone."""
    loss, output = pair
    y = fitting(Y, loss)
    y[:, 1] = np.nan
    net, alone = network(output=output), network(2, output)
    alone.weights = [net.weights[0], net.weights[1][:, [0, 2]]]
    alone.biases = [net.biases[0], net.biases[1][[0, 2]]]
    value, ((w, b), (v, c)) = net.loss_and_gradients(X, y, loss, **IGNORE)
    expected, ((w2, b2), (v2, c2)) = alone.loss_and_gradients(X, y[:, [0, 2]], loss)
    assert value == pytest.approx(expected, rel=1e-12)
    assert not v[:, 1].any()
    assert c[1] == 0
    for found, wanted in ((w, w2), (b, b2), (v[:, [0, 2]], v2), (c[[0, 2]], c2)):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-13)
    graph = net.graph(X, y, loss, **IGNORE)
    assert float(graph.outputs[0].value) == pytest.approx(value, rel=1e-12)


def test_nothing_missing_changes_nothing(backend, dtype):
    net, same = network(dtype=dtype), network(dtype=dtype)
    history = net.fit(X, Y, epochs=2, **IGNORE)
    expected = same.fit(X, Y, epochs=2)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-5 if dtype == "f4" else 1e-12)


def test_a_row_without_targets_is_one_of_weight_0(backend):
    y = HOLES.copy()
    y[7] = np.nan
    weight = np.ones(40)
    weight[7] = 0
    net = network()
    expected = net.loss(X, y, None, weight, **IGNORE)
    assert net.loss(X, y, **IGNORE) == expected
    kept = np.arange(40) != 7
    assert net.loss(X[kept], y[kept], **IGNORE) == pytest.approx(expected, rel=1e-12)


def test_fit_and_validation_with_holes(backend):
    net = network()
    history = net.fit(X, HOLES, epochs=30, learning_rate=0.02, validation_data=(X, HOLES), **IGNORE)
    assert history.loss[-1] < 0.9 * history.loss[0]
    assert history.validation_loss[-1] == net.loss(X, HOLES, **IGNORE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n.fit(X, HOLES), "missing_targets='ignore' takes NaN"),
        (lambda n: n.fit(X, np.full_like(Y, np.nan), **IGNORE), "no target that is observed"),
        (
            lambda n: n.fit(X, np.where(Y > 0, np.inf, np.nan), **IGNORE),
            "where it is observed must",
        ),
        (lambda n: n.loss(X, Y, missing_targets="skip"), "must be 'error' or 'ignore', got 'skip'"),
        (lambda n: n.loss(X, Y, "multiclass_hinge", **IGNORE), "no sum over outputs"),
        (lambda n: n.loss(X, Y, losses.GaussianNLL()), "needs 2 outputs for each target"),
        (lambda n: n.loss(X, Y, losses.Quantile([0.1, 0.9])), "needs 2 outputs for each target"),
        (lambda n: n.loss(X, Y, losses.Weighted("huber", [1, 2])), "weights must hold 3 numbers"),
        (
            lambda n: n.loss(X, Y, None, np.ones((40, 1))),
            r"\(40,\), or \(40, 3\) .* got \(40, 1\)$",
        ),
        (lambda n: n.predict_distribution(X), "a distribution needs two outputs"),
        (lambda n: losses.Quantile([0.5, 0.1]), "several quantiles must rise"),
        (lambda n: losses.Quantile(0.5, ordered=True), "ordered=True is for several"),
        (lambda n: losses.Weighted("huber", [1, -1]), "weights must be finite, not negative"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    net = network()
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=message):
        call(net)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("ordered", [False, True])
def test_several_quantiles(backend, ordered):
    """Outputs of a target stand side by side; those of an ordered loss cannot cross."""
    q = np.array([0.1, 0.5, 0.9])
    loss, net = losses.Quantile(q.tolist(), ordered=ordered), network(6)
    values = loss.values(net.predict(X))
    r = Y[:, :2, None] - values
    expected = np.where(r > 0, q * r, (q - 1) * r).sum((1, 2)).mean()
    assert net.loss(X, Y[:, :2], loss) == pytest.approx(expected, rel=1e-12)
    holes = HOLES[:, :2]
    pinball = np.where(r > 0, q * r, (q - 1) * r)
    expected = np.where(np.isnan(holes)[:, :, None], 0, pinball).sum((1, 2))
    seen = ~np.isnan(holes).all(axis=1)
    assert net.loss(X, holes, loss, **IGNORE) == pytest.approx(expected[seen].mean(), rel=1e-12)
    net.fit(X, Y[:, :2], loss=loss, epochs=20, learning_rate=0.02)
    if ordered:
        assert (np.diff(loss.values(net.predict(X)), axis=2) > 0).all()


def test_quantiles_of_one_target_may_be_a_vector():
    loss, net = losses.Quantile([0.1, 0.9]), network(2)
    assert net.loss(X, Y[:, 0], loss) == net.loss(X, Y[:, :1], loss)


def test_gaussian_nll(backend):
    loss, net = losses.GaussianNLL(), network(4)
    mean, deviation = net.predict_distribution(X)
    z = (Y[:, :2] - mean) / deviation
    expected = (np.log(deviation) + 0.5 * z**2).sum(axis=1).mean()
    assert net.loss(X, Y[:, :2], loss) == pytest.approx(expected, rel=1e-12)
    net.fit(X, Y[:, :2], loss=loss, epochs=30, learning_rate=0.02)
    assert net.loss(X, Y[:, :2], loss) < expected


def test_weighted(backend):
    factors = np.array([1.0, 0.0, 2.5])
    net = network()
    expected = (0.5 * np.square(net.predict(X) - Y) * factors).sum(axis=1).mean()
    loss = losses.Weighted("squared_error", factors)
    assert net.loss(X, Y, loss) == pytest.approx(expected, rel=1e-12)
    y = Y.copy()
    y[:, 1] = np.nan
    assert net.loss(X, y, loss, **IGNORE) == pytest.approx(expected, rel=1e-12)
