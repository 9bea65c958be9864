"""Argument checks shared by the backends: every wrong input is named before any kernel runs.

A check returns nothing and raises ``TypeError`` (not an array, wrong dtype) or ``ValueError``
(wrong shape, unknown name) with what was expected and what came. Arrays may be Fortran-ordered,
strided, read-only or memory-mapped, except ``out``, which is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _specs
from ._architecture import Architecture
from ._array_checks import activation as activation
from ._array_checks import array as array
from ._array_checks import has_shape as has_shape
from ._array_checks import output as output
from ._array_checks import sample_weight as sample_weight
from ._array_checks import target as target
from ._array_checks import threads as threads
from ._custom import check_target_weights as target_weights
from ._options import TrainingOptions
from ._specs import precision as precision
from ._typing import Array

# One check per kernel: the backends call these with the arguments of the function of that name.


def dense_forward(
    x: Any, weights: Any, bias: Any, name: Any, out: Array | None, n_threads: int | None
) -> Array:
    array("x", x, ("n", "n_in"))
    array("weights", weights, (x.shape[1], "n_out"), x.dtype)
    array("bias", bias, (weights.shape[1],), x.dtype)
    activation(name, output_layer=True)
    threads(n_threads)
    return output("out", out, (len(x), weights.shape[1]), x.dtype, x, weights, bias)


def activate(z: Any, name: Any, out: Array | None, n_threads: int | None) -> Array:
    array("z", z, ("n", "n_out"))
    activation(name, output_layer=True)
    threads(n_threads)
    return output("out", out, z.shape, z.dtype, z)


def activation_backward(
    delta: Any, activations: Any, name: Any, out: Array | None, n_threads: int | None
) -> Array:
    array("delta", delta, ("n", "n_out"))
    array("activations", activations, delta.shape, delta.dtype)
    activation(name)
    threads(n_threads)
    return output("out", out, delta.shape, delta.dtype, delta, activations)


def loss(
    scores: Any,
    value: Any,
    name: str | _specs.Loss,
    output_name: str,
    weight: Any,
    n_threads: int | None,
) -> None:
    array("scores", scores, ("n", "n_out"))
    n, n_out = scores.shape
    _specs.check_loss(name, output_name, n_out)
    target(value, n, n_out, scores.dtype)
    sample_weight(weight, len(scores), scores.dtype)
    target_weights(weight, name, n_out)
    threads(n_threads)


def delta_backward(
    delta: Any,
    weights: Any,
    activations: Any,
    name: Any,
    out: Array | None,
    n_threads: int | None,
) -> Array:
    array("delta", delta, ("n", "n_out"))
    array("weights", weights, ("n_in", delta.shape[1]), delta.dtype)
    array("activations", activations, (len(delta), weights.shape[0]), delta.dtype)
    activation(name)
    threads(n_threads)
    return output("out", out, activations.shape, delta.dtype, delta, weights, activations)


def weight_gradient(x: Any, delta: Any, out: Array | None, n_threads: int | None) -> Array:
    array("x", x, ("n", "n_in"))
    array("delta", delta, (len(x), "n_out"), x.dtype)
    threads(n_threads)
    return output("out", out, (x.shape[1], delta.shape[1]), x.dtype, x, delta)


def bias_gradient(delta: Any, out: Array | None, n_threads: int | None) -> Array:
    array("delta", delta, ("n", "n_out"))
    threads(n_threads)
    return output("out", out, (delta.shape[1],), delta.dtype, delta)


def system(matrix: Any, right: Any, n_threads: int | None) -> None:
    """Check the two sides of as many equations as there are unknowns, at least one."""
    array("right", right, ("n",))
    n = len(right)
    array("matrix", matrix, (n, n), right.dtype)
    if not n:
        raise ValueError("matrix must have at least one row")
    threads(n_threads)


def gauss_newton(
    inputs: Any, errors: Any, residuals: Any, out: Array | None, n_threads: int | None
) -> tuple[list[tuple[Array, Array, int, int]], Array]:
    """Check layers of which ``JᵀJ`` is summed.

    Returns
    -------
    layers : list of (inputs, errors, first weight, first bias)
        With the residuals as the error of one more layer, which has a bias alone.
    out : (m, m) float64 array
        That is added to.
    """
    inputs, errors = list(inputs), list(errors)
    if not errors or len(inputs) != len(errors):
        raise ValueError(
            f"inputs and errors must be of the same layers, at least one, got {len(inputs)} and "
            f"{len(errors)}"
        )
    array("errors[0]", errors[0], ("n", "k", "n_out"))
    (n, k, _), dtype = errors[0].shape, errors[0].dtype
    for layer, (a, d) in enumerate(zip(inputs, errors, strict=True)):
        array(f"inputs[{layer}]", a, (n, "n_in"), dtype)
        array(f"errors[{layer}]", d, (n, k, "n_out"), dtype)
    weights = [a.shape[1] * d.shape[2] for a, d in zip(inputs, errors, strict=True)]
    biases = [d.shape[2] for d in errors]
    if residuals is not None:
        array("residuals", residuals, (n, k), dtype)
        inputs.append(np.empty((n, 0), dtype))
        errors.append(residuals[:, :, None])
        weights.append(0)
        biases.append(1)
    threads(n_threads)
    first = [sum(weights[:layer]) for layer in range(len(weights) + 1)]
    first_bias = [first[-1] + sum(biases[:layer]) for layer in range(len(biases) + 1)]
    order = first_bias[-1]
    if out is None:
        out = np.zeros((order, order))
    else:
        output("out", out, (order, order), np.float64, *inputs, *errors)
    return list(zip(inputs, errors, first, first_bias, strict=False)), out


def sums_of_squares(
    architecture: Architecture,
    dtype: Any,
    parameters: Any,
    x: Any,
    target: Any,
    roots: Any,
    out: Array | None,
) -> Array:
    """Check a whole network of which the Gauss–Newton matrix is summed, and what it learns.

    Returns
    -------
    (m, m) float64 array
        That is added to.
    """
    names = architecture.activations
    if architecture.output != "identity" or any(map(_specs.needs_scores, names)):
        raise ValueError(
            "gauss_newton of a network needs the output 'identity' and hidden activations whose "
            f"values give their derivatives, got {architecture.output!r} and {names}"
        )
    flat("parameters", parameters, architecture, dtype)
    sizes, order = architecture.sizes, architecture.n_parameters
    array("x", x, ("n", sizes[0]), dtype)
    array("target", target, (len(x), sizes[-1]), dtype)
    array("roots", roots, (len(x),), dtype)
    if out is None:
        return np.zeros((order, order))
    return output("out", out, (order, order), np.float64, parameters, x, target, roots)


def update(
    rule: Any, parameters: Any, gradient: Any, state: Any, step: Any, n_threads: int | None
) -> None:
    """Check one step of a rule; ``state`` is ``(n_slots, n)`` or a tuple of as many vectors."""
    if not isinstance(rule, _specs.UpdateRule):
        raise TypeError(f"rule must be an UpdateRule, got {type(rule).__name__}")
    array("parameters", parameters, ("n",))
    shape, dtype = parameters.shape, parameters.dtype
    array("gradient", gradient, shape, dtype)
    threads(n_threads)
    output("parameters", parameters, shape, dtype, gradient)
    others = [gradient, parameters]
    if not isinstance(state, tuple):
        array("state", state, (len(rule.slots), *shape), dtype)
        output("state", state, state.shape, dtype, *others)
    elif len(state) != len(rule.slots):
        raise ValueError(f"state must hold {len(rule.slots)} vectors, got {len(state)}")
    else:
        for slot, vector in zip(rule.slots, state, strict=True):
            array(slot, vector, shape, dtype)
            output(slot, vector, shape, dtype, *others)
            others.append(vector)
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)):
        raise TypeError(f"step must be an integer, got {type(step).__name__}")
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")


# Networks and trainers


def rows(
    architecture: Architecture,
    dtype: Any,
    x: Any,
    value: Any = None,
    weight: Any = None,
    loss: Any = None,
) -> None:
    """Check a batch for a network: ``x``, and targets and weights (for a loss) where given."""
    if isinstance(x, _specs.CSR):
        csr(x, architecture.sizes[0], dtype)
    else:
        array("x", x, ("n", architecture.sizes[0]), dtype)
    if value is not None:
        target(value, len(x), architecture.sizes[-1], dtype)
    sample_weight(weight, len(x), dtype)
    if loss is not None:
        target_weights(weight, loss, architecture.sizes[-1])


def derivative(
    architecture: Architecture,
    dtype: Any,
    parameters: Any,
    x: Any,
    other: Any,
    name: str,
    columns: int,
    out: Array | None,
) -> Array:
    """Check rows whose derivatives are wanted, and the array that they go into.

    ``other`` has so many ``columns``: derivatives by the outputs (or targets, checked before, for
    ``None``), or directions. Without ``columns`` it is a Jacobian.
    """
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    flat("parameters", parameters, architecture, dtype)
    array("x", x, ("n", n_in), dtype)
    if other is not None:
        array(name, other, (len(x), columns), dtype)
    shape: tuple[int, ...] = (len(x), n_out, n_in)
    if columns:
        shape = (len(x), n_out if name == "d_x" else n_in)
    return output("out", out, shape, dtype, parameters, x, other)


def csr(x: _specs.CSR, n_in: int, dtype: Any) -> None:
    """Check sparse rows: nothing in them may point outside of ``data`` or of ``n_in`` columns."""
    array("x.data", x.data, ("nnz",), dtype)
    for name, value in (("indices", x.indices), ("indptr", x.indptr)):
        if not isinstance(value, np.ndarray) or value.dtype not in (np.int32, np.int64):
            raise TypeError(f"x.{name} must be a numpy.ndarray of int32 or int64")
    n, width = x.shape
    if width != n_in:
        raise ValueError(f"x must have shape (n, {n_in}), got {x.shape}")
    has_shape("x.indices", x.indices, x.data.shape)
    has_shape("x.indptr", x.indptr, (n + 1,))
    if x.indptr[0] != 0 or x.indptr[-1] > len(x.data) or np.any(np.diff(x.indptr) < 0):
        raise ValueError(
            f"x.indptr must start at 0, be non-decreasing and end at {len(x.data)} or less"
        )
    columns = x.indices[: x.indptr[-1]]
    if columns.size and (columns.min() < 0 or columns.max() >= n_in):
        raise ValueError(f"x.indices must lie in 0…{n_in - 1}, got {columns.min()}…{columns.max()}")


def learning_rates(value: Any, steps: int) -> None:
    """Check the learning rate of an epoch: one number, or a float64 array with one a step."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return
    if value.dtype != np.float64:
        raise TypeError(f"an array of learning rates must be float64, got {value.dtype}")
    if value.shape != (steps,):
        raise ValueError(
            f"learning_rate must be one number or {steps}, one a step, got {value.shape}"
        )


def training(architecture: Architecture, loss: str | _specs.Loss, options: TrainingOptions) -> None:
    """Check that loss and options fit the architecture of a Trainer."""
    if not isinstance(options, TrainingOptions):
        raise TypeError(f"options must be TrainingOptions, got {type(options).__name__}")
    _specs.check_loss(loss, architecture.output, architecture.sizes[-1])
    options.check_layers(architecture)


def flat(name: str, value: Any, architecture: Architecture, dtype: Any) -> None:
    """Check a flat vector of parameters: contiguous, of the network's length and dtype."""
    array(name, value, (architecture.n_parameters,), dtype)
    if not value.flags.c_contiguous:
        raise ValueError(f"{name} must be contiguous")


def order(value: Any, n: int) -> None:
    """Check the order in which rows are visited: ``intp`` indices into ``n`` rows, any length."""
    if not isinstance(value, np.ndarray) or value.dtype != np.intp or value.ndim != 1:
        raise TypeError("order must be a one-dimensional numpy.intp array")
    if value.size and (value.min() < 0 or value.max() >= n):
        raise ValueError(f"order must index {n} rows, got {value.min()}…{value.max()}")
