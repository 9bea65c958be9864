"""Random expressions: programs over three inputs whose shapes broadcast in every position.

The same program runs in NumPy and, where it is installed, in torch.
"""

from __future__ import annotations

import numpy as np
from fastmlp.autodiff import grad
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


def difference(f, inputs, directions, h=1e-6):
    """Central difference of ``f`` along the directions."""
    ahead = f(*(x + h * d for x, d in zip(inputs, directions, strict=True)))
    behind = f(*(x - h * d for x, d in zip(inputs, directions, strict=True)))
    return (ahead - behind) / (2 * h)
