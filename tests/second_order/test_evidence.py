"""Bayesian regularisation: precisions of groups of parameters, and the evidence for them."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, optimizers
from fastmlp._training.full_batch import second_order


def test_bayesian_regularisation_finds_the_noise():
    """A network that is much too large: γ stays far below p, β is that of the noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 1))
    clean = np.sin(3 * x)
    y = clean + 0.1 * rng.normal(size=x.shape)
    net = MLP([1, 12, 1], "tanh", dtype="f8", random_state=0)
    plain = MLP([1, 12, 1], "tanh", dtype="f8", random_state=0)
    history = net.fit(x, y, optimizer="bayesian_regularization", epochs=40)
    plain.fit(x, y, optimizer="levenberg_marquardt", epochs=40)
    assert 2 < history.effective_parameters[-1] < 20
    assert history.beta[-1] == pytest.approx(100, rel=0.5)
    assert history.alpha[-1] > 0
    assert np.square(net.predict(x) - clean).mean() < np.square(plain.predict(x) - clean).mean()
    laplace = net.laplace(x, y, penalties="units")
    assert laplace.effective_parameters == pytest.approx(history.effective_parameters[-1], rel=0.1)
    assert laplace.beta == pytest.approx(history.beta[-1], rel=0.05)


@pytest.mark.parametrize("penalties", ["all", "layers", "units"])
def test_the_evidence_of_a_linear_network_is_the_density_of_its_targets(penalties):
    """Which are normal with the covariance ``1/β + Σ x xᵀ / α``, and no other α or β makes the
    found ones more probable."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 3))
    y = x[:, :1] - 0.5 * x[:, 1:2] + 2 + 0.3 * rng.normal(size=(40, 1))
    net = MLP([3, 1], dtype="f8", random_state=0)
    rule = optimizers.BayesianRegularization(penalties=penalties)
    history = net.fit(x, y, optimizer=rule, epochs=400)
    found = net.laplace(x, y, penalties=penalties)
    number = {"all": [0] * 4, "layers": [0] * 4, "units": [0, 1, 2, 3]}[penalties]

    def log_density(alpha, beta):
        design = np.c_[x, np.ones(40)] / np.sqrt(np.resize(alpha, max(number) + 1)[number])
        covariance = design @ design.T + np.eye(40) / beta
        quadratic = y[:, 0] @ np.linalg.solve(covariance, y[:, 0])
        return -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])

    best = log_density(found.alpha, found.beta)
    assert history.log_evidence[-1] == pytest.approx(best, rel=1e-3)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert log_density(factor * np.asarray(found.alpha), found.beta) < best
        assert log_density(found.alpha, factor * found.beta) < best
    assert found.beta == pytest.approx(history.beta[-1], rel=1e-3)


def test_a_penalty_is_learnt_even_where_the_first_descent_ends_early(monkeypatch):
    """Where no step at all is taken, the constants are those of the evidence for the parameters."""
    monkeypatch.setattr(second_order, "_MOST_DAMPING", 0.0)
    x = np.random.default_rng(3).normal(size=(40, 2))
    y = x[:, :1] + 0.3 * np.random.default_rng(4).normal(size=(40, 1))
    net = MLP([2, 1], dtype="f8", random_state=0)
    before = net.parameters.copy()
    rule = optimizers.BayesianRegularization(starts=(50,), penalties="all")
    history = net.fit(x, y, optimizer=rule, epochs=49)
    assert history.stop_reason == "line_search"
    np.testing.assert_array_equal(net.parameters, before)
    found = net.laplace(x, y)
    np.testing.assert_allclose(history.alpha[-1], found.alpha, rtol=0.01)
    np.testing.assert_allclose(history.beta[-1], found.beta, rtol=0.01)


def test_inputs_that_tell_nothing_are_left_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 5))
    y = np.tanh(2 * x[:, 1:2]) + 0.1 * rng.normal(size=(120, 1))
    net = MLP([5, 6, 1], "tanh", dtype="f8", random_state=0)
    net.fit(x, y, optimizer="bayesian_regularization", epochs=100)
    alpha = net.laplace(x, y, penalties="units").alpha
    assert alpha.shape == (5 + 1 + 6 + 1,)
    assert np.delete(alpha[:5], 1).min() > 20 * alpha[1]
    assert abs(net.weights[0][1]).max() > 50 * abs(np.delete(net.weights[0], 1, axis=0)).max()


def test_laplace_takes_a_precision_for_each_group():
    x = np.random.default_rng(0).normal(size=(30, 2))
    net = MLP([2, 3, 1], "tanh", dtype="f8", random_state=0)
    alpha = np.arange(1.0, 8.0)  # two inputs and their biases, three units and theirs
    of_parameters = [1, 1, 1, 2, 2, 2, 4, 5, 6, 3, 3, 3, 7]
    found = net.laplace(x, x[:, :1], alpha=alpha, beta=2.0, penalties="units")
    jacobian = net.parameter_jacobian(x)[:, 0]
    expected = np.linalg.inv(2 * jacobian.T @ jacobian + np.diag(of_parameters))
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-9, atol=1e-12)
    effective = 13 - float(of_parameters @ expected.diagonal())
    assert found.effective_parameters == pytest.approx(effective)
    assert "7 groups" in repr(found)
    for wrong in (alpha[1:], 0.0, [np.inf] * 7, -alpha):
        with pytest.raises(ValueError, match="alpha must be a finite number above 0, or 7 of them"):
            net.laplace(x, x[:, :1], alpha=wrong, penalties="units")
    with pytest.raises(ValueError, match="penalties must be one of"):
        net.laplace(x, x[:, :1], penalties="inputs")


def test_the_descent_of_the_greatest_evidence_goes_on():
    """Noise of which much is learnt by heart: the curve is as high as that of each start alone."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(70, 6))
    y = x[:, :1] + rng.normal(size=(70, 1))

    def evidence(starts, epochs=90):
        net = MLP([6, 8, 1], "tanh", dtype="f8", random_state=0)
        rule = optimizers.BayesianRegularization(starts=starts, trial=60)
        return net.fit(x, y, optimizer=rule, epochs=epochs).log_evidence[-1]

    alone = [evidence((start,)) for start in (0, 3, 25)]
    assert max(alone) - min(alone) > 1
    assert evidence((0, 3, 25)) >= max(alone) - 0.1


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"penalties": "inputs"}, "penalties must be one of"),
        ({"starts": ()}, "starts must be a tuple"),
        ({"starts": 3}, "starts must be a tuple"),
        ({"starts": (0, -1)}, "starts must not be negative"),
        ({"starts": (0, 60)}, "starts must come before trial=60"),
    ],
)
def test_constants_of_the_evidence(constants, message):
    with pytest.raises(ValueError, match=message):
        optimizers.BayesianRegularization(**constants)
