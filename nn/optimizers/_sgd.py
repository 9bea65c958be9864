"""Gradient descent, with or without momentum."""

from __future__ import annotations

from dataclasses import dataclass

from fastmlp.kernels import UpdateRule

from ._base import Optimizer, fraction, not_negative, positive, switches


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with or without momentum.

    Plain: ``p ← p - η g``. With momentum ``μ``: ``v ← μ v - η g`` and ``p ← p + v``; Nesterov's
    variant looks ahead, ``p ← p + μ v - η g``.

    Parameters
    ----------
    learning_rate : float, default 0.01
        ``η > 0``.
    momentum : float, default 0
        ``0 ≤ μ < 1``.
    nesterov : bool, default False
        Needs ``momentum > 0`` to make a difference.
    weight_decay : float, default 0
        ``λ ≥ 0``, decoupled: ``p ← p (1 - η λ)`` before the update.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and
    momentum in deep learning", ICML 2013.
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate)
        fraction(momentum=self.momentum)
        not_negative(weight_decay=self.weight_decay)
        switches(nesterov=self.nesterov)

    def update_rule(self) -> UpdateRule:
        decay = {"weight_decay": self.weight_decay}
        if not self.momentum:
            return UpdateRule("sgd", decay)
        constants = {"momentum": self.momentum, "nesterov": self.nesterov}
        return UpdateRule("momentum", constants | decay)
