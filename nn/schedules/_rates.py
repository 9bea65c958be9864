"""The learning rates of one run: a schedule, brought to life."""

from __future__ import annotations

import math

import numpy as np

from .._typing import Array
from ..history import History
from . import Constant, ReduceOnPlateau, Schedule
from ._schedule import Span


class Rates:
    """Rates of a fixed learning rate ``η`` under a schedule, epoch by epoch.

    Parameters
    ----------
    learning_rate : float
        ``η``.
    schedule : Schedule
    epochs, steps_per_epoch : int
        Length of the run.
    """

    def __init__(
        self, learning_rate: float, schedule: Schedule, epochs: int, steps_per_epoch: int
    ) -> None:
        self._learning_rate = learning_rate
        self._schedule = schedule
        self._fixed = isinstance(schedule, Constant)
        self._span = Span(epochs * steps_per_epoch, steps_per_epoch)
        plateau = schedule.plateau
        self._reducer = None
        if isinstance(plateau, ReduceOnPlateau):
            self._reducer = _Reducer(plateau, learning_rate)

    def of_epoch(self, epoch: int) -> float | Array:
        """One rate for the whole epoch (counted from 0), or an array with one for each step."""
        if self._fixed:
            return self._learning_rate
        n = self._span.steps_per_epoch
        scale = 1.0 if self._reducer is None else self._reducer.scale
        rate = self._learning_rate * scale
        if not self._schedule.by_step:
            return rate * float(self._schedule.at_steps(np.array([epoch * n]), self._span)[0])
        steps = np.arange(epoch * n, (epoch + 1) * n)
        rates: Array = rate * self._schedule.at_steps(steps, self._span)
        return rates

    def epoch_ended(self, history: History) -> None:
        """Look at the losses, where the schedule depends on them."""
        if self._reducer is not None:
            self._reducer.epoch_ended(history)


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
