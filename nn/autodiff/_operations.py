"""Every operation: its value in NumPy, and its derivative rules, side by side.

A rule ``(g, y, *operands, **options) -> node`` gives ``∂C/∂operand`` from ``g = ∂C/∂y`` and the
operation's result ``y``; it is written with NumPy on nodes, so derivatives have derivatives. The
rules of elementwise operations may return the result's shape: what was broadcast is summed after.

Where a function has a kink, the rule takes the subgradient that the package's docstring lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Rule = Callable[..., Any]

_LN2, _LN10 = math.log(2), math.log(10)


class Operation(NamedTuple):
    """An operation.

    Attributes
    ----------
    value : callable
        ``(*arrays, **options) -> array``.
    rules : tuple
        One for each operand, ``None`` where the derivative is zero.
    spread : callable or None
        ``(mask of the result, operand, **options) -> mask of the operand``, which elements of the
        operand the masked elements of the result come from. ``None`` where that is not followed,
        and for elementwise operations, where the mask is the same.
    elementwise : bool
        Whether an element of the result depends on one element of each operand.
    """

    value: Callable[..., Any]
    rules: tuple[Rule | None, ...]
    spread: Rule | None
    elementwise: bool = False


def _elementwise(value: Callable[..., Any], *rules: Rule | None) -> Operation:
    return Operation(value, rules, None, elementwise=True)


def _moving(value: Callable[..., Any], rule: Rule) -> Operation:
    """An operation that only moves elements moves a mask as it moves a derivative."""
    return Operation(value, (rule,), lambda mask, x, **options: rule(mask, None, x, **options))


def _reducing(value: Callable[..., Any], rule: Rule) -> Operation:
    return Operation(value, (rule,), lambda mask, x, **axis: _spread(mask, None, x, **axis))


# Values that NumPy has no single function for


def _sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``; where that overflows, ``1 / ∞`` is the right 0."""
    result = np.asarray(-x)
    np.exp(result, out=result)
    result += 1
    return np.divide(1, result, out=result)


_erfc = np.frompyfunc(math.erfc, 1, 1)


def _normal_distribution(x: Any) -> Any:
    """``Φ(x) = ½ erfc(-x / √2)``."""
    twice = np.asarray(_erfc(np.asarray(x, np.float64) * -math.sqrt(0.5)), np.float64)
    return (0.5 * twice).astype(x.dtype)


def _logaddexp(a: Any, b: Any) -> Any:
    """``log(exp(a) + exp(b))``, many times as fast as NumPy's."""
    result = np.asarray(a - b)
    np.negative(np.abs(result, out=result), out=result)
    np.log1p(np.exp(result, out=result), out=result)
    result += np.maximum(a, b)
    if np.isnan(result.sum()):  # of two equal infinities the difference is NaN
        return np.where((a == b) & np.isinf(a), a, result)
    return result


def _log_sum_exp(x: Any, axis: Any, keepdims: bool) -> Any:
    highest = x.max(axis=axis, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, 0)
    total = np.log(np.exp(x - highest).sum(axis=axis, keepdims=True)) + highest
    return total if keepdims else np.squeeze(total, axis)


def _scatter(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with ``x`` added at ``index``."""
    result = np.zeros(shape, x.dtype)
    np.add.at(result, index, x)
    return result


# Rules that need more than a line


def _kept(y: Any, x: Any, axis: Any) -> Any:
    """The result of a reduction of ``x`` with its axes kept, as length 1."""
    return np.reshape(y, tuple(1 if i in axis else n for i, n in enumerate(x.shape)))


def only(condition: Any, g: Any) -> Any:
    """``g`` where the condition is true, else 0."""
    return np.where(condition, g, g.dtype.type(0))


def _same(g: Any, *others: Any) -> Any:
    return g


def _spread(g: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    return np.broadcast_to(_kept(g, x, axis), x.shape)


def _shared(g: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Equal shares for the elements that are the maximum (or minimum)."""
    chosen = x == _kept(y, x, axis)
    count = np.sum(only(chosen, x.dtype.type(1)), axis=axis, keepdims=True)
    return only(chosen, _kept(g, x, axis) / count)


def _power_base(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.uniform is not None:
        return g * b * a ** (b - 1) if b.uniform != 0 else g * b
    return g * np.where(b == 0, 0.0, b * a ** (b - 1))  # not 0 · inf at a = b = 0


def _power_exponent(g: Any, y: Any, a: Any, b: Any) -> Any:
    # The limit of a^b log a for a → 0 and b > 0 is 0.
    return g * np.where(a == 0, 0.0, y * np.log(a))


def _larger(g: Any, first: Any, second: Any) -> Any:
    """``g`` where ``first > second``, half of it where they are equal."""
    return np.where(first > second, g, only(~(first < second), g * 0.5))


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum what comes from the same element of an operand of this shape."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = tuple(i for i in range(g.ndim) if i < extra or shape[i - extra] == 1 != g.shape[i])
    return np.reshape(np.sum(g, axis=axes, keepdims=True), shape)


#: The derivative is 0 by every operand.
_FLAT = (
    np.sign, np.floor, np.ceil, np.rint, np.trunc,
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.logical_and,
    np.logical_or, np.logical_xor, np.logical_not, np.isnan, np.isinf, np.isfinite, np.signbit,
)  # fmt: skip

# A new operation goes here.
TABLE: dict[str, Operation] = {
    # Elementwise, of one operand
    "negative": _elementwise(np.negative, lambda g, y, x: -g),
    "absolute": _elementwise(np.absolute, lambda g, y, x: g * np.sign(x)),
    "square": _elementwise(np.square, lambda g, y, x: g * (2 * x)),
    "sqrt": _elementwise(np.sqrt, lambda g, y, x: g * 0.5 / y),
    "cbrt": _elementwise(np.cbrt, lambda g, y, x: g / (3 * y * y)),
    "exp": _elementwise(np.exp, lambda g, y, x: g * y),
    "exp2": _elementwise(np.exp2, lambda g, y, x: g * y * _LN2),
    "expm1": _elementwise(np.expm1, lambda g, y, x: g * (y + 1)),
    "log": _elementwise(np.log, lambda g, y, x: g / x),
    "log2": _elementwise(np.log2, lambda g, y, x: g / (x * _LN2)),
    "log10": _elementwise(np.log10, lambda g, y, x: g / (x * _LN10)),
    "log1p": _elementwise(np.log1p, lambda g, y, x: g / (x + 1)),
    "sin": _elementwise(np.sin, lambda g, y, x: g * np.cos(x)),
    "cos": _elementwise(np.cos, lambda g, y, x: -(g * np.sin(x))),
    "tan": _elementwise(np.tan, lambda g, y, x: g * (1 + y * y)),
    "arcsin": _elementwise(np.arcsin, lambda g, y, x: g / np.sqrt(1 - x * x)),
    "arccos": _elementwise(np.arccos, lambda g, y, x: -(g / np.sqrt(1 - x * x))),
    "arctan": _elementwise(np.arctan, lambda g, y, x: g / (1 + x * x)),
    "sinh": _elementwise(np.sinh, lambda g, y, x: g * np.cosh(x)),
    "cosh": _elementwise(np.cosh, lambda g, y, x: g * np.sinh(x)),
    "tanh": _elementwise(np.tanh, lambda g, y, x: g * (1 - y * y)),
    "arcsinh": _elementwise(np.arcsinh, lambda g, y, x: g / np.sqrt(x * x + 1)),
    "arccosh": _elementwise(np.arccosh, lambda g, y, x: g / np.sqrt(x * x - 1)),
    "arctanh": _elementwise(np.arctanh, lambda g, y, x: g / (1 - x * x)),
    "sigmoid": _elementwise(_sigmoid, lambda g, y, x: g * (y * (1 - y))),
    "normal_distribution": _elementwise(
        _normal_distribution, lambda g, y, x: g * (np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))
    ),
    # Elementwise, of several operands
    "add": _elementwise(np.add, _same, _same),
    "subtract": _elementwise(np.subtract, _same, lambda g, y, a, b: -g),
    "multiply": _elementwise(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "divide": _elementwise(np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * y / b)),
    "power": _elementwise(np.power, _power_base, _power_exponent),
    "maximum": _elementwise(
        np.maximum, lambda g, y, a, b: _larger(g, a, b), lambda g, y, a, b: g - _larger(g, a, b)
    ),
    "minimum": _elementwise(
        np.minimum, lambda g, y, a, b: _larger(g, b, a), lambda g, y, a, b: g - _larger(g, b, a)
    ),
    "logaddexp": _elementwise(
        _logaddexp,
        lambda g, y, a, b: g * (a - b).make("sigmoid"),
        lambda g, y, a, b: g * (b - a).make("sigmoid"),
    ),
    "hypot": _elementwise(
        np.hypot,
        lambda g, y, a, b: g * (a / np.where(y == 0, 1.0, y)),
        lambda g, y, a, b: g * (b / np.where(y == 0, 1.0, y)),
    ),
    "arctan2": _elementwise(
        np.arctan2,
        lambda g, y, a, b: g * (b / (a * a + b * b)),
        lambda g, y, a, b: -(g * (a / (a * a + b * b))),
    ),
    "clip": _elementwise(
        np.clip,
        lambda g, y, x, low, high: only(~((x < low) | (x > high)), g),
        lambda g, y, x, low, high: only(x < low, g),
        lambda g, y, x, low, high: only((x > high) & (low <= high), g),
    ),
    "where": _elementwise(np.where, None, _same, _same),  # with masks, see ``flow_through``
    # Reductions, with options axis and keepdims
    "sum": _reducing(np.sum, _spread),
    "max": _reducing(np.max, _shared),
    "min": _reducing(np.min, _shared),
    "log_sum_exp": _reducing(
        _log_sum_exp,
        lambda g, y, x, axis, keepdims: _kept(g, x, axis) * np.exp(x - _kept(y, x, axis)),
    ),
    # Elements in another place
    "reshape": _moving(np.reshape, lambda g, y, x, shape: np.reshape(g, x.shape)),
    "transpose": _moving(np.transpose, lambda g, y, x, axes: np.transpose(g, np.argsort(axes))),
    "broadcast_to": _moving(np.broadcast_to, lambda g, y, x, shape: unbroadcast(g, x.shape)),
    "getitem": _moving(
        lambda x, index: x[index],
        lambda g, y, x, index: g.make("scatter", index=index, shape=x.shape),
    ),
    "scatter": _moving(_scatter, lambda g, y, x, index, shape: g[index]),
    # Products of matrices, at least two-dimensional
    "matmul": Operation(
        np.matmul,
        (
            lambda g, y, a, b: unbroadcast(g @ np.swapaxes(b, -1, -2), a.shape),
            lambda g, y, a, b: unbroadcast(np.swapaxes(a, -1, -2) @ g, b.shape),
        ),
        None,
    ),
} | {function.__name__: _elementwise(function, *[None] * function.nin) for function in _FLAT}
