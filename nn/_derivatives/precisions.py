"""Precisions of groups of parameters before the data, and the evidence for them.

The parameters are taken to be normal around 0, those of group ``k`` with precision ``α_k``, and the
noise of a target with precision ``β``. For the curvature ``H = β JᵀJ + diag(α)`` the evidence is
greatest where

    γ_k = p_k - α_k Σ (H⁻¹)_ii  over the group,    α_k = γ_k / ‖θ_k‖²,    β = (m - γ) / Σ r²

with ``γ = Σ γ_k``, the effective number of parameters, and ``m`` targets; its logarithm is

    ½ (m log β/2π + Σ p_k log α_k - log det H - β Σ r² - Σ α_k ‖θ_k‖²)

With a group for the weights that leave each input and hidden unit, the precision of those that tell
nothing grows until they are 0: automatic relevance determination.

D. MacKay, "A practical Bayesian framework for backpropagation networks", Neural Computation 4
(1992); R. Neal, "Bayesian learning for neural networks", 1996, section 1.2.
"""

from __future__ import annotations

import math

import numpy as np
from fastmlp.kernels import Architecture

from .._typing import Array, Penalties

#: Smallest number that is divided by.
SMALLEST = 1e-12
#: Largest precision, as a multiple of the curvature: what more would do is lost in rounding.
_LARGEST = 1e8


def groups(architecture: Architecture, kind: Penalties) -> Array:
    """Number of the group of each parameter, ``(n_parameters,)``, from 0 on.

    ``"all"`` are one; of ``"layers"`` each has one for its weights and biases; of ``"units"`` each
    input and hidden unit has one for the weights that leave it, each layer one for its biases.
    """
    number = np.zeros(architecture.n_parameters, np.intp)
    next_one = 0
    for i, (weights, biases) in enumerate(zip(*architecture.views(number), strict=True)):
        if kind == "layers":
            weights[...] = biases[...] = i
        elif kind == "units":
            weights[...] = next_one + np.arange(len(weights))[:, None]
            biases[...] = next_one + len(weights)
            next_one += len(weights) + 1
    return number


class Precisions:
    """``α`` of each group of some parameters.

    Parameters
    ----------
    number : (p,) array of int
        Group of each parameter that learns; groups without any are left out.
    alpha : float or sequence of float
        One for all groups that are left, or one for each.
    """

    def __init__(self, number: Array, alpha: float | Array = 1.0) -> None:
        kept, self._number = np.unique(number, return_inverse=True)
        self._sizes = np.bincount(self._number, minlength=len(kept))
        self.alpha = np.broadcast_to(np.asarray(alpha, np.float64), len(kept)).copy()

    def each(self) -> Array:
        """``α`` of each parameter."""
        of_parameters: Array = self.alpha[self._number]
        return of_parameters

    def lengths(self, theta: Array) -> Array:
        """``‖θ_k‖²`` of each group."""
        return self._sums(np.square(theta, dtype=np.float64))

    def misfit(self, theta: Array) -> float:
        """``Σ α_k ‖θ_k‖²``."""
        return float(self.alpha @ self.lengths(theta))

    def effective(self, inverse_diagonal: Array) -> Array:
        """``γ_k``, from the diagonal of ``H⁻¹``."""
        return np.clip(self._sizes - self.alpha * self._sums(inverse_diagonal), 0.0, self._sizes)

    def learn(self, effective: Array, theta: Array, curvature: float) -> None:
        """Take the ``α`` of the greatest evidence; ``curvature`` is the largest of ``β JᵀJ``."""
        learnt = np.maximum(effective, SMALLEST) / np.maximum(self.lengths(theta), SMALLEST)
        self.alpha = np.minimum(learnt, _LARGEST * max(curvature, SMALLEST))

    def log_evidence(
        self, beta: float, targets: float, squares: float, theta: Array, log_determinant: float
    ) -> float:
        """Logarithm of the evidence, for the sum of squared residuals."""
        data = targets * math.log(beta / (2 * math.pi)) - beta * squares
        prior = float(self._sizes @ np.log(self.alpha)) - self.misfit(theta)
        return 0.5 * (data + prior - log_determinant)

    def _sums(self, values: Array) -> Array:
        return np.bincount(self._number, values, minlength=len(self._sizes))
