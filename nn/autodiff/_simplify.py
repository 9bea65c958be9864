"""Simpler nodes with the same value, found as an operation is about to be made.

Two kinds: arithmetic with nothing in it (``x + 0``, ``1 · x``, ``--x``), of which derivatives
write much, and expressions that overflow where a function of the table does not::

    log(1 + exp(x)), log1p(exp(x))           logaddexp(0, x)
    c / (1 + exp(x))                         c · sigmoid(-x)
    exp(x) / (1 + exp(x))                    sigmoid(x)

No rule divides, and none hides NaN or infinity (``0 · x`` stays).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ._node import Node

Rule = Callable[..., "Node | None"]


def simplified(operation: str, inputs: tuple[Node, ...], options: dict[str, Any]) -> Node | None:
    """A simpler node for an operation, or ``None``."""
    rule = _RULES.get(operation)
    return rule(*inputs, **options) if rule is not None else None


def _unchanged(x: Node, *others: Node) -> Node | None:
    """``x``, unless the others would change its shape or dtype."""
    fits = np.broadcast_shapes(x.shape, *(other.shape for other in others)) == x.shape
    return x if fits and np.result_type(x.dtype, *(o.dtype for o in others)) == x.dtype else None


def _apply(operation: str, *inputs: Any, **options: Any) -> Node:
    from ._node import apply

    return apply(operation, *inputs, **options)


def _add(a: Node, b: Node) -> Node | None:
    if _is(b, 0):
        return _unchanged(a, b)
    if _is(a, 0):
        return _unchanged(b, a)
    if b.operation == "negative":
        return _apply("subtract", a, b.inputs[0])
    if a.operation == "negative":
        return _apply("subtract", b, a.inputs[0])
    return None


def _subtract(a: Node, b: Node) -> Node | None:
    if _is(b, 0):
        return _unchanged(a, b)
    if _is(a, 0) and _unchanged(b, a) is not None:
        return _apply("negative", b)
    return _apply("add", a, b.inputs[0]) if b.operation == "negative" else None


def _multiply(a: Node, b: Node) -> Node | None:
    for x, factor in ((a, b), (b, a)):
        if _is(factor, 1):
            return _unchanged(x, factor)
        if _is(factor, -1) and _unchanged(x, factor) is not None:
            return _apply("negative", x)
        if factor.operation == "negative" and _unchanged(x, factor) is not None:
            return _apply("negative", _apply("multiply", x, factor.inputs[0]))
        # c (d x) = (c d) x
        if factor.uniform is not None and x.operation == "multiply":
            c, rest = x.inputs if x.inputs[0].uniform is not None else x.inputs[::-1]
            if c.uniform is not None:
                return _apply("multiply", _apply("multiply", factor, c), rest)
    return None


def _divide(a: Node, b: Node) -> Node | None:
    if _is(b, 1):
        return _unchanged(a, b)
    x = _one_plus_exp(b)
    if x is not None and a.operation == "exp" and a.inputs[0] is x:
        return _apply("sigmoid", x)
    if x is not None and a.uniform is not None and a.dtype == b.dtype:
        return _apply("multiply", a, _apply("sigmoid", _apply("negative", x)))
    return None


def _negative(x: Node) -> Node | None:
    if x.operation == "negative":
        return x.inputs[0]
    return _apply("subtract", *x.inputs[::-1]) if x.operation == "subtract" else None


def _power(a: Node, b: Node) -> Node | None:
    if _is(b, 1):
        return _unchanged(a, b)
    return _apply("square", a) if _is(b, 2) and _unchanged(a, b) is not None else None


def _log(x: Node) -> Node | None:
    exponent = _one_plus_exp(x)
    return None if exponent is None else _softplus(exponent)


def _log1p(x: Node) -> Node | None:
    return _softplus(x.inputs[0]) if x.operation == "exp" else None


def _softplus(x: Node) -> Node:
    return _apply("logaddexp", x.dtype.type(0), x)


def _one_plus_exp(x: Node) -> Node | None:
    """``u`` where ``x`` is ``1 + exp(u)``."""
    if x.operation != "add":
        return None
    one, e = x.inputs if _is(x.inputs[0], 1) else x.inputs[::-1]
    return e.inputs[0] if _is(one, 1) and e.operation == "exp" and e.shape == x.shape else None


def _where(c: Node, a: Node, b: Node) -> Node | None:
    if a is b:
        return _unchanged(a, c) if a.dtype.kind == "f" else None
    if c.operation == "logical_not":
        return _apply("where", c.inputs[0], b, a)
    if c.uniform is not None:
        return _unchanged(a if c.uniform else b, c, b if c.uniform else a)
    return None


def _logical_and(a: Node, b: Node) -> Node | None:
    return a if a is b and a.dtype == bool else None


def _logical_not(a: Node) -> Node | None:
    return a.inputs[0] if a.operation == "logical_not" else None


def _reshape(x: Node, shape: tuple[int, ...]) -> Node | None:
    if x.shape == shape:
        return x
    return _apply("reshape", x.inputs[0], shape=shape) if x.operation == "reshape" else None


def _broadcast_to(x: Node, shape: tuple[int, ...]) -> Node | None:
    return x if x.shape == shape else None


def _transpose(x: Node, axes: tuple[int, ...]) -> Node | None:
    if axes == tuple(range(x.ndim)):
        return x
    if x.operation == "transpose":
        before = x.options["axes"]
        return _apply("transpose", x.inputs[0], axes=tuple(before[i] for i in axes))
    return None


def _is(x: Node, number: float) -> bool:
    return x.uniform is not None and bool(x.uniform == number)


_RULES: dict[str, Rule] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "power": _power,
    "log": _log,
    "log1p": _log1p,
    "where": _where,
    "logical_and": _logical_and,
    "logical_or": _logical_and,
    "logical_not": _logical_not,
    "reshape": _reshape,
    "broadcast_to": _broadcast_to,
    "transpose": _transpose,
}
