"""Losses of a network's outputs ``a`` and targets ``y``, for any output activation.

``expression`` is the loss of one output, of ``r = a - y``, in NumPy as graphs trace it. It is
written apart from the kernels, and checks them.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._base import Loss


class OfOutputs(Loss, kind=True):
    """Base of the losses of outputs."""

    @abstractmethod
    def expression(self, r: Any) -> Any:
        """The loss of one output, elementwise."""


@dataclass(frozen=True)
class SquaredError(OfOutputs):
    """``½ Σ (a - y)²`` of each row, as scikit-learn's; derivative by ``a``: ``a - y``."""

    def expression(self, r: Any) -> Any:
        return 0.5 * np.square(r)


@dataclass(frozen=True)
class AbsoluteError(OfOutputs):
    """``Σ |a - y|`` of each row; derivative by ``a``: the sign of ``a - y``, 0 at 0."""

    def expression(self, r: Any) -> Any:
        return np.abs(r)


@dataclass(frozen=True)
class Huber(OfOutputs):
    """With ``r = a - y``: ``½ r²`` where ``|r| ≤ d``, else ``d (|r| - ½ d)``.

    Parameters
    ----------
    delta : float, default 1
        ``d > 0``, as in torch and Keras.

    References
    ----------
    P. Huber, "Robust estimation of a location parameter", 1964.
    """

    delta: float = 1.0

    def expression(self, r: Any) -> Any:
        line = self.delta * (np.abs(r) - 0.5 * self.delta)
        return np.where(np.abs(r) <= self.delta, 0.5 * np.square(r), line)


@dataclass(frozen=True)
class Quantile(OfOutputs):
    """``q max(y - a, 0) + (1 - q) max(a - y, 0)``, whose minimum is the q-quantile.

    Its derivative is ``1 - q`` above the target, ``-q`` below and 0 on it.

    Parameters
    ----------
    quantile : float, default 0.5
        ``0 < q < 1``.

    References
    ----------
    R. Koenker, G. Bassett, "Regression quantiles", 1978; scikit-learn's ``pinball_loss``.
    """

    quantile: float = 0.5

    def expression(self, r: Any) -> Any:
        below = np.where(r < 0, -self.quantile * r, 0.0)
        return np.where(r > 0, (1 - self.quantile) * r, below)


@dataclass(frozen=True)
class LogCosh(OfOutputs):
    """``Σ log cosh(a - y)`` of each row: ``½ r²`` near 0, ``|r| - log 2`` far from it.

    Its derivative by ``a`` is ``tanh(a - y)``; as in Keras.
    """

    def expression(self, r: Any) -> Any:
        return np.logaddexp(r, -r) - np.log(2.0)
