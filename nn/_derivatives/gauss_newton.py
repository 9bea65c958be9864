"""The generalised Gauss–Newton matrix of a loss: ``Σ Jᵀ H J`` over rows, without storing J.

``J`` is the Jacobian of the scores by the parameters and ``H = Rᵀ R`` the curvature of the loss by
the scores, so that the matrix is ``Σ (R J)ᵀ (R J)``; the rows of ``R J`` are errors back from the
rows of ``R``, which the kernel ``gauss_newton`` sums. For squared error and an output without
activation that is ``Jᵀ J``.

=========================  ================================================================
loss                       R, for scores z and outputs a
=========================  ================================================================
``squared_error``          the Jacobian of the output activation
``log_cosh``               its rows times ``1 / cosh(a - y)``
``huber``                  the same, for outputs whose error is within delta; else 0
``cross_entropy``          rows ``√(a_k Σ y) (e_k - a)``
``binary_cross_entropy``   ``diag √(a (1 - a))``
``poisson``                ``diag √a``
``squared_hinge``          ``diag (√2 y)`` within the margin; else 0
=========================  ================================================================

Schraudolph, *Fast curvature matrix-vector products for second-order gradient descent*, 2002.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from fastmlp import kernels

from .._typing import Array
from . import arguments
from .first import errors_of_outputs, output_jacobian
from .tape import Point, Tape, tapes
from .workspace import Workspace

#: Losses whose curvature the matrix is made of; the others have none, or none that is known.
CURVED = (
    "squared_error",
    "huber",
    "cross_entropy",
    "binary_cross_entropy",
    "poisson",
    "squared_hinge",
    "log_cosh",
)


class NetworkAt(NamedTuple):
    """A network at some parameters."""

    architecture: kernels.Architecture
    parameters: Array
    n_threads: int | None


def check(loss: Any) -> None:
    """Raise ``ValueError`` for a loss without curvature."""
    if isinstance(loss, kernels.CustomLoss) or loss.name not in CURVED:
        raise ValueError(
            f"second-order training needs a loss with curvature, one of {CURVED}, got {loss.name!r}"
        )


def check_learning(learning: Sequence[bool]) -> None:
    """Raise ``ValueError`` where no layer learns; an empty sequence stands for all of them."""
    if learning and not any(learning):
        raise ValueError(f"trainable must let a layer learn, got {list(learning)}")


def root(tape: Tape, target: Array, loss: Any) -> Array:
    """``R`` of every row, ``(n, n_out, n_out)``."""
    n_out, name = tape.z.shape[1], loss.name
    if name == "squared_error":
        return output_jacobian(tape)
    y = kernels.dense_target(target, n_out, tape.z.dtype, loss)
    if name == "huber":
        within = np.abs(tape.a - y) <= loss.constants["delta"]
        bounded: Array = output_jacobian(tape) * within[:, :, None]
        return bounded
    if name == "log_cosh":
        decay = np.exp(-np.abs(tape.a - y))  # 1 / cosh, without overflow
        narrowed: Array = output_jacobian(tape) * (2 * decay / (1 + decay * decay))[:, :, None]
        return narrowed
    one = np.eye(n_out, dtype=tape.z.dtype)
    if name == "cross_entropy":
        a, mass = tape.a, y.sum(axis=1, keepdims=True)
        rows: Array = np.sqrt(a * mass)[:, :, None] * (one - a[:, None, :])
        return rows
    if name == "squared_hinge":
        diagonal = np.where(y * tape.z < 1, math.sqrt(2) * y, 0).astype(tape.z.dtype)
    else:
        diagonal = np.sqrt(tape.a * (1 - tape.a) if name == "binary_cross_entropy" else tape.a)
    rooted: Array = diagonal[:, :, None] * one
    return rooted


def order(net: kernels.Architecture, learning: Sequence[bool] = ()) -> int:
    """How many parameters the layers have that are ``learning``, by default all."""
    if not learning:
        return net.n_parameters
    shapes = zip(net.sizes, net.sizes[1:], learning, strict=False)
    return sum((n_in + 1) * width for n_in, width, learns in shapes if learns)


def total(
    network: Point,
    x: Any,
    target: Array,
    loss: Any,
    weight: Any,
    learning: Sequence[bool] = (),
    kept: Workspace | None = None,
) -> Array:
    """The matrix of the mean loss over the rows, ``(n_parameters, n_parameters)`` in float64.

    Where not all layers are ``learning`` it is that of the parameters of those which are. With
    ``kept`` it lies in its arrays until the next call.
    """
    kept = kept or Workspace()
    net = network.architecture
    n_out, chosen = net.sizes[-1], tuple(learning) or (True,) * (len(net.sizes) - 1)
    size = order(net, learning)
    out = kept.array("matrix", arguments.affordable((size, size), 8), np.dtype(np.float64))
    out.fill(0)
    roots = np.sqrt(arguments.shares(len(x), weight)).astype(network.parameters.dtype)
    lowest = chosen.index(True)
    for rows, tape in tapes(network, x, False, max(1, sum(net.sizes) * n_out // 4)):
        error = root(tape, target[rows], loss) * roots[rows, :, None]
        of_layers = tape.inputs[lowest:], errors_of_outputs(tape, error, lowest, kept)
        inputs, errors = (list(compress(found, chosen[lowest:])) for found in of_layers)
        kernels.gauss_newton(inputs, errors, out=out, n_threads=tape.n_threads)
    return out
