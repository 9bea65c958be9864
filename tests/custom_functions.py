"""Activations and losses in NumPy that the tests of custom functions are made of."""

from __future__ import annotations

import numpy as np


def my_mish(z):
    return z * np.tanh(np.log1p(np.exp(z)))


def my_huber(z, y):
    r = z - y
    return np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5)


def my_cross_entropy(z, y):
    return np.logaddexp.reduce(z, axis=1) * np.sum(y, axis=1) - np.sum(y * z, axis=1)


def mean_of_squares(z, y):
    return np.mean((z - y) ** 2, axis=1)


def mixed(z, y):
    """Reductions that need each other, and a number for each output."""
    r = np.abs(z - y)
    weights = np.arange(1.0, z.shape[1] + 1) / z.shape[1]
    spread = np.max(r, axis=1) - np.min(r, axis=1)
    return spread * np.sum(weights * np.log1p(r), axis=1, keepdims=True)[:, 0] + spread**2


def rootish(z):
    return np.cbrt(z)  # which native code has no step for


#: Every step of a program, at one place at least.
EXPRESSIONS = {
    "mish": my_mish,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "swish": lambda z: z * (np.exp(z) / (1 + np.exp(z))),
    "logarithms": lambda z: np.log(np.abs(z)) + np.log2(z * z + 1) + np.log10(np.abs(z) + 2),
    "near_one": lambda z: np.log1p(np.abs(z) * 1e-4) + np.expm1(z),
    "powers": lambda z: np.abs(z) ** 2.5 + z**3 + z**-2.0 + 1.5**z + np.exp2(z),
    "waves": lambda z: np.sin(z) * np.cos(2 * z) + np.square(np.sin(z)),
    "angles": lambda z: np.arctan(z) + np.arctan2(z, 2.0) * np.tan(np.tanh(z)),
    "arcs": lambda z: (
        np.arcsin(np.tanh(z) / 2) + np.arccos(np.tanh(z) / 2) * np.arctanh(np.sin(z) / 2)
    ),
    "hyperbolas": lambda z: (
        np.sinh(np.tanh(z)) + np.cosh(np.sin(z)) + np.arccosh(np.abs(z) + 1.5) * np.arcsinh(z)
    ),
    "steps": lambda z: np.floor(z) + np.ceil(z) * np.rint(z) - np.trunc(z) * z,
    "bounds": lambda z: np.clip(z, -1, 1) + np.maximum(z, 0.5) * np.minimum(z, 2),
    "conditions": lambda z: np.where(
        (z > 0) & ~(z >= 2) | (z < -2) ^ (z <= -3), z, np.sqrt(abs(z))
    ),
    "equalities": lambda z: np.where((z == 1) | (z != z) | np.isnan(z), -z, 2 * z),
    "counts": lambda z: (z > 0) * z + np.sign(z) * 0.1,
    "soft_maximum": lambda z: np.logaddexp(z, -2 * z) + np.fabs(z) / 3,
    "constant": lambda z: np.ones_like(z) * 2,
    "identity": lambda z: z,
}
LOSSES = {f.__name__: f for f in (my_huber, my_cross_entropy, mean_of_squares, mixed)} | {
    "constant": lambda z, y: np.zeros_like(z) + y,
    "smallest": lambda z, y: np.min((z - y) ** 2, axis=1) + np.exp(z - y).mean(axis=1),
}


def assert_near(actual, expected, dtype, factor=32):
    epsilon = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(actual, expected, rtol=factor * epsilon, atol=factor * epsilon)


def mean_cosine(z):
    """Of z's shape, but each element sees the others."""
    return np.cos(z) - np.mean(np.cos(z))
