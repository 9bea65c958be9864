"""Loss and gradient of rows with dropout, layer by layer.

Which units a row loses depends on the seed, the step and the row's place in the whole batch: the
same as in one process, whoever computes the row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, TrainingOptions

from .._typing import Array


def loss_and_gradient_with_dropout(
    architecture: Architecture,
    parameters: Array,
    x: Any,
    target: Array,
    loss: Any,
    weight: Array | None,
    options: TrainingOptions,
    step: int,
    first_row: int,
    out: Array,
) -> float:
    """Mean loss of rows, and its gradient in ``out``.

    Parameters
    ----------
    x : (n, n_in) array, or kernels.CSR, which becomes dense
    step : int
        1 for the first.
    first_row : int
        Place of the first of these rows in the batch.
    """
    threads = options.n_threads
    weights, biases = architecture.views(parameters)
    names, n = architecture.activations, len(target)

    def dropped(values: Array, layer: int) -> Array:
        p = options.dropout[layer]
        if not p:
            return values
        kept = kernels.dropout_mask(
            n, values.shape[1], p, options.seed, step, layer, first_row=first_row
        )
        scale = values.dtype.type(1 / (1 - p))
        result: Array = np.where(kept, values * scale, values.dtype.type(0))
        return result

    a = dropped(_dense(x), 0)
    inputs, kept = [a], []
    for level, name in enumerate(names):
        z = kernels.dense_forward(a, weights[level], biases[level], n_threads=threads)
        a = kernels.activate(z, name, n_threads=threads)
        kept.append(z if kernels.needs_scores(name) else a)
        a = dropped(a, level + 1)
        inputs.append(a)
    scores = kernels.dense_forward(a, weights[-1], biases[-1], n_threads=threads)
    output = architecture.output
    value = kernels.loss_value(scores, target, loss, output, sample_weight=weight)
    delta = kernels.output_delta(scores, target, loss, output, sample_weight=weight)
    total = n if weight is None else float(weight.sum(dtype=np.float64))
    share = delta.dtype.type(n / total)  # the kernels below give means over the rows
    d_weights, d_biases = architecture.views(out)
    for level in range(len(weights) - 1, -1, -1):
        d_weights[level][...] = kernels.weight_gradient(inputs[level], delta, n_threads=threads)
        d_weights[level] *= share
        d_biases[level][...] = kernels.bias_gradient(delta, n_threads=threads) * share
        if level:
            zero = np.zeros(weights[level].shape[0], delta.dtype)
            back = np.ascontiguousarray(weights[level].T)
            below = dropped(kernels.dense_forward(delta, back, zero, n_threads=threads), level)
            delta = kernels.activation_backward(
                below, kept[level - 1], names[level - 1], n_threads=threads
            )
    return float(value)


def _dense(x: Any) -> Array:
    if not isinstance(x, CSR):
        rows: Array = x
        return rows
    found = np.zeros(x.shape, x.data.dtype)
    rows_of_entries = np.repeat(np.arange(len(x)), np.diff(x.indptr))
    stored = slice(0, int(x.indptr[-1]))
    np.add.at(found, (rows_of_entries, x.indices[stored]), x.data[stored])
    return found
