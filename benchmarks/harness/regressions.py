"""Small regressions for optimizers of second order, rows and targets scaled to variance 1."""

from __future__ import annotations

import numpy as np


def robot(rng):
    x = rng.uniform(-2, 2, (400, 6))
    return x, 2 * np.cos(x[:, 0]) + 1.3 * np.cos(x[:, 0] + x[:, 1]) + 0.2 * rng.normal(size=400)


def linear(rng):
    x = rng.normal(size=(200, 12))
    return x, x[:, 0] - 2 * x[:, 3] + 0.5 * x[:, 7] + 2 * rng.normal(size=200)


def sine(rng):
    x = rng.uniform(-1, 1, (120, 1))
    return x, np.sin(5 * x[:, 0]) + 0.3 * rng.normal(size=120)


def loud_friedman(rng):
    x = rng.uniform(size=(500, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * np.square(x[:, 2] - 0.5) + x[:, 3:5] @ [10, 5]
    return x, y + 2.5 * rng.normal(size=500)


def product(rng):
    x = rng.normal(size=(500, 4))
    return x, x[:, 0] * x[:, 1] + np.tanh(2 * x[:, 2]) + 0.2 * rng.normal(size=500)


def kinks(rng):
    x = rng.uniform(-1, 1, (400, 3))
    return x, np.abs(x[:, 0]) + np.maximum(x[:, 1] - 0.2, 0) + 0.1 * rng.normal(size=400)


#: Noisy problems that had no part in choosing the constants of Bayesian regularisation.
MORE = {f.__name__: f for f in (robot, linear, sine, loud_friedman, product, kinks)}


def data(name, seed=0):
    """Rows and targets, both scaled to variance 1."""
    rng = np.random.default_rng(seed)
    if name in MORE:
        x, y = MORE[name](rng)
    elif name.startswith("friedman"):
        from sklearn import datasets

        make = getattr(datasets, f"make_friedman{name[-1]}")
        x, y = make(500, random_state=seed, noise=0)
        y = y + 0.1 * y.std() * rng.normal(size=y.shape)
    elif name == "diabetes":
        from sklearn.datasets import load_diabetes

        x, y = load_diabetes(return_X_y=True)
        order = rng.permutation(len(x))
        x, y = x[order], y[order]
    elif name == "sinc":
        x = rng.uniform(-3, 3, (600, 2))
        y = np.sinc(np.hypot(*x.T)) + 0.05 * rng.normal(size=600)
    else:
        series = np.full(1800, 1.2)
        for t in range(17, len(series) - 1):
            late = series[t - 17]
            series[t + 1] = 0.9 * series[t] + 0.2 * late / (1 + late**10)
        series = series[300:]
        x = np.stack([series[18 - lag : -1 - lag] for lag in (0, 6, 12, 18)], axis=1)
        y = series[19:]
    return (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
