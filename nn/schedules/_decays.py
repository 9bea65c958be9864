"""Schedules that are one formula of the time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array
from ._schedule import Clock, Schedule, not_negative, positive


@dataclass(frozen=True)
class Constant(Schedule):
    """``η`` all the time.

    Parameters
    ----------
    every : {"epoch", "step"}, default "epoch"
        Unit of time.
    """

    every: Clock = "epoch"

    def at(self, t: Array, end: float) -> Array:
        return np.ones_like(t)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """``η / (t + 1)^power_t``.

    scikit-learn's ``"invscaling"``, whose time counts rows instead of epochs or updates.

    Parameters
    ----------
    power_t : float, default 0.5
        Not negative.
    every : {"epoch", "step"}, default "epoch"
    """

    power_t: float = 0.5
    every: Clock = "epoch"

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(power_t=self.power_t)

    def at(self, t: Array, end: float) -> Array:
        return (t + 1) ** -self.power_t


@dataclass(frozen=True)
class InverseTime(Schedule):
    """``η / (1 + decay_rate t / decay_steps)``: Keras's ``InverseTimeDecay``.

    With the defaults the steps are ``η, η/2, η/3, …``, the classic choice of H. Robbins and
    S. Monro, "A stochastic approximation method", 1951.

    Parameters
    ----------
    decay_rate : float, default 1
        How fast the rate falls.
    decay_steps : float, default 1
        Unit of ``t``: so many epochs or steps.
    every : {"epoch", "step"}, default "epoch"
    """

    decay_rate: float = 1.0
    decay_steps: float = 1.0
    every: Clock = "epoch"

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(decay_rate=self.decay_rate)
        positive(decay_steps=self.decay_steps)

    def at(self, t: Array, end: float) -> Array:
        return 1 / (1 + self.decay_rate * t / self.decay_steps)


@dataclass(frozen=True)
class Step(Schedule):
    """``η gamma^⌊t / step_size⌋``: torch's ``StepLR``.

    Parameters
    ----------
    step_size : float, optional
        Time between two reductions; by default a third of the run, so that there are three levels.
    gamma : float, default 0.1
        Factor of each reduction.
    every : {"epoch", "step"}, default "epoch"
    """

    step_size: float | None = None
    gamma: float = 0.1
    every: Clock = "epoch"

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(gamma=self.gamma)
        if self.step_size is not None:
            positive(step_size=self.step_size)

    @property
    def needs_length(self) -> bool:
        return self.step_size is None

    def at(self, t: Array, end: float) -> Array:
        size = max(end / 3, 1.0) if self.step_size is None else self.step_size
        factors: Array = self.gamma ** (t // size)
        return factors


@dataclass(frozen=True)
class Exponential(Schedule):
    """``η decay_rate^(t / decay_steps)``: Keras's ``ExponentialDecay``.

    Parameters
    ----------
    decay_rate : float, default 0.96
        Factor of each ``decay_steps``.
    decay_steps : float, default 1
        Unit of ``t``: so many epochs or steps.
    every : {"epoch", "step"}, default "epoch"
    """

    decay_rate: float = 0.96
    decay_steps: float = 1.0
    every: Clock = "epoch"

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(decay_rate=self.decay_rate)
        positive(decay_steps=self.decay_steps)

    def at(self, t: Array, end: float) -> Array:
        factors: Array = self.decay_rate ** (t / self.decay_steps)
        return factors


@dataclass(frozen=True)
class Cosine(Schedule):
    """``η (alpha + (1 - alpha) (1 + cos(π t / T)) / 2)`` up to ``T``, then ``alpha η``.

    Keras's ``CosineDecay``.

    Parameters
    ----------
    decay_steps : float, optional
        ``T``; by default the whole run.
    alpha : float, default 0
        Where it ends, as a share of ``η``.
    every : {"epoch", "step"}, default "epoch"

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    decay_steps: float | None = None
    alpha: float = 0.0
    every: Clock = "epoch"

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(alpha=self.alpha)
        if self.decay_steps is not None:
            positive(decay_steps=self.decay_steps)

    @property
    def needs_length(self) -> bool:
        return self.decay_steps is None

    def at(self, t: Array, end: float) -> Array:
        length = end if self.decay_steps is None else self.decay_steps
        share = np.minimum(t / max(length, 1e-300), 1)
        factors: Array = self.alpha + (1 - self.alpha) * 0.5 * (1 + np.cos(np.pi * share))
        return factors
