"""Derivatives of single operations and of random expressions, first and second.

Random expressions are drawn by hypothesis as programs over three inputs whose shapes broadcast in
every position. Where torch is installed its derivatives are the measure, else finite differences.
"""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp.autodiff import grad, trace, value_and_grad
from fastmlp.autodiff._operations import TABLE
from hypothesis import given, settings
from hypothesis import strategies as st

try:
    import torch
except ImportError:
    torch = None

UNARY = {
    "negative": np.negative,
    "abs": np.abs,
    "exp": np.exp,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "square": np.square,
    "arctan": np.arctan,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "log": lambda x: np.log(np.square(x) + 0.5),
    "sqrt": lambda x: np.sqrt(np.square(x) + 0.5),
    "sinh": lambda x: np.sinh(np.tanh(x)),
    "power": lambda x: x**3,
    "clip": lambda x: np.clip(x, -0.7, 0.9),
    "sum_last": lambda x: np.sum(x, axis=-1, keepdims=True) if x.ndim else x,
    "mean_first": lambda x: np.mean(x, axis=0) if x.ndim else x,
    "max": lambda x: np.max(x, axis=-1, keepdims=True) if x.ndim else x,
    "log_sum_exp": lambda x: np.logaddexp.reduce(x, axis=-1) if x.ndim else x,
    "transpose": np.transpose,
    "reshape": lambda x: np.reshape(x, (1, -1)),
    "first": lambda x: x[0] if x.ndim else x,
    "reversed": lambda x: x[..., ::-1] if x.ndim else x,
    "twice": lambda x: x[np.array([0, 0])] if x.ndim else x,
    "new_axis": lambda x: x[..., None],
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": lambda a, b: a / (1.0 + np.square(b)),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "logaddexp": np.logaddexp,
    "hypot": lambda a, b: np.hypot(a, 1.0 + np.square(b)),
    "arctan2": lambda a, b: np.arctan2(a, 1.0 + np.square(b)),
    "power": lambda a, b: (np.square(a) + 0.5) ** np.tanh(b),
    "where": lambda a, b: np.where(a > b, np.sin(a), b * 0.5),
    "guarded_log": lambda a, b: np.where(a > 0, np.log(np.where(a > 0, a, 1.0)), b),
    "inner": lambda a, b: a @ b if a.ndim == b.ndim == 1 and a.shape == b.shape else a - b,
    "product": lambda a, b: a @ np.swapaxes(b, -1, -2) if _fit(a, b) else a * 0.3 + b,
}


def _fit(a, b):
    return (
        a.ndim >= 2 and b.ndim >= 2 and a.shape[-1] == b.shape[-1] and a.shape[:-2] == b.shape[:-2]
    )


if torch is not None:
    T = torch
    TORCH_UNARY = {
        "negative": T.neg,
        "abs": T.abs,
        "exp": T.exp,
        "expm1": T.expm1,
        "tanh": T.tanh,
        "sin": T.sin,
        "cos": T.cos,
        "square": T.square,
        "arctan": T.arctan,
        "softplus": lambda x: T.logaddexp(T.zeros_like(x), x),
        "log": lambda x: T.log(T.square(x) + 0.5),
        "sqrt": lambda x: T.sqrt(T.square(x) + 0.5),
        "sinh": lambda x: T.sinh(T.tanh(x)),
        "power": lambda x: x**3,
        "clip": lambda x: T.clamp(x, -0.7, 0.9),
        "sum_last": lambda x: T.sum(x, -1, keepdim=True) if x.ndim else x,
        "mean_first": lambda x: T.mean(x, 0) if x.ndim else x,
        "max": lambda x: T.amax(x, -1, keepdim=True) if x.ndim else x,
        "log_sum_exp": lambda x: T.logsumexp(x, -1) if x.ndim else x,
        "transpose": lambda x: x.permute(tuple(range(x.ndim)[::-1])),
        "reshape": lambda x: T.reshape(x, (1, -1)),
        "first": lambda x: x[0] if x.ndim else x,
        "reversed": lambda x: T.flip(x, (-1,)) if x.ndim else x,
        "twice": lambda x: x[[0, 0]] if x.ndim else x,
        "new_axis": lambda x: x[..., None],
    }
    TORCH_BINARY = {
        "add": T.add,
        "subtract": T.sub,
        "multiply": T.mul,
        "divide": lambda a, b: a / (1.0 + T.square(b)),
        "maximum": T.maximum,
        "minimum": T.minimum,
        "logaddexp": T.logaddexp,
        "hypot": lambda a, b: T.hypot(*T.broadcast_tensors(a, 1.0 + T.square(b))),
        "arctan2": lambda a, b: T.arctan2(a, 1.0 + T.square(b)),
        "power": lambda a, b: (T.square(a) + 0.5) ** T.tanh(b),
        "where": lambda a, b: T.where(a > b, T.sin(a), b * 0.5),
        "guarded_log": lambda a, b: T.where(a > 0, T.log(T.where(a > 0, a, T.ones_like(a))), b),
        "inner": lambda a, b: a @ b if a.ndim == b.ndim == 1 and a.shape == b.shape else a - b,
        "product": lambda a, b: a @ b.swapaxes(-1, -2) if _fit(a, b) else a * 0.3 + b,
    }

#: Broadcast against each other in every position: added dimensions, and lengths of 1 anywhere.
SHAPES = (
    (),
    (3,),
    (1,),
    (2, 3),
    (2, 1),
    (1, 3),
    (1, 1),
    (4, 2, 3),
    (4, 1, 3),
    (1, 2, 1),
    (4, 1, 1),
)
DIMENSIONS = st.sampled_from(SHAPES)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(UNARY)), st.integers(0, 30)),
        st.tuples(st.sampled_from(sorted(BINARY)), st.integers(0, 30), st.integers(0, 30)),
    ),
    min_size=1,
    max_size=6,
)


def run(steps, inputs, unary, binary, weighted_sum):
    """Compute the steps, each on values that are there; sum what is left with weights."""
    values = list(inputs)
    for name, *operands in steps:
        picked = [values[-1 - i % len(values)] for i in operands]
        if len(picked) == 2:
            try:
                np.broadcast_shapes(*(tuple(x.shape) for x in picked))
            except ValueError:
                continue
        result = (unary if len(picked) == 1 else binary)[name](*picked)
        if result.ndim <= 4:
            # Bounded, so that chains of exp do not overflow.
            values.append(result * 0.5)
    return weighted_sum(values[-1])


def numpy_function(steps):
    def weighted_sum(x):
        return np.sum(np.tanh(x) * np.cos(np.arange(x.size)).reshape(x.shape))

    return lambda *inputs: run(steps, inputs, UNARY, BINARY, weighted_sum)


def torch_function(steps):
    def weighted_sum(x):
        weights = torch.cos(torch.arange(x.numel(), dtype=torch.float64)).reshape(x.shape)
        return torch.sum(torch.tanh(x) * weights)

    return lambda *inputs: run(steps, inputs, TORCH_UNARY, TORCH_BINARY, weighted_sum)


def drawn(shapes, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def second(f, directions):
    """A function whose gradient is the second derivative of ``f`` times the directions."""
    first = grad(f, tuple(range(len(directions))))

    def along(*inputs):
        total = 0.0
        for g, d in zip(first(*inputs), directions, strict=True):
            total = total + np.sum(g * d)
        return total

    return along


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@settings(max_examples=150, deadline=None, derandomize=True)
@given(steps=STEPS, shapes=st.tuples(DIMENSIONS, DIMENSIONS, DIMENSIONS), seed=st.integers(0, 99))
def test_random_expressions_as_torch(steps, shapes, seed):
    inputs, directions = drawn(shapes, seed), drawn(shapes, seed + 1000)
    value, gradients = value_and_grad(numpy_function(steps), (0, 1, 2))(*inputs)
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    expected = torch_function(steps)(*tensors)
    options = {"allow_unused": True, "materialize_grads": True}
    firsts = torch.autograd.grad(expected, tensors, create_graph=True, **options)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-10, atol=1e-12)
    for have, want in zip(gradients, firsts, strict=True):
        np.testing.assert_allclose(have, want.detach().numpy(), rtol=1e-9, atol=1e-10)
    seconds = grad(second(numpy_function(steps), directions), (0, 1, 2))(*inputs)
    along = sum((g * torch.tensor(d)).sum() for g, d in zip(firsts, directions, strict=True))
    if not along.requires_grad:
        wanted = [torch.zeros_like(x) for x in tensors]
    else:
        wanted = torch.autograd.grad(along, tensors, **options)
    for have, want in zip(seconds, wanted, strict=True):
        scale = 1 + float(want.abs().max()) if want.numel() else 1
        np.testing.assert_allclose(have, want.numpy(), rtol=1e-8, atol=1e-9 * scale)


def difference(f, inputs, directions, h=1e-6):
    """Central difference of ``f`` along the directions."""
    ahead = f(*(x + h * d for x, d in zip(inputs, directions, strict=True)))
    behind = f(*(x - h * d for x, d in zip(inputs, directions, strict=True)))
    return (ahead - behind) / (2 * h)


KINKED = {"abs", "maximum", "minimum", "max", "clip", "where", "guarded_log"}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    steps=STEPS.filter(lambda steps: not KINKED & {name for name, *_ in steps}),
    shapes=st.tuples(DIMENSIONS, DIMENSIONS, DIMENSIONS),
    seed=st.integers(0, 99),
)
def test_random_smooth_expressions_as_finite_differences(steps, shapes, seed):
    """First and second derivatives along a direction; ``O(h²)`` and cancellation allow 1e-6."""
    inputs, directions = drawn(shapes, seed), drawn(shapes, seed + 1000)
    f = numpy_function(steps)
    along = second(f, directions)
    slope = along(*inputs)
    scale = 1 + sum(float(np.abs(g).sum()) for g in grad(f, (0, 1, 2))(*inputs))
    assert abs(slope - difference(f, inputs, directions)) < 1e-6 * scale**2
    curvatures = grad(along, (0, 1, 2))(*inputs)
    curvature = sum(np.sum(g * d) for g, d in zip(curvatures, directions, strict=True))
    scale = 1 + sum(float(np.abs(g).sum()) for g in curvatures)
    assert abs(curvature - difference(along, inputs, directions)) < 1e-5 * scale**2


#: Operations of one operand with a place where they are smooth, and NumPy's name.
PLACES = {"arccosh": 1.7, "arcsin": 0.4, "arccos": 0.4, "arctanh": 0.4, "sigmoid": -0.3}


@pytest.mark.parametrize(
    "name", [n for n, op in TABLE.items() if op.elementwise and len(op.rules) == 1]
)
def test_every_unary_operation(name):
    """First and second derivative of each row of the table, by central differences."""
    from fastmlp.autodiff._node import Node, apply

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


#: Time of an operation in additions. NumPy's functions take 4 to 30, powers 20 and more.
FREE = {"reshape", "transpose", "broadcast_to"}
ARITHMETIC = {
    "negative", "absolute", "sign", "square", "add", "subtract", "multiply", "divide", "maximum",
    "minimum", "clip", "where", "sum", "max", "min", "getitem", "scatter", "equal", "less",
    "greater", "logical_and", "logical_or", "logical_not", "not_equal",
}  # fmt: skip


def cost(nodes):
    """Work of the operations: weighted by size, and products of matrices by their additions."""
    total = 0
    for node in nodes:
        if node.operation == "matmul":
            total += 2 * node.size * node.inputs[0].shape[-1]
        elif node.inputs and node.operation not in FREE:
            weight = 1 if node.operation in ARITHMETIC else 16 if node.operation == "power" else 4
            total += weight * max(node.size, *(x.size for x in node.inputs))
    return total


@settings(max_examples=150, deadline=None, derandomize=True)
@given(steps=STEPS, shapes=st.tuples(DIMENSIONS, DIMENSIONS, DIMENSIONS), seed=st.integers(0, 99))
def test_gradient_costs_at_most_four_evaluations(steps, shapes, seed):
    """Value and gradient together, in operations weighted by size, beside the value alone."""
    from fastmlp.autodiff._backward import backward, topological

    graph = trace(numpy_function(steps), *drawn(shapes, seed))
    gradients, _ = backward(graph.outputs[0], graph.inputs)
    together = topological([graph.outputs[0], *gradients])
    assert cost(together) <= 4 * cost(graph.nodes)


def test_gradient_of_a_network_costs_at_most_four_evaluations(rng):
    from fastmlp.autodiff._backward import backward, topological

    def loss(X, W1, b1, W2, b2):
        z = np.tanh(X @ W1 + b1) @ W2 + b2
        return np.mean(np.logaddexp.reduce(z, axis=1))

    shapes = (32, 20), (20, 16), (16,), (16, 5), (5,)
    graph = trace(loss, *(rng.normal(size=shape) for shape in shapes))
    gradients, _ = backward(graph.outputs[0], graph.inputs)
    assert cost(topological([graph.outputs[0], *gradients])) <= 3.1 * cost(graph.nodes)
