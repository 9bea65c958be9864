"""Explanations: how much each input adds to an output.

>>> import numpy as np
>>> from fastmlp import MLP, explain
>>> net = MLP([3, 1], random_state=0)
>>> net.weights[0][:, 0] = [2.0, 0.0, -1.0]
>>> explain.expected_gradients(net, [[1.0, 5.0, 1.0]], np.zeros((1, 3))).tolist()
[[2.0, 0.0, -1.0]]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import arrays, numbers
from ._network import construction
from ._typing import Array

__all__ = ["expected_gradients"]

#: Rows of a block of gradients.
_BLOCK = 4096


def expected_gradients(
    model: Any,
    X: ArrayLike,
    background: ArrayLike,
    *,
    output: int | None = None,
    n_samples: int = 200,
    scores: bool = False,
    random_state: int | np.random.Generator | None = None,
) -> Array:
    """Attributions of the inputs, from gradients between background rows and the rows.

    ``φ_i(x) = E[(x_i - x'_i) ∂f(x' + α (x - x')) / ∂x_i]``, the mean over background rows ``x'``
    and ``α`` uniform in 0 … 1. The attributions of a row add up to ``f(x) - E f(x')``, but for the
    error of the mean.

    Parameters
    ----------
    model : MLP, or fitted MLPClassifier or MLPRegressor
        What is explained; it is not changed.
    X : (n, n_in) array-like
        Rows to explain.
    background : (m, n_in) array-like
        Rows to compare with: a sample of the training rows.
    output : int, optional
        Which output; by default all.
    n_samples : int, default 200
        Gradients for each row, at α's one in each of as many equal parts of 0 … 1.
    scores : bool, default False
        Explain the scores instead of the outputs.
    random_state : int, numpy.random.Generator or None
        Seed of the background rows and of ``α``.

    Returns
    -------
    (n, n_in) array for one output, else (n, n_in, n_out)
        In the unit of the output (with ``scores``, of the score).

    Raises
    ------
    ValueError
        Where there are no background rows, or no such output.
    TypeError
        For anything but a network or an estimator of this package.

    References
    ----------
    G. Erion and others, "Improving performance of deep learning models with axiomatic attribution
    priors and expected gradients", Nature Machine Intelligence, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, explain
    >>> net = MLP([3, 1], random_state=0)
    >>> net.weights[0][:, 0] = [2.0, 0.0, -1.0]
    >>> explain.expected_gradients(net, [[1.0, 5.0, 1.0]], np.zeros((1, 3)), output=0).tolist()
    [[2.0, 0.0, -1.0]]
    """
    net = _network(model)
    n_in, n_out = net.architecture.sizes[0], net.architecture.sizes[-1]
    x = arrays.rows(X, n_in, net.dtype)
    base = arrays.rows(background, n_in, net.dtype, "background")
    if len(base) == 0:
        raise ValueError("background has no rows")
    n_samples = numbers.count("n_samples", n_samples, 1)
    if output is not None:
        output = numbers.integer("output", output)
        if not -n_out <= output < n_out:
            raise ValueError(f"output must be one of the network's {n_out}, got {output}")
    chosen = range(n_out) if output is None else [output % n_out]
    generator = construction.generator(random_state)
    found = np.zeros((len(x), n_in, len(chosen)), net.dtype)
    for i, row in enumerate(x):
        difference, point = _between(row, base, n_samples, generator)
        for k, column in enumerate(chosen):
            d_y = np.zeros((min(n_samples, _BLOCK), n_out), net.dtype)
            d_y[:, column] = 1
            total = np.zeros(n_in)
            for start in range(0, n_samples, _BLOCK):
                piece = slice(start, min(start + _BLOCK, n_samples))
                slope = net.vjp(point[piece], d_y[: piece.stop - start], scores=scores)
                total += np.sum(difference[piece] * slope, axis=0, dtype=np.float64)
            found[i, :, k] = total / n_samples
    return found[:, :, 0] if output is not None or n_out == 1 else found


def _between(
    row: Array, base: Array, n_samples: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Differences from background rows, and points on the way from them."""
    alpha = (np.arange(n_samples) + generator.random(n_samples)) / n_samples
    start = base[generator.integers(len(base), size=n_samples)]
    difference = row - start
    point = start + alpha.astype(row.dtype)[:, None] * difference
    return difference, point


def _network(model: Any) -> Any:
    if hasattr(model, "vjp"):
        return model
    if hasattr(model, "intercepts_") and hasattr(model, "_architecture"):
        from .interop._chain import of_estimator

        return of_estimator(model)
    raise TypeError(
        f"model must be an MLP or a fitted estimator of this package, got {type(model).__name__}"
    )
