"""Second derivatives: of single layers and losses, and what second-order training computes.

The former are the reference formulas on every backend: they are elementwise and few beside the
products of matrices around them. Sums ``JᵀJ`` and solutions of systems are kernels of each backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import _chooser
from ._specs import Loss
from ._typing import Array

if TYPE_CHECKING:
    from types import ModuleType


def _formulas() -> tuple[ModuleType, ModuleType, ModuleType]:
    """The reference formulas, which whoever never asks for them need not load."""
    from .reference import activations, losses, outputs

    return activations, losses, outputs


def activation_curvature(kept: Array, activation: str) -> Array | None:
    """``σ''(z)`` of a built-in activation, or ``None`` where it is 0 everywhere.

    Parameters
    ----------
    kept : array
        The activation's output ``σ(z)``; the pre-activations ``z`` for those of ``NEED_SCORES``.
    activation : str
        One of ``ACTIVATIONS``.

    Returns
    -------
    array of the shape of ``kept``, or None
        ``σ''(z)``; ``None`` stands for zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> a = kernels.activate(np.array([[0.0, 1.0]]), "tanh")
    >>> kernels.activation_curvature(a, "tanh").round(4)
    array([[-0.    , -0.6397]])
    """
    curvature = _formulas()[0].TABLE[activation].curvature
    result: Array | None = None if curvature is None else curvature(kept)
    return result


def activation_bend(activation: str) -> tuple[float, float] | None:
    """Constants ``(b, c)`` of a built-in activation with ``σ'' = (b + c σ) σ'``, if it has some.

    Parameters
    ----------
    activation : str
        One of ``ACTIVATIONS``.

    Returns
    -------
    tuple of two floats, or None
        Zeros for straight lines.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.activation_bend("tanh")
    (0.0, -2.0)
    """
    bend: tuple[float, float] | None = _formulas()[0].bend_of(activation)
    return bend


def output_jacobian_product(output: str, a: Array, d: Array) -> Array:
    """``J d``, where ``J`` is the (symmetric) Jacobian of an output activation at its value ``a``.

    ``a`` and ``d`` are ``(…, n_out)`` and may be broadcast.

    Parameters
    ----------
    output : str
        Output activation.
    a : (…, n_out) array
        Its values ``σ(z)``.
    d : (…, n_out) array
        What is multiplied.

    Returns
    -------
    (…, n_out) array
        ``J d``, of the broadcast shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> kernels.output_jacobian_product("sigmoid", np.array([[0.5]]), np.array([[2.0]]))
    array([[0.5]])
    """
    result: Array = _formulas()[2].times_jacobian(output, a, d)
    return result


def output_jacobian_along(output: str, a: Array, a_dot: Array, d: Array) -> Array:
    """The derivative of ``J d`` where ``a`` moves along ``a_dot`` and ``d`` stays.

    Parameters
    ----------
    output : str
        Output activation.
    a : (…, n_out) array
        Its values ``σ(z)``.
    a_dot : (…, n_out) array
        How ``a`` moves.
    d : (…, n_out) array
        What is multiplied, and stays.

    Returns
    -------
    (…, n_out) array
        ``(dJ/da · a_dot) d``, of the broadcast shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> a, a_dot, d = np.array([[0.25]]), np.array([[1.0]]), np.array([[2.0]])
    >>> kernels.output_jacobian_along("sigmoid", a, a_dot, d)
    array([[1.]])
    """
    result: Array = _formulas()[2].along(output, a, a_dot, d)
    return result


def output_delta_along(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    direction: Array,
    factors: Array | None = None,
) -> Array:
    """The derivative of ``output_delta`` along a direction of the scores, ``(n, n_out)``.

    It is the Hessian of every row's loss by its scores, times the direction; not of a custom loss.

    Parameters
    ----------
    scores : (n, n_out) array
        ``z^L``, before the output activation.
    target : (n, n_out) array or (n,) array of int
        Values, or class labels.
    loss : str or Loss
        One of ``LOSSES``.
    output : str
        Output activation.
    direction : (n, n_out) array
        How the scores move.
    factors : (n, n_out) array, optional
        What the loss of each output is multiplied by.

    Returns
    -------
    (n, n_out) array
        ``∂²C/∂z² · direction``, row by row.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> scores, target, along = np.array([[0.0]]), np.array([[1.0]]), np.array([[4.0]])
    >>> kernels.output_delta_along(scores, target, "binary_cross_entropy", "sigmoid", along)
    array([[1.]])
    """
    losses, spec = _formulas()[1], Loss.of(loss)
    y = losses.dense_target(target, scores.shape[1], scores.dtype, spec)
    result: Array = losses.row_deltas_along(scores, y, spec, output, direction, factors)
    return result


def dense_target(target: Array, n_out: int, dtype: object, loss: str | Loss) -> Array:
    """Targets as ``(n, n_out)`` values: labels as rows, smoothed where the loss says so.

    Parameters
    ----------
    target : (n, n_out) array or (n,) array
        Values, or class labels ``0 … n_out - 1``.
    n_out : int
        Outputs of the network.
    dtype : float32 or float64
        Of the result.
    loss : str or Loss
        Says what stands beside the class of a label, and how much is smoothed.

    Returns
    -------
    (n, n_out) array
        What the loss compares the outputs with.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> kernels.dense_target(np.array([2, 0]), 3, np.float64, "cross_entropy")
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    result: Array = _formulas()[1].dense_target(target, n_out, dtype, Loss.of(loss))
    return result


def gauss_newton(
    inputs: Sequence[Array],
    errors: Sequence[Array],
    residuals: Array | None = None,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Sum ``JᵀJ`` over rows whose layers' inputs and errors are known, without writing ``J`` down.

    A row of ``J`` is the gradient of one output of one sample by all parameters, so for each layer
    the outer product of what the layer is given, ``a``, and its error ``δ``. With errors back from
    the rows of a factor ``R`` of a loss's curvature, ``H = Rᵀ R``, the sum is the generalised
    Gauss–Newton matrix ``Σ Jᵀ H J``; weights of rows go into ``R`` as their square roots.

    Parameters
    ----------
    inputs : sequence of (n, n_in) arrays
        What each layer is given.
    errors : sequence of (n, k, n_out) arrays
        Errors of each layer for each of ``k`` outputs (or rows of ``R``).
    residuals : (n, k) array, optional
        ``r``: then ``Jᵀr`` comes as well.
    out : (m, m) float64 array, optional
        Is added to; it must be symmetric.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    (m, m) float64 array
        Symmetric, in the order of a network's parameters: ``[W¹ | … | Wᴸ | b¹ | … | bᴸ]``. With
        residuals there is one more row and column, ``Jᵀr``, and ``rᵀr`` in the corner.

    Notes
    -----
    In float32 blocks of 128 rows (256 on Numba) are summed in float32, and the blocks in float64.

    Examples
    --------
    Of one layer ``w₁ x₁ + w₂ x₂ + b``, whose rows of ``J`` are ``[x₁, x₂, 1]``:

    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> kernels.gauss_newton([x], [np.ones((2, 1, 1))])
    array([[10., 14.,  4.],
           [14., 20.,  6.],
           [ 4.,  6.,  2.]])
    """
    result: Array = _chooser.active().gauss_newton(
        inputs, errors, residuals, out=out, n_threads=n_threads
    )
    return result


def solve_positive(matrix: Array, right: Array, *, n_threads: int | None = None) -> Array | None:
    """Solve ``matrix @ x = right`` by Cholesky's ``L Lᵀ``.

    Parameters
    ----------
    matrix : (n, n) array
        Symmetric, both triangles, and positive definite.
    right : (n,) array
        Of the same dtype.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count. On the compiled backend they
        change no bit.

    Returns
    -------
    (n,) array or None
        ``x``; ``None`` where the matrix is not positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> kernels.solve_positive(np.array([[4.0, 2.0], [2.0, 3.0]]), np.array([8.0, 8.0]))
    array([1., 2.])
    >>> kernels.solve_positive(-np.eye(2), np.ones(2)) is None
    True
    """
    result: Array | None = _chooser.active().solve_positive(matrix, right, n_threads=n_threads)
    return result


def solves_systems() -> bool:
    """Whether the live backend has a Cholesky of its own behind :func:`solve_positive`.

    Returns
    -------
    bool
        ``False`` where it is NumPy's.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> with kernels.use_backend("reference"):
    ...     print(kernels.solves_systems())
    False
    """
    found: bool = _chooser.active().solves_systems()
    return found
