"""Elementwise operators of ONNX in NumPy: what recognises activations, however they are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._typing import Array

_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """NumPy has none."""
    result: Array = np.asarray(_erf(x), np.float64)
    return result


def _sigmoid(x: Array) -> Array:
    result: Array = np.exp(-np.logaddexp(0.0, -x))
    return result


def _softplus(x: Array) -> Array:
    result: Array = np.logaddexp(0.0, x)
    return result


def _gelu(x: Array, approximate: Any = b"none") -> Array:
    if _text(approximate) == "tanh":
        result: Array = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return result
    result = 0.5 * x * (1 + erf(x * math.sqrt(0.5)))
    return result


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _selu(
    x: Array, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813
) -> Any:
    return gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu(x: Array, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _clip(x: Array, low: Any = None, high: Any = None, min: Any = None, max: Any = None) -> Any:
    low, high = (min if low is None else low), (max if high is None else high)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _several(function: Any) -> Callable[..., Any]:
    def apply(first: Any, *others: Any) -> Any:
        for other in others:
            first = function(first, other)
        return first

    return apply


#: ``operator -> function(*inputs, **attributes)``.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Identity": lambda x: x,
    "Dropout": lambda x, *_, **__: x,
    "Cast": lambda x, to=1, saturate=1, round_mode=b"up": x.astype(np.float64),
    "Relu": lambda x: np.maximum(x, 0),
    "LeakyRelu": lambda x, alpha=0.01: np.where(x > 0, x, alpha * x),
    "PRelu": lambda x, slope: np.where(x > 0, x, slope * x),
    "ThresholdedRelu": lambda x, alpha=1.0: np.where(x > alpha, x, 0.0),
    "Elu": _elu,
    "Celu": lambda x, alpha=1.0: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x / alpha, 0)),
    "Selu": _selu,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Sigmoid": _sigmoid,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: np.clip(alpha * x + beta, 0, 1),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Swish": lambda x, alpha=1.0: x * _sigmoid(alpha * x),
    "Tanh": np.tanh,
    "Gelu": _gelu,
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "Erf": erf,
    "Clip": _clip,
    "Exp": np.exp,
    "Log": np.log,
    "Sqrt": np.sqrt,
    "Abs": np.abs,
    "Neg": np.negative,
    "Sign": np.sign,
    "Reciprocal": np.reciprocal,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Sum": _several(np.add),
    "Max": _several(np.maximum),
    "Min": _several(np.minimum),
    "Where": np.where,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Equal": np.equal,
    "Not": np.logical_not,
    "And": np.logical_and,
    "Or": np.logical_or,
}
