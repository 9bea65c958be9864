"""Calls for many rows, cut into blocks of rows so that Ctrl-C is answered between them.

Predictions are the same to the bit: a row's does not depend on the rows around it. Losses and
gradients of the blocks are added up in float64, in the order of the rows, whatever the number of
threads; calls of one block or less are the engine's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture

from .._inputs import sparse
from .._typing import Array

#: Multiplications of a block in one pass: about a tenth of a second of one slow core.
WORK = 5e8
#: Numbers of rows that are converted to the network's dtype at a time.
CONVERTED = 2**18


def rows_of_block(architecture: Architecture) -> int:
    """Rows of a block for a network of this shape."""
    products = sum(n_in * n_out for n_in, n_out in architecture.layer_shapes)
    return max(256, int(WORK / products))


def predict_into(network: Any, parameters: Any, x: Any, out: Any) -> Array:
    """Predictions in ``out``, whatever takes values; without a copy where a backend writes there.

    ``out`` may be of another dtype, or part of the rows, which are read before.
    """
    shape = (len(x), network.architecture.sizes[-1])
    if out is None:
        return predict(network, parameters, x)
    if np.shape(out) != shape:
        raise ValueError(f"out must have shape {shape}, got {np.shape(out)}")
    plain = out.__class__ is np.ndarray and out.dtype == network.dtype and out.flags.carray
    if plain and not np.may_share_memory(out, x.data if sparse.is_sparse(x) else x):
        return predict(network, parameters, x, out)
    out[...] = predict(network, parameters, x)
    return out  # type: ignore[no-any-return]


def predict(network: Any, parameters: Any, x: Any, out: Array | None = None) -> Array:
    """``network.predict(parameters, x, out=out)``; parameters may be packed.

    Rows of another dtype are converted block by block, without a copy of the whole.
    """
    block, is_sparse = rows_of_block(network.architecture), sparse.is_sparse(x)
    other = (x.data if is_sparse else x).dtype != network.dtype
    if other:
        block = min(block, max(64, CONVERTED // network.architecture.sizes[0]))
    if len(x) <= block:
        x = sparse.for_engine(x, network.dtype) if other else x
        whole: Array = network.predict(parameters, x, out=out)
        return whole
    shape = (len(x), network.architecture.sizes[-1])
    if out is None:
        out = np.empty(shape, network.dtype)
    else:
        kernels.check_output("out", out, shape, network.dtype, x.data if is_sparse else x)
    if isinstance(parameters, np.ndarray):
        parameters = network.pack(parameters)
    rows = np.empty((block, x.shape[1]), network.dtype) if other and not is_sparse else None
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        here = sparse.part(x, part)
        if rows is not None:
            rows[: len(here)] = here
            here = rows[: len(here)]
        elif other:
            here = sparse.for_engine(here, network.dtype)
        network.predict(parameters, here, out=out[part])
    return out


def loss(
    network: Any, parameters: Array, x: Any, target: Array, name: Any, weight: Array | None
) -> float:
    """``network.loss(parameters, x, target, name, sample_weight=weight)``."""
    block = rows_of_block(network.architecture)
    if len(x) <= block:
        return float(network.loss(parameters, x, target, name, sample_weight=weight))
    total = 0.0
    for share, *rows, weights in _parts(x, target, weight, block):
        total += share * network.loss(parameters, *rows, name, sample_weight=weights)
    return float(total)


def loss_and_gradient(
    network: Any,
    parameters: Array,
    x: Any,
    target: Array,
    name: Any,
    weight: Array | None,
    out: Array | None = None,
    **penalties: float,
) -> tuple[float, Array]:
    """``network.loss_and_gradient(parameters, x, target, name, sample_weight=weight, …)``."""
    block = rows_of_block(network.architecture)
    if len(x) <= block:
        value, gradient = network.loss_and_gradient(
            parameters, x, target, name, sample_weight=weight, out=out, **penalties
        )
        return float(value), gradient
    total, summed = 0.0, np.zeros(parameters.size)
    for share, *rows, weights in _parts(x, target, weight, block):
        # The penalty counts once: with the first block, whose share is taken from it below.
        once = {key: penalty / share for key, penalty in penalties.items()}
        value, gradient = network.loss_and_gradient(
            parameters, *rows, name, sample_weight=weights, **once
        )
        penalties = {}
        total += share * value
        summed += share * gradient.astype(np.float64)
    out = np.empty_like(parameters) if out is None else out
    out[...] = summed
    return total, out


def _parts(
    x: Any, target: Array, weight: Array | None, block: int
) -> Iterator[tuple[float, Any, Array, Array | None]]:
    """Blocks of rows that have a weight, each with its share of the whole weight."""
    whole = float(len(x) if weight is None else weight.sum(dtype=np.float64))
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        weights = None if weight is None else weight[part]
        n = len(target[part])
        own = float(n if weights is None else weights.sum(dtype=np.float64))
        if own:
            yield own / whole, sparse.part(x, part), target[part], weights
