"""Derivatives of random expressions, first and second, and what they cost.

Where torch is installed its derivatives are the measure, else finite differences.
"""

from __future__ import annotations

import numpy as np
import pytest
from expressions import (
    DIMENSIONS,
    STEPS,
    difference,
    drawn,
    numpy_function,
    second,
    torch,
    torch_function,
)
from fastmlp.autodiff import grad, trace, value_and_grad
from fastmlp.autodiff._backward import backward
from fastmlp.autodiff._node import topological
from hypothesis import given, settings
from hypothesis import strategies as st


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
    graph = trace(numpy_function(steps), *drawn(shapes, seed))
    gradients, _ = backward(graph.outputs[0], graph.inputs)
    together = topological([graph.outputs[0], *gradients])
    assert cost(together) <= 4 * cost(graph.nodes)


def test_gradient_of_a_network_costs_at_most_four_evaluations(rng):
    def loss(X, W1, b1, W2, b2):
        z = np.tanh(X @ W1 + b1) @ W2 + b2
        return np.mean(np.logaddexp.reduce(z, axis=1))

    shapes = (32, 20), (20, 16), (16,), (16, 5), (5,)
    graph = trace(loss, *(rng.normal(size=shape) for shape in shapes))
    gradients, _ = backward(graph.outputs[0], graph.inputs)
    assert cost(topological([graph.outputs[0], *gradients])) <= 3.1 * cost(graph.nodes)


def test_a_missing_return_is_named():
    with pytest.raises(TypeError, match="returned None: is a return missing"):
        grad(lambda x: None)(2.0)
