"""Losses of the scores ``z`` before the output activation, each for one output activation."""

from __future__ import annotations

from dataclasses import dataclass

from ._base import Loss


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance, ``exp z - y z + (y log y - y)`` for counts ``y ≥ 0``.

    It is 0 where ``exp z = y`` (``0 log 0 = 0``); scikit-learn's ``loss="poisson"``.
    """


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """``log(1 + exp z) - y z`` of each output, for ``y`` from 0 to 1.

    Parameters
    ----------
    label_smoothing : float, default 0
        ``0 ≤ s < 1``: targets become ``y (1 - s) + s / 2``, as in Keras.
    """

    label_smoothing: float = 0.0


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """``log(Σ exp z) Σ y - Σ y z``, for one class (label or one-hot) or a distribution ``y``.

    Parameters
    ----------
    label_smoothing : float, default 0
        ``0 ≤ s < 1``: targets become ``y (1 - s) + s / K`` for K classes, as in torch.
    """

    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Hinge(Loss):
    """``max(0, 1 - y z)`` of each output, ``y`` -1 or 1; the derivative at the kink is 0.

    References
    ----------
    C. Cortes, V. Vapnik, "Support-vector networks", 1995.
    """


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """``max(0, 1 - y z)²`` of each output, ``y`` -1 or 1."""


@dataclass(frozen=True)
class MulticlassHinge(Loss):
    """``max(0, 1 + max_{j≠k} z_j - z_k)``, ``k`` the class of the row; 2 outputs at least.

    The class is the label, or the place of the row's first largest target. Of several largest
    rivals the first counts; where the margin is exactly 0, so is the derivative.

    References
    ----------
    K. Crammer, Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", JMLR 2001.
    """
