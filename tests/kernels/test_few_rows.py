"""Products of a few rows, which read weights where they lie."""

from __future__ import annotations

import ctypes
import functools
import mmap
import sys
from itertools import product

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import reference
from support import assert_agrees

ROWS = range(1, 9)
# Depths and widths below, at and above vectors, steps of several of them, what is prefetched,
# and what threads share.
SIZES = ((5, 3), (16, 16), (40, 17), (130, 90), (300, 530), (1100, 35), (3, 700), (700, 600))


def assert_rounded(found, a, b, bias, dtype):
    """A product up to the rounding that sums of some hundred terms have in any order."""
    want = a.astype(float) @ b.astype(float) + bias
    scale = np.abs(a).astype(float) @ np.abs(b).astype(float) + np.abs(bias)
    assert (np.abs(found - want) <= 8 * np.finfo(dtype).eps * scale + 1e-30).all()


@pytest.mark.parametrize("n", [1, 3, 4, 6, 7])
def test_weights_of_any_strides(fast_backend, n, dtype, rng):
    """Vectors that are longer than a row of weights do not read what is not theirs, or too late."""
    for depth in (1, 2, 5, 40):
        x = rng.normal(size=(n, depth)).astype(dtype)
        for columns in (*range(1, 19), 31, 33, 300):
            wide = rng.normal(size=(depth, columns + 300)).astype(dtype)
            bias = rng.normal(size=columns).astype(dtype)
            for weights in (
                wide[:, :columns].copy(),
                wide[::-1, :columns],
                wide[::-1, :columns].copy()[::-1],
                np.broadcast_to(wide[0, :columns], (depth, columns)),
                wide[:, 300:],
                np.asfortranarray(wide[:, :columns]),
                np.asfortranarray(wide[:, :columns])[:, ::-1],
                np.broadcast_to(wide[:, :1].copy(), (depth, columns)),
            ):
                assert_rounded(kernels.dense_forward(x, weights, bias), x, weights, bias, dtype)


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


@pytest.mark.parametrize(("depth", "columns"), SIZES, ids=str)
def test_sums_of_few_rows(fast_backend, depth, columns, dtype, rng):
    """Forward and errors backward, by weights in either order, by one thread and two."""
    wide = rng.normal(size=(depth, columns + 3)).astype(dtype)
    bias = rng.normal(size=columns).astype(dtype)
    by_columns = np.asfortranarray(wide)[:, :columns]
    for n, n_threads in product(ROWS, (1, 2)):
        x = rng.normal(size=(n, depth)).astype(dtype)
        ones = np.ones((n, columns), dtype)
        for weights in (wide[:, :columns].copy(), wide[:, 3:], by_columns):
            found = kernels.dense_forward(x, weights, bias, n_threads=n_threads)
            assert_rounded(found, x, weights, bias, dtype)
            found = kernels.delta_backward(x, weights.T, ones, "relu", n_threads=n_threads)
            assert_rounded(found, x, weights, np.zeros(columns), dtype)


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


def at_the_end(x):
    """A copy that ends where a page begins that nobody may read."""
    size = -(-x.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, size + mmap.PAGESIZE)
    behind = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + size
    protect = ctypes.CDLL(None).mprotect
    assert protect(ctypes.c_void_p(behind), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    found = np.frombuffer(memory, x.dtype, x.size, size - x.nbytes).reshape(x.shape)
    found[:] = x
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="pages are protected by mprotect")
@pytest.mark.parametrize(
    ("depth", "columns"), [(17, 10), (40, 17), (5, 1), (3, 7), (130, 33), (600, 130)], ids=str
)
def test_nothing_behind_arrays_is_read(fast_backend, depth, columns, dtype):
    """What is read there ends the process."""
    ones = functools.partial(np.ones, dtype=dtype)
    w, b, gradient = (
        at_the_end(ones(shape)) for shape in ((depth, columns), columns, (depth, columns))
    )
    for n in (*ROWS, 9, 60, 300):
        x, back = at_the_end(ones((n, depth))), at_the_end(ones((n, depth)))
        delta, out = at_the_end(ones((n, columns))), at_the_end(ones((n, columns)))
        np.testing.assert_array_equal(kernels.dense_forward(x, w, b, out=out), depth + 1)
        kernels.delta_backward(delta, w, x, "relu", out=back)
        np.testing.assert_array_equal(back, columns)
        line = at_the_end(ones(n + columns - 1))
        for errors in (delta, np.lib.stride_tricks.sliding_window_view(line, columns)):
            kernels.weight_gradient(x, errors, out=gradient)
            np.testing.assert_array_equal(gradient, 1)
