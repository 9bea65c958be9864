"""First derivatives by parameters, from the errors of all layers.

With ``Y`` the outputs, ``δ^L = J dY`` (J of the output activation), the hidden errors are

    δ^(l-1) = (δ^l (W^l)ᵀ) ⊙ σ'(z^(l-1))

Products with the Jacobian by the inputs are computations of the backends, see
:class:`fastmlp.kernels.reference.Network`.

Griewank and Walther, *Evaluating Derivatives*, 2nd edition 2008, chapter 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fastmlp import kernels

from .._typing import Array
from .tape import Tape
from .workspace import Workspace


def errors(tape: Tape, delta: Array) -> list[Array]:
    """Errors of all layers, from those of the output layer, ``δ^1 … δ^L``."""
    found = [delta]
    for layer in range(tape.top, 0, -1):
        found.insert(0, tape.error_below(layer, found[0]))
    return found


def add_gradient(tape: Tape, deltas: list[Array], gradients: Any) -> None:
    """Add ``Σ aᵀ δ`` over the rows to ``gradients``, lists of weight and bias gradients."""
    n = len(tape)
    for a, delta, dw, db in zip(tape.inputs, deltas, *gradients, strict=True):
        # The kernels return means over rows.
        dw += kernels.weight_gradient(a, delta, n_threads=tape.n_threads) * dw.dtype.type(n)
        db += kernels.bias_gradient(delta, n_threads=tape.n_threads) * db.dtype.type(n)


def output_jacobian(tape: Tape) -> Array:
    """Jacobian of the output activation as ``(n, n_out, n_out)``."""
    n_out = tape.z.shape[1]
    one_each = np.broadcast_to(np.eye(n_out, dtype=tape.z.dtype), (len(tape), n_out, n_out))
    return np.array(tape.through_output(one_each))


def errors_of_outputs(
    tape: Tape, error: Array, lowest: int = 0, kept: Workspace | None = None
) -> list[Array]:
    """Errors ``(n, k, n_out^l)`` from layer ``lowest`` up, from ``k`` of the output layer a row.

    With ``kept`` they lie in its arrays until the next call.
    """
    found, kept = [error], kept or Workspace()
    for layer in range(tape.top, lowest, -1):
        rows = error.shape[0] * error.shape[1]
        out = kept.array(("errors", layer), (rows, len(tape.weights[layer])), error.dtype)
        if error.shape[1] == 1:
            found.insert(0, tape.error_below(layer, found[0][:, 0], out)[:, None])
            continue
        below = tape.times_transposed(layer, found[0], out)
        below *= tape.slope(layer - 1)[:, None, :]
        found.insert(0, below)
    return found


def tangents(tape: Tape) -> list[Array]:
    """``∂z^l_j / ∂x_i`` of every layer's pre-activations, ``(n, n_in, n_out^l)`` each."""
    w = tape.weights[0]
    found = [np.broadcast_to(w, (len(tape), *w.shape))]
    for layer in range(tape.top):
        activated = found[-1] * tape.slope(layer)[:, None, :]
        found.append(tape.times_weights(layer + 1, activated))
    return found


def parameter_jacobian(tape: Tape, out: Array, views: Any) -> None:
    """Write ``∂Y_k / ∂θ`` of every row into ``out``, ``(n, n_out, n_parameters)``.

    ``views(flat)`` are weights and biases within a vector of parameters.
    """
    n, n_out, _ = out.shape
    slices = parameter_slices(views, out.shape[2])
    of_layers = errors_of_outputs(tape, output_jacobian(tape))
    for a, delta, (weights, bias) in zip(tape.inputs, of_layers, slices, strict=True):
        block = a[:, None, :, None] * delta[:, :, None, :]
        out[:, :, weights] = block.reshape(n, n_out, -1)
        out[:, :, bias] = delta


def parameter_slices(views: Any, n_parameters: int) -> list[tuple[slice, slice]]:
    """Where weights and biases of each layer lie in the vector of parameters."""
    places = np.arange(n_parameters)
    return [(_extent(w), _extent(b)) for w, b in zip(*views(places), strict=True)]


def _extent(places: Array) -> slice:
    return slice(int(places.flat[0]), int(places.flat[-1]) + 1)
