"""Simpler nodes with the same value, found as an operation is about to be made.

Two kinds: arithmetic with nothing in it (``x + 0``, ``1 · x``, ``--x``), of which derivatives
write much, and expressions that overflow where a function of the table does not::

    log(1 + exp(x)), log1p(exp(x))           logaddexp(0, x)
    c / (1 + exp(x))                         c · sigmoid(-x)
    exp(x) / (1 + exp(x))                    sigmoid(x)

No rule divides, and none hides NaN or infinity (``0 · x`` stays). Like derivatives, the rules
are written with NumPy on nodes; ``None`` means that nothing is simpler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: A traced array, whose class applies these rules and so cannot be imported here.
Node = Any


def simplified(operation: str, inputs: tuple[Node, ...], options: dict[str, Any]) -> Any:
    """A simpler node for an operation, or ``None``."""
    return _RULES[operation](*inputs, **options) if operation in _RULES else None


def _unchanged(x: Node, *others: Node) -> Any:
    """``x``, unless the others would change its shape or dtype."""
    fits = np.broadcast_shapes(x.shape, *(other.shape for other in others)) == x.shape
    return x if fits and np.result_type(x.dtype, *(o.dtype for o in others)) == x.dtype else None


def _is(x: Node, number: float) -> bool:
    return x.uniform is not None and bool(x.uniform == number)


def _add(a: Node, b: Node) -> Any:
    if _is(b, 0):
        return _unchanged(a, b)
    if _is(a, 0):
        return _unchanged(b, a)
    if b.operation == "negative":
        return a - b.inputs[0]
    return b - a.inputs[0] if a.operation == "negative" else None


def _subtract(a: Node, b: Node) -> Any:
    if _is(b, 0):
        return _unchanged(a, b)
    if _is(a, 0) and _unchanged(b, a) is not None:
        return -b
    return a + b.inputs[0] if b.operation == "negative" else None


def _multiply(a: Node, b: Node) -> Any:
    for x, factor in ((a, b), (b, a)):
        if _is(factor, 1):
            return _unchanged(x, factor)
        if _is(factor, -1) and _unchanged(x, factor) is not None:
            return -x
        if factor.operation == "negative" and _unchanged(x, factor) is not None:
            return -(x * factor.inputs[0])
        if factor.uniform is not None and x.operation == "multiply":  # c (d x) = (c d) x
            d, rest = x.inputs if x.inputs[0].uniform is not None else x.inputs[::-1]
            if d.uniform is not None:
                return (factor * d) * rest
    return None


def _divide(a: Node, b: Node) -> Any:
    if _is(b, 1):
        return _unchanged(a, b)
    x = _one_plus_exp(b)
    if x is not None and a.operation == "exp" and a.inputs[0] is x:
        return x.make("sigmoid")
    if x is not None and a.uniform is not None and a.dtype == b.dtype:
        return a * (-x).make("sigmoid")
    return None


def _one_plus_exp(x: Node) -> Node | None:
    """``u`` where ``x`` is ``1 + exp(u)``."""
    if x.operation != "add":
        return None
    one, e = x.inputs if _is(x.inputs[0], 1) else x.inputs[::-1]
    return e.inputs[0] if _is(one, 1) and e.operation == "exp" and e.shape == x.shape else None


def _softplus(x: Node | None) -> Any:
    return None if x is None else np.logaddexp(x.dtype.type(0), x)


def _negative(x: Node) -> Any:
    if x.operation == "subtract":
        return x.inputs[1] - x.inputs[0]
    return _undone("negative", x)


def _undone(operation: str, x: Node) -> Node | None:
    """``x`` before an operation that is done twice."""
    return x.inputs[0] if x.operation == operation else None


def _power(a: Node, b: Node) -> Any:
    if _is(b, 1):
        return _unchanged(a, b)
    return np.square(a) if _is(b, 2) and _unchanged(a, b) is not None else None


def _where(c: Node, a: Node, b: Node) -> Any:
    if a is b:
        return _unchanged(a, c) if a.dtype.kind == "f" else None
    if c.operation == "logical_not":
        return np.where(c.inputs[0], b, a)
    if c.uniform is not None:
        return _unchanged(a, c, b) if c.uniform else _unchanged(b, c, a)
    return None


def _either(a: Node, b: Node) -> Node | None:
    return a if a is b and a.dtype == bool else None


def _reshape(x: Node, shape: tuple[int, ...]) -> Any:
    if x.shape == shape:
        return x
    return np.reshape(x.inputs[0], shape) if x.operation == "reshape" else None


def _transpose(x: Node, axes: tuple[int, ...]) -> Any:
    if axes == tuple(range(x.ndim)):
        return x
    if x.operation == "transpose":
        return np.transpose(x.inputs[0], tuple(x.options["axes"][i] for i in axes))
    return None


_RULES: dict[str, Callable[..., Any]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "power": _power,
    "log": lambda x: _softplus(_one_plus_exp(x)),
    "log1p": lambda x: _softplus(x.inputs[0] if x.operation == "exp" else None),
    "where": _where,
    "logical_and": _either,
    "logical_or": _either,
    "logical_not": lambda x: _undone("logical_not", x),
    "reshape": _reshape,
    "broadcast_to": lambda x, shape: x if x.shape == shape else None,
    "transpose": _transpose,
}
