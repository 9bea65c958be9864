"""NumPy's functions on traced arrays, by operations of the table or by each other.

A function that is a combination of others (``mean``, ``var``, ``stack``) stands here and needs no
derivative rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _dispatch
from ._node import Node, apply, as_nodes, constant


def _tuple(value: Any) -> tuple[Any, ...]:
    """Axes or lengths, of which one may be given without a tuple."""
    return (value,) if isinstance(value, (int, np.integer)) else tuple(value)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple; ``None`` means all."""
    given = range(ndim) if axis is None else _tuple(axis)
    normal = tuple(int(i) + ndim if i < 0 else int(i) for i in given)
    if any(not 0 <= i < ndim for i in normal) or len(set(normal)) != len(normal):
        raise np.exceptions.AxisError(f"axis {axis} does not fit an array of {ndim} dimensions")
    return tuple(sorted(normal))


def _reduction(name: str) -> Callable[..., Node]:
    def reduce(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
        (x,) = as_nodes((a,))
        return apply(name, x, axis=_axes(axis, x.ndim), keepdims=bool(keepdims))

    return reduce


_sum, _max, _min = map(_reduction, ("sum", "max", "min"))


def _mean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    total = _sum(a, axis, keepdims)
    return total / (a.size // max(total.size, 1))


def _var(a: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    residual = a - _mean(a, axis, keepdims=True)
    total = _sum(np.square(residual), axis, keepdims)
    return total / (a.size // max(total.size, 1) - ddof)


def _where(condition: Any, x: Any = None, y: Any = None) -> Node:
    if x is None or y is None:
        raise TypeError("np.where of a traced array needs three arguments: condition, a, b")
    (mask,) = as_nodes((condition,))
    if mask.dtype != bool:
        mask = apply("not_equal", mask, 0)
    first, second = as_nodes((x, y))
    return apply("where", mask, first, second)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    return apply(
        "clip", a, -float("inf") if low is None else low, float("inf") if high is None else high
    )


def _reshape(a: Any, /, shape: Any) -> Any:
    shape = _tuple(shape)
    known = int(np.prod([n for n in shape if n != -1]))
    # Let NumPy say what is wrong, if anything is.
    shape = tuple(int(n) if n != -1 or not known else a.size // known for n in shape)
    return apply("reshape", a, shape=shape)


def _transpose(a: Any, axes: Any = None) -> Any:
    axes = tuple(range(a.ndim))[::-1] if axes is None else tuple(int(i) % a.ndim for i in axes)
    return apply("transpose", a, axes=axes)


def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    axes = list(range(a.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return _transpose(a, axes)


def _expand_dims(a: Any, axis: Any) -> Any:
    new = _axes(axis, a.ndim + len(_tuple(axis)))
    lengths = iter(a.shape)
    return _reshape(a, tuple(1 if i in new else next(lengths) for i in range(a.ndim + len(new))))


def _squeeze(a: Any, axis: Any = None) -> Any:
    gone = [i for i, n in enumerate(a.shape) if n == 1] if axis is None else _axes(axis, a.ndim)
    if any(a.shape[i] != 1 for i in gone):
        raise ValueError(f"only axes of length 1 can be squeezed, got shape {a.shape}, axis {axis}")
    return _reshape(a, tuple(n for i, n in enumerate(a.shape) if i not in gone))


def _full_like(a: Any, fill_value: Any) -> Node:
    return constant(np.broadcast_to(np.asarray(fill_value, a.dtype), a.shape))


def _concatenate(arrays: Any, axis: int = 0) -> Any:
    """A sum of the arrays, each in its place among zeros."""
    nodes = as_nodes(arrays)
    (axis,) = _axes(axis, nodes[0].ndim)
    shape = list(nodes[0].shape)
    shape[axis] = sum(node.shape[axis] for node in nodes)
    total: Any = 0.0
    start = 0
    for node in nodes:
        index = (*[slice(None)] * axis, slice(start, start + node.shape[axis]))
        total = total + apply("scatter", node, index=index, shape=tuple(shape))
        start += node.shape[axis]
    return total


def _stack(arrays: Any, axis: int = 0) -> Any:
    return _concatenate([_expand_dims(node, axis) for node in as_nodes(arrays)], axis)


def _matmul(a: Any, b: Any) -> Any:
    """``a @ b``; a vector becomes a matrix, and its dimension is taken out again."""
    a, b = as_nodes((a, b))
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"a product of matrices needs arrays, got shapes {a.shape}, {b.shape}")
    left = _reshape(a, (1, -1)) if a.ndim == 1 else a
    right = _reshape(b, (-1, 1)) if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit a product of matrices")
    product = apply("matmul", left, right)
    return _squeeze(product, (*[-2] * (a.ndim == 1), *[-1] * (b.ndim == 1)))


def _dot(a: Any, b: Any) -> Any:
    a, b = as_nodes((a, b))
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.ndim > 2 or b.ndim > 2:
        raise ValueError(f"np.dot of a traced array is for up to 2 dimensions, got {a.ndim}, use @")
    return _matmul(a, b)


def _norm(x: Any, ord: None = None, axis: Any = None, keepdims: bool = False) -> Any:
    if ord is not None:
        raise TypeError("np.linalg.norm of a traced array takes no ord")
    return np.sqrt(_sum(np.square(x), axis, keepdims))


def _of_masks(name: str) -> Callable[..., Node]:
    """``&``, ``|``, ``^`` and ``~``."""

    def combine(*masks: Any) -> Node:
        nodes = as_nodes(masks)
        if any(node.dtype != bool for node in nodes):
            raise TypeError(
                f"&, |, ^ and ~ are for conditions, got {[n.dtype.name for n in nodes]}"
            )
        return apply(name, *nodes)

    return combine


_dispatch.UFUNCS |= {
    "bitwise_and": _of_masks("logical_and"),
    "bitwise_or": _of_masks("logical_or"),
    "bitwise_xor": _of_masks("logical_xor"),
    "invert": _of_masks("logical_not"),
    "matmul": _matmul,
    "positive": lambda x: x,
    "reciprocal": lambda x: 1.0 / x,
}
_dispatch.REDUCTIONS |= {
    "add": _sum,
    "maximum": _max,
    "minimum": _min,
    "logaddexp": _reduction("log_sum_exp"),
}
_dispatch.FUNCTIONS |= {
    np.sum: _sum,
    np.max: _max,
    np.amax: _max,
    np.min: _min,
    np.amin: _min,
    np.mean: _mean,
    np.var: _var,
    np.std: lambda a, axis=None, ddof=0, keepdims=False: np.sqrt(_var(a, axis, ddof, keepdims)),
    np.ptp: lambda a, axis=None, keepdims=False: _max(a, axis, keepdims) - _min(a, axis, keepdims),
    np.where: _where,
    np.clip: _clip,
    np.reshape: _reshape,
    np.ravel: lambda a: _reshape(a, -1),
    np.transpose: _transpose,
    np.swapaxes: _swapaxes,
    np.expand_dims: _expand_dims,
    np.squeeze: _squeeze,
    np.broadcast_to: lambda array, shape: apply("broadcast_to", array, shape=_tuple(shape)),
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.dot: _dot,
    np.outer: lambda a, b: np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)),
    np.linalg.norm: _norm,
    np.zeros_like: lambda a: _full_like(a, 0),
    np.ones_like: lambda a: _full_like(a, 1),
    np.full_like: _full_like,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a: a.size,
}
