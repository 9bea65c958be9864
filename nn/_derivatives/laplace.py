"""Laplace's approximation: how far predictions may be off, from the curvature of the loss.

The parameters are taken to be normal around ``θ`` with covariance ``H⁻¹``, ``H = β n G + diag(α)``.
An output then has the variance ``j H⁻¹ jᵀ`` with ``j`` its gradient by the parameters, and a target
``1 / β`` more. The precisions ``α`` and ``β`` are those of the greatest evidence, see
:mod:`fastmlp._derivatives.precisions`. Layers that do not learn are known: ``θ``, ``G`` and ``j``
are then of the others alone.

D. MacKay, "Bayesian interpolation" and "A practical Bayesian framework for backpropagation
networks", Neural Computation 4 (1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp import kernels
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._network import parameters
from .._typing import Array, Penalties
from . import arguments, first, gauss_newton
from .precisions import SMALLEST, Precisions, groups
from .tape import tapes

#: Fixed-point iterations for the constants at most, and the change that ends them.
_ITERATIONS, _TOLERANCE = 100, 1e-6


class Laplace:
    """Normal approximation of a trained network's parameters, as :meth:`MLP.laplace` makes it.

    It holds what the network was then; training it further changes nothing here.

    Attributes
    ----------
    alpha : float or (n_groups,) array
        Precision of the parameters before the data, of all or of each group of ``penalties``.
    beta : float
        Precision of the noise of a target.
    effective_parameters : float
        ``γ``: how many parameters the data have determined.
    covariance : (n_parameters, n_parameters) float64 array
        Of the parameters, ``H⁻¹``; 0 for those of layers that do not learn.
    """

    def __init__(
        self,
        network: Any,
        alpha: float | Array,
        beta: float,
        half: Array,
        effective: float,
        free: Array | None,
    ) -> None:
        self.alpha, self.beta, self.effective_parameters = alpha, beta, effective
        #: ``F`` of ``H⁻¹ = F Fᵀ``.
        self._half, self._free = half, free
        self.architecture, self.n_threads = network.architecture, network.n_threads
        self.parameters = network.parameters.copy()
        self._noisy = False

    @property
    def covariance(self) -> Array:
        covariance: Array = self._half @ self._half.T
        if self._free is None:
            return covariance
        whole = np.zeros((self.parameters.size, self.parameters.size))
        whole[np.ix_(self._free, self._free)] = covariance
        return whole

    def standard_deviations(self, X: ArrayLike, *, noise: bool = False) -> Array:
        """How far the outputs may be off, ``(n, n_out)`` in float64.

        Parameters
        ----------
        X : (n, n_in) array-like
        noise : bool, default False
            Of a new target instead of the output: with the variance ``1 / β`` of its noise.

        Raises
        ------
        ValueError
            For another shape, or for ``noise`` after a loss other than the squared error.
        """
        if noise and not self._noisy:
            raise ValueError("noise=True needs the loss 'squared_error', which knows a variance")
        net = self.architecture
        x = arrays.rows(X, net.sizes[0], self.parameters.dtype)
        out = np.empty((len(x), net.sizes[-1]))
        for rows, tape in tapes(self, x, False, net.sizes[-1] * net.n_parameters):
            jacobian = np.empty((len(tape), net.sizes[-1], net.n_parameters), x.dtype)
            first.parameter_jacobian(tape, jacobian, net.views)
            of_rows = jacobian.reshape(-1, net.n_parameters)
            learning = of_rows if self._free is None else of_rows[:, self._free]
            spread = learning.astype(np.float64) @ self._half
            out[rows] = np.square(spread).sum(axis=1).reshape(len(tape), -1)
        return np.sqrt(out + 1 / self.beta) if noise else np.sqrt(out)

    def __repr__(self) -> str:
        many = np.size(self.alpha) > 1
        alpha = f"{np.size(self.alpha)} groups" if many else f"{self.alpha:.4g}"
        return (
            f"Laplace(alpha={alpha}, beta={self.beta:.4g}, "
            f"{self.effective_parameters:.1f} of {len(self._half)} parameters effective)"
        )


def approximation(
    network: Any,
    batch: Any,
    loss: Any,
    alpha: ArrayLike | None,
    beta: float | None,
    learning: Sequence[bool] = (),
    penalties: Penalties = "all",
) -> Laplace:
    """Laplace's approximation for checked rows ``(x, target, weight)``, of ``learning`` layers."""
    gauss_newton.check_learning(learning)
    if beta is not None and not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"beta must be a finite number above 0, got {beta!r}")
    stays = parameters.frozen(network.architecture, learning)
    free = None if stays is None else np.flatnonzero(~stays)
    number = groups(network.architecture, penalties)
    precisions = Precisions(number if free is None else number[free])
    if alpha is not None:
        precisions.alpha[...] = _given(alpha, precisions.alpha.size)
    theta = network.parameters if free is None else network.parameters[free]
    x, target, weight = batch
    n, noisy = len(x), loss.name == "squared_error"
    curvature = gauss_newton.total(network, x, target, loss, weight, learning) * n
    error = max(_sum_of_squares(network, x, target, loss, weight), SMALLEST) if noisy else 1.0
    targets = arguments.targets(n, network.architecture.sizes[-1], weight)
    b = float(beta if beta is not None else (targets / error if noisy else 1.0))
    learns = alpha is None, beta is None and noisy
    # With one precision H has the same eigenvectors for all constants: they are found once.
    spectrum = np.linalg.eigh(curvature) if precisions.alpha.size == 1 else None
    for _ in range(_ITERATIONS if any(learns) else 0):
        half = _half(curvature, b, precisions, spectrum)
        effective = precisions.effective(np.square(half).sum(axis=1))
        old = np.append(precisions.alpha, b)
        if learns[0]:
            precisions.learn(effective, theta, b * float(curvature.diagonal().max()))
        if learns[1]:
            b = max(targets - float(effective.sum()), SMALLEST) / error
        if np.allclose(old, np.append(precisions.alpha, b), rtol=_TOLERANCE, atol=0):
            break
    half = _half(curvature, b, precisions, spectrum)
    gamma = float(precisions.effective(np.square(half).sum(axis=1)).sum())
    found = float(precisions.alpha[0]) if penalties == "all" else precisions.alpha
    result = Laplace(network, found, b, half, gamma, free)
    result._noisy = noisy
    return result


def _given(alpha: ArrayLike, n: int) -> Array:
    """Precisions that a caller gives, one or one for each group."""
    found = np.asarray(alpha, np.float64)
    if found.shape not in ((), (n,)) or not (np.isfinite(found).all() and (found > 0).all()):
        of_groups = f", or {n} of them" if n > 1 else ""
        raise ValueError(f"alpha must be a finite number above 0{of_groups}, got {alpha!r:.80}")
    return found


def _half(
    curvature: Array, beta: float, precisions: Precisions, spectrum: tuple[Array, Array] | None
) -> Array:
    """``F`` of ``(β curvature + diag(α))⁻¹ = F Fᵀ``; the spectrum is that of the curvature."""
    half: Array
    if spectrum is not None:
        values, vectors = spectrum
        half = vectors / np.sqrt(beta * np.maximum(values, 0.0) + precisions.alpha)
        return half
    scale = 1 / np.sqrt(precisions.each())  # so that no eigenvalue is below 1, whatever they are
    values, vectors = np.linalg.eigh(scale[:, None] * (beta * curvature) * scale)
    half = scale[:, None] * vectors / np.sqrt(1.0 + np.maximum(values, 0.0))
    return half


def _sum_of_squares(network: Any, x: Any, target: Array, loss: Any, weight: Any) -> float:
    """``Σ (a - y)²``, of weighted rows as if the weights were ``n`` in all."""
    net = kernels.network(network.architecture, network.dtype, n_threads=network.n_threads)
    mean = net.loss(network.parameters, x, target, loss, sample_weight=weight)
    return 2.0 * len(x) * float(mean)
