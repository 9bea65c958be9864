"""Sums of ``JᵀJ`` and ``Jᵀr``: against J itself, any layers, outputs, layouts and threads."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, kernels
from fastmlp.kernels import reference
from support import LAYOUTS, laid_out

#: Rows, sizes, outputs: one and several blocks of rows, and stretches of blocks, of pairs of inputs
#: and of errors; few and many of either; no input, no output at all.
SHAPES = [
    (5, (3, 4, 2), 2),
    (193, (1, 17, 1), 1),
    (200, (14, 15, 3), 3),
    (385, (2, 9, 5, 1), 1),
    (1100, (14, 17, 1), 1),
    (3, (0, 2), 4),
    (0, (3, 2, 1), 1),
    (4, (3, 2), 0),
]


def layers(n, sizes, k, dtype, rng):
    inputs = [rng.normal(size=(n, size)).astype(dtype) for size in sizes[:-1]]
    errors = [rng.normal(size=(n, k, size)).astype(dtype) for size in sizes[1:]]
    return inputs, errors, rng.normal(size=(n, k)).astype(dtype)


def jacobian(inputs, errors, residuals):
    """Row by row, as it is defined; the residuals are the last column."""
    rows = []
    for n in range(len(residuals)):
        for k in range(residuals.shape[1]):
            weights = [np.outer(a[n], d[n, k]).ravel() for a, d in zip(inputs, errors, strict=True)]
            biases = [d[n, k] for d in errors]
            rows.append(np.concatenate([*weights, *biases, residuals[n, k : k + 1]]))
    width = sum((a.shape[1] + 1) * d.shape[2] for a, d in zip(inputs, errors, strict=True)) + 1
    return np.array(rows, np.float64).reshape(-1, width)


def close(found, expected, dtype):
    size = max(1.0, float(np.abs(expected).max(initial=0)))
    factor = 2e-6 if dtype == "f4" else 1e-14
    np.testing.assert_allclose(found, expected, rtol=0, atol=size * factor)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_the_jacobian(backend, dtype, shape, rng):
    inputs, errors, residuals = layers(*shape, dtype, rng)
    j = jacobian(inputs, errors, residuals)
    found = kernels.gauss_newton(inputs, errors, residuals)
    assert found.dtype == np.float64
    close(found, j.T @ j, dtype)
    np.testing.assert_array_equal(found, found.T)
    close(kernels.gauss_newton(inputs, errors), (j.T @ j)[:-1, :-1], dtype)


def test_out_is_added_to(backend, rng):
    """Two halves of the rows are the whole, and nothing beside ``out`` is written."""
    inputs, errors, residuals = layers(300, (3, 7, 2), 2, "f8", rng)
    whole = kernels.gauss_newton(inputs, errors, residuals)
    room = np.full(whole.size + 16, 7.0)
    out = room[8:-8].reshape(whole.shape)
    out[...] = 0
    for rows in (slice(120), slice(120, None)):
        half = [a[rows] for a in inputs], [d[rows] for d in errors], residuals[rows]
        assert kernels.gauss_newton(*half, out=out) is out
    np.testing.assert_allclose(out, whole, rtol=0, atol=1e-12 * np.abs(whole).max())
    assert (room[:8] == 7).all()
    assert (room[-8:] == 7).all()


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(fast_backend, dtype, n_threads, rng):
    args = layers(2000, (9, 30, 2), 2, dtype, rng)
    one = kernels.gauss_newton(*args, n_threads=1)
    np.testing.assert_array_equal(kernels.gauss_newton(*args, n_threads=n_threads), one)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(fast_backend, layout, rng, tmp_path):
    inputs, errors, residuals = layers(70, (5, 4, 2), 1, "f8", rng)
    changed = [laid_out(a, layout, tmp_path) for a in inputs]
    flat = [laid_out(d[:, 0], layout, tmp_path)[:, None] for d in errors]
    last = laid_out(residuals, layout, tmp_path)
    plain = [a.copy() for a in changed], [d.copy() for d in flat], last.copy()
    expected = reference.gauss_newton(*plain)
    found = kernels.gauss_newton(changed, flat, last)
    close(found, expected, "f8")


def test_many_float32_rows_add_up(fast_backend):
    """Sums over rows do not drift: blocks are added in float64."""
    n = 100_000
    inputs, errors = [np.full((n, 1), 0.1, "f4")], [np.full((n, 1, 1), 0.3, "f4")]
    found = kernels.gauss_newton(inputs, errors)
    a, d = np.float64(np.float32(0.1)), np.float64(np.float32(0.3))
    expected = n * np.outer([a * d, d], [a * d, d])
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_wrong_inputs(backend):
    a, d = np.zeros((4, 3)), np.zeros((4, 2, 5))
    cases = [
        (([a], []), ValueError, "of the same layers"),
        (([a], [d[0]]), ValueError, r"errors\[0\] must have shape"),
        (([a[:3]], [d]), ValueError, r"inputs\[0\] must have shape \(4, n_in\)"),
        (([a.astype("f4")], [d]), TypeError, r"inputs\[0\] must be float64"),
        (([a], [d], np.zeros((4, 3))), ValueError, r"residuals must have shape \(4, 2\)"),
    ]
    for args, error, message in cases:
        with pytest.raises(error, match=message):
            kernels.gauss_newton(*args)
    with pytest.raises(ValueError, match=r"out must have shape \(20, 20\)"):
        kernels.gauss_newton([a], [d], out=np.zeros((21, 21)))
    with pytest.raises(TypeError, match="out must be float64"):
        kernels.gauss_newton([a], [d], out=np.zeros((20, 20), "f4"))


@pytest.mark.parametrize("n_out", range(1, 40))
def test_pairs_of_any_width_lie_side_by_side(n_out, rng):
    """The last vector of a row of pairs may run over, and must not reach the next row."""
    for dtype in ("f4", "f8"):
        args = layers(9, (1, n_out), 2, dtype, rng)
        j = jacobian(*args)
        close(kernels.gauss_newton(*args), j.T @ j, dtype)


@pytest.mark.parametrize("learning", [(True, False, True), (False, True, False)])
def test_layers_that_stay_cost_nothing(backend, learning, monkeypatch, rng):
    """The matrix is the part of the whole one, and the kernel is given no other layers."""
    net = MLP([3, 5, 4, 2], "tanh", dtype="f8", random_state=0)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
    whole, mask = net.gauss_newton(x, y), np.zeros(net.parameters.size, bool)
    for views in net.architecture.views(mask):
        for view, learns in zip(views, learning, strict=True):
            view[...] = learns
    given, sum_up = [], kernels.gauss_newton

    def noted(inputs, errors, **options):
        given.append(len(inputs))
        return sum_up(inputs, errors, **options)

    monkeypatch.setattr(kernels, "gauss_newton", noted)
    found = net.gauss_newton(x, y, trainable=learning)
    np.testing.assert_allclose(found, whole[np.ix_(mask, mask)], rtol=1e-12, atol=1e-15)
    before = net.parameters.copy()
    net.fit(x, y, optimizer="levenberg_marquardt", epochs=2, trainable=learning)
    net.laplace(x, y, trainable=learning)
    assert set(given) == {sum(learning)}
    assert np.array_equal(net.parameters[~mask], before[~mask])
    assert not np.array_equal(net.parameters[mask], before[mask])
    with pytest.raises(ValueError, match="trainable must let a layer learn"):
        net.gauss_newton(x, y, trainable=[False] * 3)


# Systems of equations

EQUATIONS = (1, 2, 3, 4, 5, 23, 24, 25, 47, 48, 49, 53, 96, 100, 131, 290)


def positive(n, dtype, rng):
    """A positive definite matrix, of a condition that float32 stands."""
    half = rng.normal(size=(n, 2 * n))
    return (half @ half.T / n + np.eye(n)).astype(dtype), rng.normal(size=n).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", [one for one in LAYOUTS if one != "broadcast"])
def test_positive_systems_are_solved(backend, dtype, layout, rng, tmp_path):
    """Sizes of parts of tiles and of blocks of rows; what is given stays as it is."""
    for n in EQUATIONS:
        matrix, right = positive(n, dtype, rng)
        given = laid_out(matrix, layout, tmp_path), right.copy()
        found = kernels.solve_positive(*given)
        exact = np.linalg.solve(matrix.astype(np.float64), right.astype(np.float64))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, exact, rtol=0, atol=200 * n * np.finfo(dtype).eps)
        np.testing.assert_array_equal(given[0], matrix)
        np.testing.assert_array_equal(given[1], right)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit_of_a_solution(dtype, rng):
    """The compiled backend's; enough equations that panels are shared."""
    if "compiled" not in kernels.available():
        pytest.skip("needs the compiled backend")
    matrix, right = positive(700, dtype, rng)
    with kernels.use_backend("compiled"):
        one, two, three = (kernels.solve_positive(matrix, right, n_threads=n) for n in (1, 2, 3))
        broken = matrix.copy()
        broken[600, 600] = -1
        assert kernels.solve_positive(broken, right, n_threads=2) is None
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


def test_systems_that_are_not_positive_have_no_solution(backend, rng):
    for n in EQUATIONS:
        matrix, right = positive(n, np.float64, rng)
        for place in {0, n // 2, n - 1}:
            for bad in (0.0, -1.0, np.nan):
                broken = matrix.copy()
                broken[place, place] = bad
                assert kernels.solve_positive(broken, right) is None, (n, place, bad)


def test_systems_need_equal_sides(backend):
    matrix = np.eye(3)
    for error, words, given in (
        (ValueError, r"matrix must have shape \(2, 2\)", (matrix, np.ones(2))),
        (ValueError, r"right must have shape \(n,\)", (matrix, np.ones((3, 1)))),
        (ValueError, "at least one row", (np.eye(0), np.ones(0))),
        (TypeError, "matrix must be float32", (matrix, np.ones(3, np.float32))),
        (TypeError, "right must be float32 or float64", (matrix, np.ones(3, int))),
        (TypeError, "matrix must be a numpy.ndarray", ([[1.0]], np.ones(1))),
    ):
        with pytest.raises(error, match=words):
            kernels.solve_positive(*given)
