"""Run-time state of stop rules: one watch per rule and training run, updated each epoch."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import Array

if TYPE_CHECKING:
    from ..history import History


class Watch(ABC):
    """A rule's state in one run.

    Attributes
    ----------
    deadline : float
        Time of ``time.perf_counter`` after which no further step is to begin.
    """

    deadline = math.inf

    @abstractmethod
    def epoch_ended(self, history: History, parameters: Array) -> str | None:
        """Return why training is to stop, in words, or ``None`` to go on."""

    def training_ended(self, history: History, parameters: Array) -> None:
        """Run once after the last epoch; may change the parameters."""
        return None

    def training_begins(self) -> None:
        """Run before the first epoch, and where a run goes on before its next."""
        return None

    def state(self) -> dict[str, Any]:
        """All that the watch remembers of the run: arrays and numbers."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` has given."""
        for name in self.state():
            setattr(self, name, state[name])


class Below(Watch):
    """The norm of the gradient, or its product with the learning rate, against a limit."""

    def __init__(self, limit: float, words: str, times_rate: bool) -> None:
        self.limit, self.words, self.times_rate = limit, words, times_rate

    def epoch_ended(self, history: History, parameters: Array) -> str | None:
        value = history.gradient_norm[-1]
        if self.times_rate:
            value *= history.learning_rate[-1]
        holds = value < self.limit if self.times_rate else value <= self.limit
        return self.words.format(value, self.limit) if holds else None


class Best(Watch):
    """The best value of a curve, how long ago it was, and if asked for its parameters."""

    def __init__(
        self, curve: str, min_delta: float, patience: int, higher: bool, restore: bool
    ) -> None:
        self.curve, self.min_delta, self.patience = curve, min_delta, patience
        self.sign = -1.0 if higher else 1.0
        self.restores = restore
        self.best = math.inf  # of sign · value
        self.waited = 0
        self.epoch = 0
        self.parameters: Array | None = None

    def epoch_ended(self, history: History, parameters: Array) -> str | None:
        value = self.sign * history.curve(self.curve)[-1]
        # False for NaN: an epoch that cannot be judged is not a good one.
        if value < self.best - self.min_delta:
            self.best, self.waited, self.epoch = value, 0, history.epochs
            if self.restores:
                if self.parameters is None:
                    self.parameters = np.empty_like(parameters)
                self.parameters[...] = parameters
            return None
        self.waited += 1
        if self.waited < self.patience:
            return None
        what = self.curve.replace("_", " ")
        best = f"best {self.sign * self.best:.6g} in epoch {self.epoch}" if self.epoch else "never"
        return f"the {what} has not improved for {self.waited} epochs ({best})"

    def state(self) -> dict[str, Any]:
        remembered = ("best", "waited", "epoch", "parameters")
        return {name: getattr(self, name) for name in remembered}

    def training_ended(self, history: History, parameters: Array) -> None:
        if self.restores and self.parameters is not None:
            parameters[...] = self.parameters
            history.best_epoch = self.epoch


class Clock(Watch):
    """The wall clock, which stands still while nobody trains."""

    def __init__(self, seconds: float) -> None:
        self.seconds = self.left = seconds
        self.training_begins()

    def training_begins(self) -> None:
        self.deadline = time.perf_counter() + self.left

    def training_ended(self, history: History, parameters: Array) -> None:
        self.left = self.deadline - time.perf_counter()

    def state(self) -> dict[str, Any]:
        return {"left": self.deadline - time.perf_counter()}

    def epoch_ended(self, history: History, parameters: Array) -> str | None:
        over = time.perf_counter() >= self.deadline
        return f"the time limit of {self.seconds:g} s was reached" if over else None
