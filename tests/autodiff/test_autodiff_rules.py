"""Rules one by one: operations, subgradients, branches that are not taken, functions of arrays."""

from __future__ import annotations

import numpy as np
import pytest
from expressions import difference
from fastmlp.autodiff import grad, trace, value_and_grad
from fastmlp.autodiff._node import Node, apply
from fastmlp.autodiff._operations import TABLE

#: Operations of one operand with a place where they are smooth, and NumPy's name.
PLACES = {"arccosh": 1.7, "arcsin": 0.4, "arccos": 0.4, "arctanh": 0.4, "sigmoid": -0.3}


@pytest.mark.parametrize(
    "name", [n for n, op in TABLE.items() if op.elementwise and len(op.rules) == 1]
)
def test_every_unary_operation(name):
    """First and second derivative of each row of the table, by central differences."""

    def f(x):
        return apply(name, x) if isinstance(x, Node) else TABLE[name].value(x)

    x = PLACES.get(name, 0.7)
    if TABLE[name].rules[0] is None and name not in ("sign", "floor", "ceil", "rint", "trunc"):
        assert f(np.float64(x)).dtype == bool
        return
    slope = grad(f)(x)
    assert abs(slope - difference(f, [np.float64(x)], [1.0], 1e-5)) < 1e-8
    assert abs(grad(grad(f))(x) - difference(grad(f), [x], [1.0], 1e-5)) < 1e-7


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (np.abs, 0.0, 0.0),
        (lambda x: np.maximum(x, 1.0), 1.0, 0.5),
        (lambda x: np.minimum(1.0, x), 1.0, 0.5),
        (lambda x: np.maximum(x, x), 2.0, 1.0),
        (lambda x: np.clip(x, -1, 1), 1.0, 1.0),
        (lambda x: np.clip(x, -1, 1), 1.5, 0.0),
        (lambda x: np.clip(x, None, 1), -9.0, 1.0),
        (np.sign, 0.3, 0.0),
        (np.floor, 2.0, 0.0),
        (lambda x: np.hypot(x, 0.0), 0.0, 0.0),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x**2.0, 0.0, 0.0),
        (lambda x: 2.0**x, 0.0, np.log(2.0)),
        (lambda x: 0.0**x, 1.0, 0.0),
        (np.max, np.array([1.0, 3.0, 3.0]), [0, 0.5, 0.5]),
        (np.min, np.array([1.0, 1.0, 1.0, 2.0]), [1 / 3, 1 / 3, 1 / 3, 0]),
        (lambda x: np.maximum.reduce(x, axis=None), np.array([[2.0, 2.0]]), [[0.5, 0.5]]),
    ],
)
def test_documented_subgradients(f, at, expected):
    np.testing.assert_array_equal(grad(f)(at), expected)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: np.where(x > 0, np.log(x), 0.0), 0),
        (lambda x: np.where(x > 0, np.sqrt(x), x), 1),
        (lambda x: np.where(x == 0, 5.0, 1 / x), 0),
        (lambda x: np.where(x > 0, np.sqrt(np.sum(np.log(x[None]))), 2 * x), 2),
        (lambda x: np.where(x > 0, np.where(x > -1, np.log(x), x), x * x + 3 * x), 3),
        (lambda x: np.where(x > 0, np.log(x), 0.0) + np.where(x < 0, 1 / x, 1.0), 0),
        (lambda x: np.sum(np.where(np.array([False, False]), np.log(x), 1.0)), 0),
        (lambda x: np.where(x > 0, np.log(x), 0.0) * np.where(x < 0, np.log(-x), 7.0) + x, 1),
        (lambda x: np.where(x > 0, np.power(x, -0.5), np.exp(x)), 1),
        # The mask has fewer dimensions than what it masks, which was reduced before.
        (lambda x: np.sum(np.where(x > 0, np.sum(np.log(np.ones((2, 3)) * x), axis=1), x)), 2),
    ],
)
def test_branch_not_taken_has_no_say(f, expected):
    """At 0 the branch that is not taken has an infinite derivative, or NaN."""
    assert grad(f)(0.0) == expected
    assert np.isfinite(grad(grad(f))(0.0))


def test_stable_forms():
    """What overflows as it is written does not, with derivatives of every order."""
    z = np.array([-1000.0, -50.0, 0.0, 50.0, 1000.0])
    softplus = np.array([0.0, np.exp(-50.0), np.log(2.0), 50.0, 1000.0])
    sigmoid = np.array([0.0, np.exp(-50.0), 0.5, 1.0, 1.0])

    def each(f):
        return np.array([f(x) for x in z])

    for f in (lambda x: np.log(1 + np.exp(x)), lambda x: np.log1p(np.exp(x))):
        values = each(lambda x, f=f: value_and_grad(f)(x))
        np.testing.assert_allclose(values[:, 0], softplus, rtol=1e-14)
        np.testing.assert_allclose(values[:, 1], sigmoid, rtol=1e-14)
    for f in (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(x) / (1 + np.exp(x))):
        values = each(lambda x, f=f: value_and_grad(f)(x))
        np.testing.assert_allclose(values[:, 0], sigmoid, rtol=1e-14)
        np.testing.assert_allclose(values[:, 1], sigmoid * (1 - sigmoid), rtol=1e-14)
        assert np.isfinite(each(grad(grad(grad(f))))).all()


def test_gradient_inside_a_traced_function():
    """The argument of an inner derivative is not the same value outside it."""
    assert grad(lambda x: x * grad(lambda y: x + y)(x))(3.0) == 1
    assert grad(lambda x: x * grad(lambda y: x * y * y)(2.0))(3.0) == 24
    assert grad(lambda x: grad(lambda y: grad(lambda z: x * y * z * z)(y))(x))(2.0) == 16
    value, gradient = value_and_grad(lambda x: value_and_grad(np.tanh)(x)[0] * x)(0.5)
    assert value == np.tanh(0.5) * 0.5
    assert gradient == pytest.approx(np.tanh(0.5) + 0.5 / np.cosh(0.5) ** 2, rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    """Python's numbers take the arrays' dtype, as in NumPy."""

    def f(x, y):
        z = np.where(x > 0, 0.5 * x**2, np.maximum(x, -1) / 3) + 2
        return np.mean(np.logaddexp(0, z) * y) + np.std(z)

    x, y = np.linspace(-2, 2, 6, dtype=dtype), np.ones(6, dtype)
    value, gradients = value_and_grad(f, (0, 1))(x, y)
    assert value.dtype == dtype
    assert all(g.dtype == dtype for g in gradients)
    assert all(node.dtype in (dtype, bool) for node in trace(f, x, y).nodes)


@pytest.mark.parametrize(
    ("f", "example"),
    [
        (lambda x: np.concatenate([x, 2 * x[:1], np.ones((1, 3))], axis=0) ** 2, (2, 3)),
        (lambda x: np.stack([x, x * x], axis=-1), (2, 3)),
        (lambda x: np.outer(x[0], x[1]), (2, 3)),
        (lambda x: np.dot(x, x.T), (2, 3)),
        (lambda x: np.squeeze(np.expand_dims(x, (0, 2))) * np.ravel(x).reshape(2, 3), (2, 3)),
        (lambda x: np.var(x, axis=1, ddof=1) + np.std(x, axis=1), (2, 3)),
        (lambda x: np.ptp(x, axis=0) * np.linalg.norm(x, axis=0), (2, 3)),
        (lambda x: np.swapaxes(x, 0, 2) @ np.ones(2) + x.sum(), (2, 3, 4)),
        (lambda x: np.arange(3.0) @ x, (5, 3, 4)),
        (lambda x: x @ np.arange(4.0) @ np.arange(3.0), (5, 3, 4)),
        (lambda x: x[0] @ x[1:], (3, 2, 2)),
        (lambda x: x.std(axis=0) * x.var() + x.ravel()[:3].clip(-0.5, 9).dot(x[0]), (2, 3)),
        (lambda x: x.swapaxes(0, 1)[:, :1].squeeze() - x.mean(axis=0, keepdims=True), (2, 3)),
        (lambda x: x[np.array([0, 2, 0]), 1:], (3, 3)),
        (lambda x: np.broadcast_to(x[:, None], (3, 4, 2)) ** 2, (3, 2)),
        (lambda x: sum(row * i for i, row in enumerate(x)), (3, 2)),
        (lambda x: np.add.reduce(x, axis=1) / np.minimum.reduce(x * x + 1, axis=1), (3, 2)),
    ],
)
def test_functions_of_arrays(f, example, rng):
    """The same value as NumPy, and the derivative along random directions."""
    x, d = rng.normal(size=example), rng.normal(size=example)
    weights = rng.normal(size=np.shape(f(x)))

    def weighted(x):
        return np.sum(f(x) * weights)

    graph = trace(f, x)
    np.testing.assert_allclose(graph(x), f(x), rtol=1e-13)
    slope = np.sum(grad(weighted)(x) * d)
    expected = difference(weighted, [x], [d])
    assert abs(slope - expected) < 1e-7 * (1 + abs(expected)) * x.size
