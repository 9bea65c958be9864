"""Optimizers: how a gradient changes the parameters, as small immutable descriptions.

An optimizer holds constants only. Its state (velocities, moments) lives in the engine and is
fresh in every ``fit``, so one object may be shared by any number of networks.

A new optimizer is one class in this file, over an update rule of ``fastmlp.kernels``: it derives
from :class:`Optimizer`, and its name in lower case becomes the string that ``fit`` accepts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from fastmlp.kernels import UpdateRule

__all__ = ["SGD", "Adam", "Optimizer", "get"]


class Optimizer(ABC):
    """Base of all optimizers.

    Attributes
    ----------
    learning_rate : float
        Step size ``η``.
    """

    learning_rate: float

    #: Every optimizer by its name in lower case.
    registry: ClassVar[dict[str, type[Optimizer]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Optimizer.registry[cls.__name__.lower()] = cls

    @abstractmethod
    def update_rule(self) -> UpdateRule:
        """Return the kernel's update rule and its constants."""


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

    def __post_init__(self) -> None:
        _positive("learning_rate", self.learning_rate)
        _fraction("momentum", self.momentum)

    def update_rule(self) -> UpdateRule:
        if not self.momentum:
            return UpdateRule("sgd")
        constants = {"momentum": float(self.momentum), "nesterov": float(self.nesterov)}
        return UpdateRule("momentum", constants)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    ``m ← β₁ m + (1 - β₁) g``, ``v ← β₂ v + (1 - β₂) g²``, and in step ``t``
    ``p ← p - η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)``.

    Parameters
    ----------
    learning_rate : float, default 0.001
        ``η > 0``.
    beta_1, beta_2 : float, default 0.9, 0.999
        ``0 ≤ β < 1``.
    epsilon : float, default 1e-8
        ``ε > 0``.
    epsilon_hat : bool, default False
        Add ``ε`` before the bias correction, as scikit-learn and Keras do:
        ``p ← p - η √(1 - β₂ᵗ) / (1 - β₁ᵗ) m / (√v + ε)``.

    Raises
    ------
    ValueError
        For a constant outside its range.

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1
    (``epsilon_hat``: the end of its section 2).
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = False

    def __post_init__(self) -> None:
        _positive("learning_rate", self.learning_rate)
        _fraction("beta_1", self.beta_1)
        _fraction("beta_2", self.beta_2)
        _positive("epsilon", self.epsilon)

    def update_rule(self) -> UpdateRule:
        return UpdateRule(
            "adam",
            {
                "beta_1": float(self.beta_1),
                "beta_2": float(self.beta_2),
                "epsilon": float(self.epsilon),
                "epsilon_hat": float(self.epsilon_hat),
            },
        )


def get(optimizer: str | Optimizer) -> Optimizer:
    """Return an optimizer itself, or the one of that name with its default constants.

    Parameters
    ----------
    optimizer : str or Optimizer
        A name such as ``"sgd"`` or ``"adam"``, or an object of this module.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything else, such as an optimizer's class instead of an object.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(
            "optimizer must be a name or an object such as fastmlp.optimizers.Adam(), "
            f"got {optimizer!r}"
        )
    if optimizer not in Optimizer.registry:
        raise ValueError(
            f"optimizer must be one of {tuple(Optimizer.registry)} or an object of "
            f"fastmlp.optimizers, got {optimizer!r}"
        )
    return Optimizer.registry[optimizer]()


def _positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def _fraction(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")
