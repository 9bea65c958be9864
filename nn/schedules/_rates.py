"""The learning rates of one run: a schedule, brought to life."""

from __future__ import annotations

import math

import numpy as np

from .._typing import Array
from ..history import History
from . import Constant, ReduceOnPlateau, Schedule
from ._schedule import Times


class Rates:
    """Rates of a learning rate ``η`` under a schedule, epoch by epoch.

    Parameters
    ----------
    learning_rate : float
        ``η``, which may change between epochs.
    schedule : Schedule
    epochs : float
        Length of the run; infinite where nobody knows.
    steps_per_epoch : int
        Updates of an epoch, which may change between epochs.
    """

    def __init__(
        self, learning_rate: float, schedule: Schedule, epochs: float, steps_per_epoch: int
    ) -> None:
        self.learning_rate, self.schedule = learning_rate, schedule
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        #: Whether every step has the same rate.
        self.fixed = isinstance(schedule, Constant)
        plateau = schedule.plateau
        self._reducer = None
        if isinstance(plateau, ReduceOnPlateau):
            self._reducer = _Reducer(plateau, learning_rate)

    @property
    def known_ahead(self) -> bool:
        """Whether the rates of all epochs are known before the run."""
        return self._reducer is None

    def of_epoch(self, epoch: int, step: int | None = None) -> float | Array:
        """One rate for the whole epoch (counted from 0), or an array with one for each step.

        ``step`` is the number of updates before, by default as many for each epoch.
        """
        if self.fixed:
            return self.learning_rate
        n = self.steps_per_epoch
        start = epoch * n if step is None else step
        scale = 1.0 if self._reducer is None else self._reducer.scale
        rate = self.learning_rate * scale
        by_step = self.schedule.by_step
        steps = np.arange(start, start + (n if by_step else 1))
        times = Times(steps, np.full(len(steps), epoch), self.epochs * n, n)
        rates = self.schedule.rates(rate, times)
        return rates if by_step else float(rates[0])

    def epoch_ended(self, history: History) -> None:
        """Look at the losses, where the schedule depends on them."""
        if self._reducer is not None:
            self._reducer.epoch_ended(history)

    def of_step(self, step: int, epoch: int) -> float:
        """The rate of a single step after so many others, and finished epochs."""
        return float(np.ravel(self.of_epoch(epoch, step if self.schedule.by_step else None))[0])

    def state(self) -> dict[str, float]:
        """What a schedule remembers of the losses."""
        return {} if self._reducer is None else self._reducer.state()

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what :meth:`state` has given."""
        if self._reducer is not None:
            self._reducer.restore(state)


class _Reducer:
    """What :class:`~fastmlp.schedules.ReduceOnPlateau` knows of the run.

    Attributes
    ----------
    scale : float
        Product of the reductions so far.
    """

    def __init__(self, rule: ReduceOnPlateau, learning_rate: float) -> None:
        self.rule = rule
        self.scale = 1.0
        self._lowest = min(rule.min_lr / learning_rate, 1.0)
        self._best = math.inf
        self._waited = 0
        self._cooldown = 0

    def state(self) -> dict[str, float]:
        return {
            "scale": self.scale,
            "best": self._best,
            "waited": self._waited,
            "cooldown": self._cooldown,
        }

    def restore(self, state: dict[str, float]) -> None:
        self.scale, self._best = float(state["scale"]), float(state["best"])
        self._waited, self._cooldown = int(state["waited"]), int(state["cooldown"])

    def epoch_ended(self, history: History) -> None:
        rule = self.rule
        validated = rule.monitor != "loss" and bool(history.validation_loss)
        value = (history.validation_loss if validated else history.loss)[-1]
        if value < self._best - rule.min_delta:  # False for NaN
            self._best, self._waited = value, 0
        elif self._cooldown == 0:
            self._waited += 1
            if self._waited >= max(rule.patience, 1):
                self.scale = max(self.scale * rule.factor, self._lowest)
                self._waited, self._cooldown = 0, rule.cooldown
                return
        self._cooldown = max(self._cooldown - 1, 0)
