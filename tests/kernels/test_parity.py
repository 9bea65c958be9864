"""Every kernel of every backend gives the reference's values: dtypes, shapes, layouts, threads."""

from __future__ import annotations

from itertools import chain, islice, product

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import UpdateRule, reference
from support import (
    FUNCTIONS,
    LAYOUTS,
    RULES,
    SHAPES,
    WITH_OUT,
    assert_agrees,
    calls,
    laid_out,
    show,
)

THREADS = (1, 2, 3, 4)
OF_LOSSES = ("output_delta", "loss_value")


@pytest.mark.covers(
    "fast_backend shape", "function shape", "fast_backend dtype function", without="numba float64"
)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("function", FUNCTIONS)
def test_shapes_and_threads(fast_backend, function, dtype, shape, rng):
    # Of some hundred losses each shape has others; test_parity_networks goes through all of them.
    some = 5 if function in OF_LOSSES else 1
    for number, call in islice(
        enumerate(calls(function, shape, dtype, rng)), sum(shape) % some, None, some
    ):
        expected = call.expected()
        # Every number of threads, but not each with each call.
        for n_threads in (None, THREADS[(number + sum(shape)) % len(THREADS)]):
            actual = call.run(n_threads=n_threads)
            assert_agrees(actual, expected, dtype, call.inner, f"{call}, {n_threads} threads")


@pytest.mark.covers(
    "backend function", "function layout", "backend dtype layout", without="numba float64"
)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_layouts(backend, function, dtype, layout, rng, tmp_path):
    """All arrays in one layout, then each array alone; inputs stay as they were."""
    some = chain(calls(function, (17, 19, 33), dtype, rng), calls(function, (1, 3, 2), dtype, rng))
    for call in islice(some, 0, None, 13 if function in OF_LOSSES else 1):
        changed = call.with_arrays(lambda array: laid_out(array, layout, tmp_path))
        before = changed.with_arrays(np.copy)
        assert_agrees(changed.run(), before.expected(), dtype, call.inner, changed)
        assert_agrees(changed.run(n_threads=2), before.expected(), dtype, call.inner, changed)
        for place, array in enumerate(call.args):
            if isinstance(array, np.ndarray):
                args = list(call.args)
                args[place] = changed.args[place]
                one = type(call)(function, tuple(args), call.inner, call.kwargs)
                assert_agrees(one.run(), one.expected(), dtype, call.inner, one)
        for array, copy in zip(changed.args, before.args, strict=True):
            np.testing.assert_array_equal(array, copy, f"an input of {changed} was changed")


@pytest.mark.covers("backend function", "dtype function", without="numba float64")
@pytest.mark.parametrize("function", WITH_OUT)
def test_out_is_filled_and_returned(backend, function, dtype, rng):
    for shape in ((0, 5, 3), (7, 17, 15), (3, 0, 4)):
        for call in calls(function, shape, dtype, rng):
            expected = call.run()
            out = np.full(expected.shape, 7, dtype)
            assert call.run(out=out) is out, f"{call} with out= returned another object"
            np.testing.assert_array_equal(out, expected, f"{call} with out=")
            # A view into a larger array: nothing beside it may be written.
            room = np.full(expected.size + 32, 7, dtype)
            view = room[16 : 16 + expected.size].reshape(expected.shape)
            assert call.run(out=view, n_threads=2) is view
            np.testing.assert_array_equal(view, expected, f"{call} with out= a view")
            assert np.all(room[:16] == 7), f"{call} wrote before out"
            assert np.all(room[16 + expected.size :] == 7), f"{call} wrote behind out"


UPDATES = {
    "sgd_update": (0, [(0.1,)]),
    "momentum_update": (1, [(0.1, 0.9), (0.1, 0.9, True), (0.1, 0.0)]),
    "adam_update": (
        2,
        [(1,), (2, 0.01), (1000, 0.01, 0.8, 0.99, 1e-3), (3, 0.01, 0.9, 0.999, 1e-4, True)],
    ),
}


@pytest.mark.covers("fast_backend function", "dtype function", without="numba float64")
@pytest.mark.parametrize("function", UPDATES)
def test_updates(fast_backend, function, dtype, rng):
    slots, constants = UPDATES[function]
    for n in (0, 1, 5, 6, 7, 8, 15, 16, 17, 31, 33, 64, 100, 5000):
        for numbers, n_threads in product(constants, (None, *THREADS)):
            vectors = [rng.standard_normal(n).astype(dtype) for _ in range(2 + slots)]
            if function == "adam_update":
                vectors[3] = vectors[3] ** 2
            expected = [vector.astype(np.float64) for vector in vectors]
            gradient = vectors[1].copy()
            with kernels.use_backend("reference"):
                getattr(kernels, function)(*expected, *numbers)
            result = getattr(kernels, function)(*vectors, *numbers, n_threads=n_threads)
            what = f"{function}(n={n}, constants {numbers}, {n_threads} threads)"
            assert result is None, what
            for actual, wanted in zip(vectors, expected, strict=True):
                assert_agrees(actual, wanted, dtype, 0, what)
            np.testing.assert_array_equal(vectors[1], gradient, f"{what} changed the gradient")


LATE_AND_EARLY = ((1, None), (3, 1), (1000, 3))  # steps, and threads that make them


def random_state(rule: UpdateRule, n: int, dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """State as it may be after some steps: averages of squares and the like are not negative."""
    state = rng.standard_normal((len(rule.slots), n))
    for vector, slot in zip(state, rule.slots, strict=True):
        if slot not in ("velocity", "buffer", "first_moment", "linear", "previous_gradient"):
            np.abs(vector, out=vector)
        if slot == "gradient_average":  # a mean's square is below the mean of squares
            vector[...] = np.sqrt(state[0]) * rng.uniform(-0.9, 0.9, n)
    return state.astype(dtype)


@pytest.mark.covers("fast_backend rule", "dtype rule", without="numba float64")
@pytest.mark.parametrize("rule", RULES, ids=show)
def test_update(fast_backend, rule, dtype, rng):
    """Every rule from any state, in early and late steps."""
    for n, (step, n_threads) in product((1, 5, 16, 17, 33, 100, 5000), LATE_AND_EARLY):
        state = random_state(rule, n, dtype, rng)
        p, g = rng.standard_normal((2, n)).astype(dtype)
        expected = [array.astype(np.float64) for array in (p, g, state)]
        gradient = g.copy()
        reference.update(rule, *expected, step, 0.01)
        result = kernels.update(rule, p, g, state, step, 0.01, n_threads=n_threads)
        what = f"update({rule}, n={n}, step {step}, {n_threads} threads)"
        assert result is None, what
        inner = 1000 if rule.name == "ftrl" else 0  # it divides a difference by the learning rate
        assert_agrees(p, expected[0], dtype, inner, what)
        assert_agrees(state, expected[2], dtype, inner, f"state of {what}")
        np.testing.assert_array_equal(g, gradient, f"{what} changed the gradient")


@pytest.mark.covers("fast_backend", "dtype", without="numba float64")
def test_update_of_no_parameters(fast_backend, dtype):
    for rule in RULES:
        p, state = np.empty(0, dtype), np.empty((len(rule.slots), 0), dtype)
        assert kernels.update(rule, p, p.copy(), state, 1, 0.01) is None


@pytest.mark.covers("backend rule", "dtype", without="numba float64")
@pytest.mark.parametrize("rule", RULES, ids=show)
def test_update_of_nothing(backend, rule, dtype):
    """A parameter that is 0 stays 0 while its gradient is, from the initial state and from 0."""
    for state in (rule.initial_state(40, 0.1, dtype), np.zeros((len(rule.slots), 40), dtype)):
        p, g = np.zeros((2, 40), dtype)
        for step in (1, 2, 3):
            kernels.update(rule, p, g, state, step, 0.1)
            np.testing.assert_array_equal(p, 0)
            assert np.isfinite(state).all()


@pytest.mark.parametrize("rows", [300, 600])
def test_gradients_of_several_pieces_of_rows(fast_backend, rows, dtype, rng):
    """Sums over more rows than are multiplied at a time, in panels or where they belong."""
    for columns in (40, 150):
        x, delta = (rng.normal(size=(rows, n)).astype(dtype) for n in (30, columns))
        expected = reference.weight_gradient(x, delta)
        assert_agrees(kernels.weight_gradient(x, delta), expected, dtype, rows, f"{columns}")


@pytest.mark.parametrize("columns", [1, 3, 8, 10, 17, 33, 100, 150])
@pytest.mark.parametrize("features", [5, 40, 130, 1300])
def test_gradients_of_rows_where_they_lie(fast_backend, features, columns, dtype, rng):
    """Narrow layers are not packed, in one piece of rows, features and sums, or in several."""
    for rows in (2, 9, 60, 300, 2100):
        x = rng.normal(size=(rows, features)).astype(dtype)
        delta = rng.normal(size=(rows, columns)).astype(dtype)
        windows = np.lib.stride_tricks.sliding_window_view(
            rng.normal(size=rows + columns - 1).astype(dtype), columns
        )
        beside = np.concatenate([delta, np.full_like(delta, np.nan)], axis=1)[:, :columns]
        for errors in (delta, windows, beside, delta[::-1], np.broadcast_to(delta[0], delta.shape)):
            expected = reference.weight_gradient(x, errors)
            assert_agrees(kernels.weight_gradient(x, errors), expected, dtype, rows, f"{rows}")


@pytest.mark.parametrize("columns", [40, 300])
def test_sums_over_several_pieces_of_the_depth(fast_backend, columns, dtype, rng):
    """More inputs, and more errors, than are multiplied at a time, by too many rows to be few."""
    rows, depth = 200, 2100
    x, delta = (rng.normal(size=(rows, depth)).astype(dtype) for _ in range(2))
    a = rng.normal(size=(rows, columns)).astype(dtype)
    weights, bias = (rng.normal(size=n).astype(dtype) for n in ((depth, columns), columns))
    for activation in ("identity", "relu"):
        sums = kernels.dense_forward(x, weights, bias, activation)
        expected = reference.dense_forward(x, weights, bias, activation)
        assert_agrees(sums, expected, dtype, depth, activation)
        errors = kernels.delta_backward(delta, weights.T, a, activation)
        expected = reference.delta_backward(delta, weights.T, a, activation)
        assert_agrees(errors, expected, dtype, depth, activation)


@pytest.mark.parametrize("rows", [20, 270])
def test_gradients_of_wide_rows(fast_backend, rows, dtype, rng):
    """Features are packed in strips, whose last one is short, and runs of errors pass by."""
    x = rng.normal(size=(rows, 1100)).astype(dtype)
    delta = rng.normal(size=(rows, 300)).astype(dtype)
    for features in (523, 1042):
        for some in (x[:, :features], np.asfortranarray(x[:, :features]), x[::-1, features::-1]):
            expected = reference.weight_gradient(some, delta)
            assert_agrees(kernels.weight_gradient(some, delta), expected, dtype, rows, features)
