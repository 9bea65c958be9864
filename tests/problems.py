"""Small problems that several test files train on, and estimators for them."""

from __future__ import annotations

import numpy as np
from fastmlp import MLPClassifier, MLPRegressor


def data(n=30, n_in=4, n_out=3, seed=0):
    """Rows and class labels that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_in)), rng.integers(n_out, size=n)


def blobs(n=90, classes=3, n_in=4, seed=0):
    """Rows around one centre per class, far enough apart to be learned."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = 6 * np.eye(classes, n_in)
    return centres[labels] + rng.normal(size=(n, n_in)), labels


def curve(n=120, outputs=1, seed=0):
    """Smooth functions of three inputs."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 3))
    y = np.column_stack([np.sin(2 * x[:, 0]) + x[:, 1], x[:, 1] * x[:, 2], x[:, 0] ** 2])
    return x, y[:, 0] if outputs == 1 else y[:, :outputs]


def classifier(**options):
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "random_state": 0, **options})


def regressor(**options):
    return MLPRegressor(**{"hidden_layer_sizes": (8,), "random_state": 0, **options})
