"""Losses of a network's outputs ``a`` and targets ``y``, for any output activation."""

from __future__ import annotations

from dataclasses import dataclass

from ._base import Loss


@dataclass(frozen=True)
class SquaredError(Loss):
    """``½ Σ (a - y)²`` of each row, as scikit-learn's; derivative by ``a``: ``a - y``."""


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """``Σ |a - y|`` of each row; derivative by ``a``: the sign of ``a - y``, 0 at 0."""


@dataclass(frozen=True)
class Huber(Loss):
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


@dataclass(frozen=True)
class Quantile(Loss):
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
