"""Schedules with several parts, and those that somebody else decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import _naming
from .._typing import Array
from ._schedule import Clock, Schedule, Times, not_negative, positive, share


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from ``η / div_factor`` to ``η`` and down to ``η / (div_factor final_div_factor)``.

    Both parts are half a cosine: torch's ``OneCycleLR``, without its cycle of the momentum. The
    optimizer's learning rate is the highest one.

    Parameters
    ----------
    pct_start : float, default 0.3
        Share of the run that rises.
    div_factor : float, default 25
        By how much the first rate is lower than the highest.
    final_div_factor : float, default 10000
        By how much the last rate is lower than the first.
    total_steps : float, optional
        Length of the cycle; by default the whole run.
    every : {"epoch", "step"}, default "step"

    References
    ----------
    L. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2017.
    """

    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    total_steps: float | None = None
    every: Clock = "step"

    def __post_init__(self) -> None:
        super().__post_init__()
        share(pct_start=self.pct_start)
        positive(div_factor=self.div_factor, final_div_factor=self.final_div_factor)
        if self.total_steps is not None:
            positive(total_steps=self.total_steps)

    @property
    def needs_length(self) -> bool:
        return self.total_steps is None

    def at(self, t: Array, end: float) -> Array:
        length = end if self.total_steps is None else self.total_steps
        top, last = self.pct_start * length - 1, length - 1
        start = 1 / self.div_factor
        rising = _cosine(start, 1.0, t / top) if top > 0 else np.ones_like(t)
        falling = _cosine(1.0, start / self.final_div_factor, (t - top) / max(last - top, 1e-300))
        return np.where(t <= top, rising, falling)


@dataclass(frozen=True)
class Warmup(Schedule):
    """A linear rise from ``start_factor η`` to ``η``, then another schedule from its beginning.

    Parameters
    ----------
    steps : int
        Length of the rise, in units of ``every``; the first full step is the one after it.
    after : Schedule, str or function, default "constant"
        What follows; it sees only the rest of the run, and may count in other units.
    start_factor : float, default 0.01
        Share of ``η`` that the rise begins with.
    every : {"epoch", "step"}, default "step"
    """

    steps: int = 100
    after: Schedule | str | Callable[[float], float] = "constant"
    start_factor: float = 0.01
    every: Clock = "step"

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(steps=self.steps)
        share(start_factor=self.start_factor)
        object.__setattr__(self, "after", get(self.after))

    @property
    def _after(self) -> Schedule:
        assert isinstance(self.after, Schedule)
        return self.after

    @property
    def by_step(self) -> bool:
        return self.every == "step" or self._after.by_step

    @property
    def plateau(self) -> Schedule | None:
        return self._after.plateau

    def at(self, t: Array, end: float) -> Array:
        return self.start_factor + (1 - self.start_factor) * t / max(self.steps, 1)

    @property
    def needs_length(self) -> bool:
        return self._after.needs_length

    def check(self, known: Iterable[str]) -> None:
        self._after.check(known)

    def rates(self, learning_rate: float, times: Times) -> Array:
        rising = (times.steps if self.every == "step" else times.epochs) < self.steps
        following = self._after.rates(learning_rate, times.later(self.steps, self.every))
        return np.where(rising, super().rates(learning_rate, times), following)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by ``factor`` when a monitored value has stopped falling.

    Keras's ``ReduceLROnPlateau``, with torch's count of the cooldown; with ``factor=0.2`` much like
    scikit-learn's ``"adaptive"``. A value that is not a number is no improvement.

    Parameters
    ----------
    factor : float, default 0.1
        Between 0 and 1.
    patience : int, default 10
        Epochs without improvement before a reduction.
    min_delta : float, default 1e-4
        What counts as improvement: a value lower than the best by more than this.
    cooldown : int, default 0
        Epochs after a reduction in which nothing is counted.
    min_lr : float, default 0
        The rate does not fall below this.
    monitor : str, default "auto"
        ``"loss"`` or ``"validation_loss"``; ``"auto"`` is the latter where there are validation
        data.
    """

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0
    monitor: str = "auto"
    every: ClassVar[Clock] = "epoch"  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        share(factor=self.factor)
        not_negative(
            patience=self.patience,
            min_delta=self.min_delta,
            cooldown=self.cooldown,
            min_lr=self.min_lr,
        )
        if self.monitor not in ("auto", "loss", "validation_loss"):
            raise ValueError(
                f"monitor must be 'auto', 'loss' or 'validation_loss', got {self.monitor!r}"
            )

    @property
    def plateau(self) -> Schedule | None:
        return self

    def check(self, known: Iterable[str]) -> None:
        if self.monitor != "auto" and self.monitor not in known:
            raise ValueError(
                f"reduce_on_plateau monitors {self.monitor!r}, but this fit records only "
                f"{sorted(known)}; give validation data"
            )

    def at(self, t: Array, end: float) -> Array:
        return np.ones_like(t)  # the reductions are made in `_rates`, which sees the losses


@dataclass(frozen=True)
class Factor(Schedule, named=False):
    """``η`` times what a function of time returns.

    Parameters
    ----------
    function : callable
        ``function(t) -> float``, called once for each epoch or update.
    every : {"epoch", "step"}, default "epoch"
    """

    function: Callable[[float], float]
    every: Clock = "epoch"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.function):
            raise TypeError(f"function must be a function of the time, got {self.function!r}")

    def at(self, t: Array, end: float) -> Array:
        values = np.array([float(self.function(value)) for value in t.tolist()])
        if not np.all(values >= 0) or not np.isfinite(values).all():
            raise ValueError(
                f"a schedule must return finite numbers, not negative, got {values} for times {t}"
            )
        return values


@dataclass(frozen=True)
class Rate(Factor, named=False):
    """The learning rate itself that a function of time returns, whatever ``η`` is.

    ``get`` makes it from a plain function: ``fit(learning_rate=lambda epoch: 0.1 / (1 + epoch))``.
    For a multiple of ``η`` see :class:`Factor`.

    Parameters
    ----------
    function : callable
        ``function(t) -> float``, called once for each epoch or update.
    every : {"epoch", "step"}, default "epoch"
    """

    def rates(self, learning_rate: float, times: Times) -> Array:
        return super().rates(1.0, times)


#: Its name before there was :class:`Rate`.
Function = Factor


def get(schedule: str | Schedule | Callable[[float], float]) -> Schedule:
    """Return a schedule itself, the one of that name, or one made from a function of the epoch.

    Parameters
    ----------
    schedule : str, Schedule or function
        A name such as ``"cosine"``, an object, or a function of the epoch.

    Returns
    -------
    Schedule
        With its constants.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything else.

    Examples
    --------
    >>> from fastmlp import schedules
    >>> schedules.get("cosine")
    Cosine(decay_steps=None, alpha=0.0, every='epoch')
    """
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, str):
        known = Schedule.registry
        return known[_naming.find("learning_rate", schedule, known, "fastmlp.schedules")]()
    if callable(schedule) and not isinstance(schedule, type):
        return Rate(schedule)
    raise TypeError(
        "a schedule must be a name, an object such as fastmlp.schedules.Cosine() or a function, "
        f"got {schedule!r}"
    )


def _cosine(start: float, end: float, share: Array) -> Array:
    factors: Array = end + (start - end) / 2 * (1 + np.cos(np.pi * np.clip(share, 0, 1)))
    return factors
