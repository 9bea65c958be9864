"""Laplace's approximation: how far predictions may be off, from the curvature of the loss.

The parameters are taken to be normal around ``θ`` with covariance ``H⁻¹``, ``H = β n G + α I``. An
output then has the variance ``j H⁻¹ jᵀ`` with ``j`` its gradient by the parameters, and a target
``1 / β`` more. Of ``α`` and ``β`` the evidence is greatest where, with the eigenvalues ``λ`` of
``n G`` and the sum ``E`` of squared residuals of ``m`` targets,

    γ = Σ βλ / (βλ + α),        α = γ / ‖θ‖²,        β = (m - γ) / E

``γ`` being the effective number of parameters. Layers that do not learn are known: ``θ``, ``G`` and
``j`` are then of the others alone.

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
from .._typing import Array
from . import arguments, first, gauss_newton
from .tape import tapes

#: Fixed-point iterations for the constants at most, and the change that ends them.
_ITERATIONS, _TOLERANCE = 100, 1e-6
_SMALLEST = 1e-12


class Laplace:
    """Normal approximation of a trained network's parameters, as :meth:`MLP.laplace` makes it.

    It holds what the network was then; training it further changes nothing here.

    Attributes
    ----------
    alpha, beta : float
        Precision of the parameters before the data, and of the noise of a target.
    effective_parameters : float
        ``γ``: how many parameters the data have determined.
    covariance : (n_parameters, n_parameters) float64 array
        Of the parameters, ``H⁻¹``; 0 for those of layers that do not learn.
    """

    def __init__(
        self,
        network: Any,
        alpha: float,
        beta: float,
        values: Array,
        vectors: Array,
        free: Array | None,
    ) -> None:
        self.alpha, self.beta = alpha, beta
        self._free = free
        curvature = np.maximum(beta * values, 0.0)
        self.effective_parameters = float((curvature / (curvature + alpha)).sum())
        self._half = vectors / np.sqrt(curvature + alpha)
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
        return (
            f"Laplace(alpha={self.alpha:.4g}, beta={self.beta:.4g}, "
            f"{self.effective_parameters:.1f} of {len(self._half)} parameters effective)"
        )


def approximation(
    network: Any,
    batch: Any,
    loss: Any,
    alpha: float | None,
    beta: float | None,
    learning: Sequence[bool] = (),
) -> Laplace:
    """Laplace's approximation for checked rows ``(x, target, weight)``, of ``learning`` layers."""
    for name, value in (("alpha", alpha), ("beta", beta)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    x, target, weight = batch
    n, noisy = len(x), loss.name == "squared_error"
    stays = parameters.frozen(network.architecture, learning)
    gauss_newton.check_learning(learning)
    free = None if stays is None else np.flatnonzero(~stays)
    theta = network.parameters if free is None else network.parameters[free]
    matrix = gauss_newton.total(network, x, target, loss, weight, learning)
    values, vectors = np.linalg.eigh(matrix * n)
    values = np.maximum(values, 0.0)
    error = _sum_of_squares(network, x, target, loss, weight) if noisy else 0.0
    targets = arguments.targets(n, network.architecture.sizes[-1], weight)
    length = max(float(np.square(theta, dtype=np.float64).sum()), _SMALLEST)
    a = float(alpha if alpha is not None else 1.0)
    b = float(beta if beta is not None else (targets / max(error, _SMALLEST) if noisy else 1.0))
    for _ in range(_ITERATIONS if alpha is None or (beta is None and noisy) else 0):
        gamma = float((b * values / (b * values + a)).sum())
        old = a, b
        if alpha is None:
            a = max(gamma, _SMALLEST) / length
        if beta is None and noisy:
            b = max(targets - gamma, _SMALLEST) / max(error, _SMALLEST)
        if np.allclose(old, (a, b), rtol=_TOLERANCE, atol=0):
            break
    result = Laplace(network, a, b, values, vectors, free)
    result._noisy = noisy
    return result


def _sum_of_squares(network: Any, x: Any, target: Array, loss: Any, weight: Any) -> float:
    """``Σ (a - y)²``, of weighted rows as if the weights were ``n`` in all."""
    net = kernels.network(network.architecture, network.dtype, n_threads=network.n_threads)
    mean = net.loss(network.parameters, x, target, loss, sample_weight=weight)
    return 2.0 * len(x) * float(mean)
