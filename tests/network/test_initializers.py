"""Initialisers: their distributions, arrays in their place, and the defaults."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import initializers

N_IN, N_OUT = 300, 200

VARIANCES = {
    "glorot_uniform": 2 / (N_IN + N_OUT),
    "glorot_normal": 2 / (N_IN + N_OUT),
    "he_uniform": 2 / N_IN,
    "he_normal": 2 / N_IN,
    "lecun_uniform": 1 / N_IN,
    "lecun_normal": 1 / N_IN,
    "orthogonal": 1 / N_IN,
    "random_normal": 0.05**2,
    "random_uniform": 0.05**2 / 3,
    "zeros": 0,
}


def draw(name, n_in=N_IN, n_out=N_OUT):
    return initializers.get(name).draw(np.random.default_rng(0), n_in, n_out)


def test_names():
    assert set(VARIANCES) == set(initializers.Initializer.registry)


@pytest.mark.parametrize("name", VARIANCES)
def test_moments(name):
    weights = draw(name)
    assert weights.shape == (N_IN, N_OUT)
    variance, n = VARIANCES[name], weights.size
    # Standard errors: of the mean √(v/n), of the variance at most √(2/n) of it; 5 of them.
    assert abs(weights.mean()) <= 5 * np.sqrt(variance / n)
    assert weights.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / n))
    largest = abs(weights).max()
    if "uniform" in name:
        assert 0.999 * np.sqrt(3 * variance) < largest <= np.sqrt(3 * variance)
    if "normal" in name:
        assert largest > 3.5 * np.sqrt(variance)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_orthogonal(shape):
    weights = initializers.Orthogonal(gain=3).draw(np.random.default_rng(1), *shape)
    small = min(shape)
    gram = weights.T @ weights if shape[0] > shape[1] else weights @ weights.T
    np.testing.assert_allclose(gram, 9 * np.eye(small), atol=1e-13)


def test_orthogonal_prefers_no_direction():
    rng = np.random.default_rng(2)
    signs = [np.sign(initializers.Orthogonal().draw(rng, 2, 2)[0, 0]) for _ in range(400)]
    assert abs(np.mean(signs)) < 5 / np.sqrt(400)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: initializers.get("he"), ValueError, "he_uniform"),
        (lambda: initializers.get(3), TypeError, "3"),
        (lambda: initializers.RandomNormal(stddev=-1), ValueError, "stddev"),
        (lambda: initializers.RandomUniform(1, 0), ValueError, "minval"),
    ],
)
def test_wrong_initialisers(make, error, message):
    with pytest.raises(error, match=message):
        make()
