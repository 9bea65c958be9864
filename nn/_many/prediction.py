"""Predictions of many networks for the same rows: :func:`predict_many`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp import kernels

from .._inputs import arrays, sparse
from .._network import blocks
from .._streams.rows import is_source
from .._typing import Array
from ..mlp import MLP
from . import of_sources
from .crew import Crew, threads_of

#: Multiplications from which threads gain something.
WORTH_SHARING = 1e6


def predict_many(
    networks: Sequence[MLP], X: Any, *, n_threads: int | None = None, out: Array | None = None
) -> Array:
    """Values of the output layers of many networks, each as its own ``predict`` gives them.

    Parameters
    ----------
    networks : sequence of k MLP
        With equal numbers of inputs and of outputs; hidden layers may differ.
    X : (n, n_in) array-like, sparse matrix of scipy, or source
        Rows, the same for all networks. A source is read block by block.
    n_threads : int, optional
        Threads in all; each network is computed by one.
    out : (k, n, n_out) array, optional
        Receives the result: C-contiguous, of the type of the networks, float64 for both.

    Returns
    -------
    (k, n, n_out) array
        ``out`` where it was given.

    Raises
    ------
    TypeError, ValueError
        For networks that do not fit each other, or another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, predict_many
    >>> nets = [MLP([2, 4, 3], random_state=seed) for seed in range(5)]
    >>> predict_many(nets, np.ones((7, 2))).shape
    (5, 7, 3)
    """
    nets = list(networks)
    if not nets:
        raise ValueError("networks must hold one network at least")
    shapes = {(net.architecture.sizes[0], net.architecture.sizes[-1]) for net in nets}
    if len(shapes) > 1:
        raise ValueError(
            "networks must have equal numbers of inputs and outputs, got (n_in, n_out) of "
            f"{sorted(shapes)}"
        )
    n_in, n_out = shapes.pop()
    if is_source(X):
        return of_sources.predict(
            nets, X, out, lambda nets, x: predict_many(nets, x, n_threads=n_threads)
        )
    rows = {net.dtype: arrays.rows(X, n_in, net.dtype) for net in nets}
    n = len(next(iter(rows.values())))
    dtype = np.result_type(*rows)
    if out is None:
        out = np.empty((len(nets), n, n_out), dtype)
    elif out.shape != (len(nets), n, n_out) or out.dtype != dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"out must be a contiguous {dtype} array of shape {(len(nets), n, n_out)}, got "
            f"{out.dtype} of shape {out.shape}"
        )
    costs = [float(net.parameters.size) * n for net in nets]
    crew = Crew(costs, threads_of(n_threads), lambda i: _predict(nets[i], rows, out[i]))
    if sum(costs) < WORTH_SHARING:
        crew.alone()
    crew.run()
    return out


def _predict(network: MLP, rows: dict[np.dtype[np.generic], Array], out: Array) -> None:
    """Write the predictions of a network, computed by this thread alone."""
    x = rows[network.dtype]
    alone = kernels.network(network.architecture, network.dtype, n_threads=1)
    block = blocks.rows_of_block(network.architecture)
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        if out.dtype == network.dtype:
            alone.predict(network.parameters, sparse.part(x, part), out=out[part])
        else:
            out[part] = alone.predict(network.parameters, sparse.part(x, part))
