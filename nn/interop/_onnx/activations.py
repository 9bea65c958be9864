"""Activations as nodes of ONNX.

In float32 the operators of that name, where ONNX has one; in float64 formulas of the few operators
that runtimes compute in double: onnxruntime has no double ``Elu``, ``Softplus``, ``Erf`` and so on.
Any other activation, a custom one too, is written step by step from its expression.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from fastmlp.kernels import CustomActivation

from .._steps import steps_of
from . import steps
from .writer import Value

_LAMBDA, _ALPHA = 1.0507009873554804934, 1.6732632423543772848
_ROOT = math.sqrt(2 / math.pi)
#: Chebyshev coefficients of ``log(erfc(x) exp(x²) / t)`` in ``2 t - 1`` with ``t = 2 / (2 + x)``.
_ERFC = (
    *(-0.6513268598908547, 0.6419697923564903, 0.019476473204185836, -0.009561514786808632),
    *(-0.0009465953444820369, 0.00036683949785276145, 4.252332480690777e-05),
    *(-2.0278578112534243e-05, -1.6242900046470255e-06, 1.3036558355805232e-06),
    *(1.5626441722066143e-08, -8.523809591492654e-08, 6.529054439098851e-09),
    *(5.059343495551469e-09, -9.913641564930331e-10, -2.2736512229318358e-10),
    *(9.646791102015527e-11, 2.3940380830391147e-12, -6.886027526497553e-12),
    *(8.944879273090726e-13, 3.130921399342958e-13, -1.1270822361367252e-13),
    *(3.810905255189232e-16, 7.106097613609237e-15, -1.5230282014571043e-15),
    *(-9.457494571291234e-17, 1.2102371892242789e-16, -2.8166630877471770e-17),
)


def apply(z: Value, activation: str | CustomActivation) -> Value:
    """``σ(z)`` in the graph of ``z``."""
    table = _FLOAT32 if z.graph.dtype == np.float32 else _FLOAT64
    formula = table.get(activation, _ANY.get(activation)) if isinstance(activation, str) else None
    if formula is not None:
        return formula(z)
    return steps.write(z, steps_of(activation, "ONNX"))


def _softsign(z: Value) -> Value:
    return z / (1.0 + z.apply("Abs"))


def _hardtanh(z: Value) -> Value:
    return z.apply("Max", -1.0).apply("Min", 1.0)


def _gelu_tanh(z: Value) -> Value:
    inner = _ROOT * (z + 0.044715 * (z * z * z))
    return z * (0.5 * (1.0 + inner.apply("Tanh")))


_ANY: dict[str, Callable[[Value], Value]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: z.apply("Sigmoid"),
    "tanh": lambda z: z.apply("Tanh"),
    "hardtanh": _hardtanh,
    "relu": lambda z: z.apply("Relu"),
    "silu": lambda z: z * z.apply("Sigmoid"),
    "gelu_tanh": _gelu_tanh,
    "softsign": _softsign,
    "exp": lambda z: z.apply("Exp"),
    "softmax": lambda z: z.apply("Softmax", axis=1),
}


# float32: the operators


def _gelu_32(z: Value) -> Value:
    if z.graph.opset >= 20:
        return z.apply("Gelu")
    return z * (0.5 * (1.0 + (z * math.sqrt(0.5)).apply("Erf")))


_FLOAT32: dict[str, Callable[[Value], Value]] = {
    "leaky_relu": lambda z: z.apply("LeakyRelu", alpha=0.01),
    "elu": lambda z: z.apply("Elu", alpha=1.0),
    "selu": lambda z: z.apply("Selu", alpha=_ALPHA, gamma=_LAMBDA),
    "softplus": lambda z: z.apply("Softplus"),
    "gelu": _gelu_32,
    "mish": lambda z: z * z.apply("Softplus").apply("Tanh"),
}


# float64: formulas


def _negative_expm1(z: Value) -> Value:
    """``exp(z) - 1`` below 0, else 0."""
    return steps.expm1(z.apply("Min", 0.0))


def _softplus(z: Value) -> Value:
    return z.apply("Max", 0.0) + (1.0 + (-z.apply("Abs")).apply("Exp")).apply("Log")


def _gelu(z: Value) -> Value:
    """``z Φ(z)``, with ``Φ(z) = ½ erfc(-z / √2)`` from one Chebyshev series."""
    x = z.apply("Abs") * math.sqrt(0.5)
    t = 2.0 / (2.0 + x)
    s = 4.0 * t - 2.0
    before, last = z.graph.constant(0.0), z.graph.constant(_ERFC[-1])
    for coefficient in _ERFC[-2:0:-1]:  # Clenshaw's recurrence
        before, last = last, s * last - before + coefficient
    series = 0.5 * (s * last) - before + _ERFC[0]
    tail = (0.5 * t) * (series - x * x).apply("Exp")  # Φ(-|z|)
    return z.apply("Max", 0.0) - z.apply("Abs") * tail


_FLOAT64: dict[str, Callable[[Value], Value]] = {
    "leaky_relu": lambda z: z.apply("Max", 0.01 * z),
    "elu": lambda z: z.apply("Max", 0.0) + _negative_expm1(z),
    "selu": lambda z: _LAMBDA * z.apply("Max", 0.0) + (_LAMBDA * _ALPHA) * _negative_expm1(z),
    "softplus": _softplus,
    "gelu": _gelu,
    "mish": lambda z: z * _softplus(z).apply("Tanh"),
}


def known() -> tuple[Any, ...]:
    """Names that need no step-by-step code."""
    return tuple({**_ANY, **_FLOAT32})
