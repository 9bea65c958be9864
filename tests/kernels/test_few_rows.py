"""Products of a few rows, which read weights where they lie."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import reference
from support import assert_agrees

ROWS = (1, 2, 3, 4, 5, 6, 7, 8)
# Depths and widths below, at and above vectors, steps of several of them, and what is prefetched.
SIZES = ((5, 3), (16, 16), (40, 17), (130, 90), (300, 530), (1100, 35), (3, 700))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", [b for b in kernels.available() if b != "reference"])
def test_few_rows_with_weights_of_any_strides(backend, dtype, n):
    """Vectors that are longer than a row of weights do not read what is not theirs, or too late."""
    rng = np.random.default_rng(n)
    for depth in (1, 2, 5, 40):
        x = rng.standard_normal((n, depth)).astype(dtype)
        for columns in (*range(1, 19), 31, 33, 300):
            wide = rng.standard_normal((depth, columns + 300)).astype(dtype)
            bias = rng.standard_normal(columns).astype(dtype)
            for weights in (
                wide[:, :columns].copy(),
                wide[::-1, :columns],
                wide[::-1, :columns].copy()[::-1],
                np.broadcast_to(wide[0, :columns], (depth, columns)),
                wide[:, 300:],
                np.asfortranarray(wide[:, :columns]),
            ):
                with kernels.use_backend(backend):
                    found = kernels.dense_forward(x, weights, bias)
                want = x.astype(float) @ weights.astype(float) + bias
                scale = np.abs(x).astype(float) @ np.abs(weights).astype(float) + np.abs(bias)
                assert (np.abs(found - want) <= 8 * np.finfo(dtype).eps * scale + 1e-30).all()


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("n", [9, 200])
def test_order_of_weights(fast_backend, order, n, dtype, rng):
    """Few rows read weights where they lie, in either order; widths fill cache lines or do not."""
    for width, activation in product((32, 40), ("relu", "tanh")):
        weights = np.asarray(rng.normal(size=(width, 48)), dtype, order=order)
        delta, x = (rng.normal(size=(n, columns)).astype(dtype) for columns in (48, width))
        for name, arguments in {
            "dense_forward": (x, weights, np.ones(48, dtype), activation),
            "delta_backward": (delta, weights, np.tanh(x), activation),
        }.items():
            expected = getattr(reference, name)(*arguments)
            actual = getattr(kernels, name)(*arguments)
            assert_agrees(actual, expected, dtype, width, f"{name}, {width}, {activation}")


def assert_exact(found, a, b, bias, dtype):
    """Sums of few terms, in any order, up to the rounding that this many can have."""
    want = a.astype(float) @ b.astype(float) + bias
    scale = np.abs(a).astype(float) @ np.abs(b).astype(float) + np.abs(bias)
    assert (np.abs(found - want) <= 8 * np.finfo(dtype).eps * scale + 1e-30).all()


@pytest.mark.parametrize(("depth", "columns"), SIZES, ids=str)
def test_sums_of_few_rows(fast_backend, depth, columns, dtype, rng):
    """Forward and errors backward, by weights in either order and of any strides."""
    wide = rng.normal(size=(depth, columns + 3)).astype(dtype)
    bias = rng.normal(size=columns).astype(dtype)
    for n, n_threads in product(ROWS, (1, 2)):
        x = rng.normal(size=(n, depth)).astype(dtype)
        for weights in (
            wide[:, :columns].copy(),
            wide[:, 3:],
            np.asfortranarray(wide)[:, :columns],
        ):
            found = kernels.dense_forward(x, weights, bias, n_threads=n_threads)
            assert_exact(found, x, weights, bias, dtype)
            found = kernels.delta_backward(
                x, weights.T, np.ones((n, columns), dtype), "relu", n_threads=n_threads
            )
            assert_exact(found, x, weights, np.zeros(columns), dtype)


@pytest.mark.parametrize(("depth", "columns"), SIZES, ids=str)
def test_a_row_is_the_same_in_any_company(compiled_backend, depth, columns, dtype, rng):
    """One to four rows share what they load of the weights, not their sums."""
    weights = rng.normal(size=(depth, columns)).astype(dtype)
    bias = rng.normal(size=columns).astype(dtype)
    x = rng.normal(size=(8, depth)).astype(dtype)
    alone = np.concatenate([kernels.dense_forward(row[None], weights, bias) for row in x])
    for n in ROWS:
        np.testing.assert_array_equal(kernels.dense_forward(x[:n], weights, bias), alone[:n])
    activations = np.ones((8, columns), dtype)
    turned = np.ascontiguousarray(weights.T)
    alone = np.concatenate(
        [kernels.delta_backward(row[None], turned, activations[:1], "relu") for row in x]
    )
    for n in ROWS[:4]:
        found = kernels.delta_backward(x[:n], turned, activations[:n], "relu")
        np.testing.assert_array_equal(found, alone[:n])
