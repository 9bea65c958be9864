"""Small problems that several test files train on, and networks and estimators for them."""

from __future__ import annotations

import numpy as np
from fastmlp import MLP, MLPClassifier, MLPRegressor
from fastmlp.kernels import Architecture
from support import targets

#: Rows of the batches whose gradients are compared.
N = 7


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


def rings(n=150, seed=0):
    """Three classes that lie around each other: rows and labels 0, 1, 2."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = labels + 1 + rng.normal(scale=0.1, size=n)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), labels


def line(n=40, seed=0):
    """A linear function of three inputs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, x @ [1.0, -2, 0.5] + 0.3


def curve(n=120, outputs=1, seed=0):
    """Smooth functions of three inputs."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 3))
    y = np.column_stack([np.sin(2 * x[:, 0]) + x[:, 1], x[:, 1] * x[:, 2], x[:, 0] ** 2])
    return x, y[:, 0] if outputs == 1 else y[:, :outputs]


def network(sizes=(4, 5, 3), output="softmax", **options):
    return MLP(sizes, "tanh", output, **{"dtype": np.float64, "random_state": 0, **options})


def assert_same(one, other):
    """Two networks have the same parameters up to rounding."""
    np.testing.assert_allclose(one.parameters, other.parameters, rtol=1e-10, atol=1e-13)


def classifier(**options):
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "random_state": 0, **options})


def regressor(**options):
    return MLPRegressor(**{"hidden_layer_sizes": (8,), "random_state": 0, **options})


#: Options with which an estimator learns ``rings`` within a second.
QUICK = {
    "hidden_layer_sizes": (16,),
    "learning_rate_init": 0.03,
    "batch_size": 25,
    "max_iter": 60,
}


def quick_classifier(**options):
    return classifier(**{**QUICK, **options})


def quick_regressor(**options):
    return regressor(**{**QUICK, **options})


def small_network(activation, output, n_out, rng):
    """An architecture of three layers, float64 parameters and ``N`` rows for it."""
    net = Architecture((3, 5, 4, n_out), (activation, activation), output)
    flat = rng.standard_normal(net.n_parameters)
    if output == "exp":  # so that a change of a parameter is not magnified by huge outputs
        net.views(flat)[0][-1][...] *= 0.2
    return net, flat, rng.standard_normal((N, 3))


def batches(loss, n_out, rng):
    """Targets of every kind with and without row weights; none where the loss needs two outputs."""
    if loss.name == "multiclass_hinge" and n_out < 2:
        return
    for target in targets(loss, N, n_out, "float64", rng):
        for weight in (None, rng.random(N) * np.array([1, 0, 1, 1, 1, 1, 1])):
            yield target, weight
