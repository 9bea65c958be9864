"""What the reference backend, the definition of the others, does at the edges of its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import UpdateRule, reference


@pytest.mark.parametrize("name", kernels.UPDATE_RULES)
@pytest.mark.parametrize("centered", [False, True])
def test_steps_are_finite_where_squares_overflow(name, centered):
    """Where a square is beyond float32, a mean of squares is infinite and the step 0, not NaN."""
    rule = UpdateRule(name, {"centered": 1.0} if centered and name == "rmsprop" else {})
    p, g = np.array([0, 1, 2], "f4"), np.array([1e25, -3e37, 1], "f4")
    state = rule.initial_state(3, 0.01, "f4")
    for step in range(1, 8):
        reference.update(rule, p, g, state, step, 0.01)
        assert np.isfinite(p).all(), f"step {step}"
    assert not np.isnan(state).any()


def test_sums_of_many_rows():
    """Their error does not grow with the number of rows."""
    rows = np.full((2_000_000, 2), 0.1, "f4")
    np.testing.assert_allclose(reference.bias_gradient(rows), np.float32(0.1), rtol=5e-7)
    square = np.full((2, 2), np.float64(np.float32(0.1)) ** 2)
    np.testing.assert_allclose(reference.weight_gradient(rows, rows), square, rtol=2e-6)


def test_nothing_raises_under_errstate():
    """As in the engines, infinities and NaN are results."""
    x, weights = np.array([[1e30, 1.0]], "f4"), np.full((2, 3), 1e30, "f4")
    net = kernels.Architecture((2, 3, 1), ("gelu",), "exp")
    flat = np.full(net.n_parameters, 1e30, "f4")
    rule, options = UpdateRule("adam"), kernels.TrainingOptions(batch_size=1, clip_norm=1.0)
    with np.errstate(all="raise"):
        assert np.isinf(reference.dense_forward(x, weights, weights[0])).all()
        reference.activate(x * 0 - 200, "sigmoid")
        reference.Network(net, "f4").predict(flat, x)
        reference.Network(net, "f4").loss_and_gradient(flat, x, x[:, :1], "poisson")
        trainer = reference.Trainer(net, "f4", "poisson", rule, options)
        trainer.load(flat)
        trainer.run_epoch(x, x[:, :1], None, 0.1)
