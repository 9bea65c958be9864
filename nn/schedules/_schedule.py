"""What a schedule is, and how one is found by its name."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from .._inputs.numbers import number
from .._typing import Array

Clock = Literal["epoch", "step"]


@dataclass(frozen=True)
class Span:
    """The length of a run, in updates of the weights."""

    steps: int
    steps_per_epoch: int


class Schedule(ABC):
    """Base of schedules; a new one gives :meth:`at`, and its name in snake_case is a string."""

    #: What time counts: finished epochs, or updates.
    every: Clock

    #: Every schedule by its name.
    registry: ClassVar[dict[str, type[Schedule]]] = {}

    def __init_subclass__(cls, named: bool = True) -> None:
        super().__init_subclass__()
        if named:
            Schedule.registry[re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()] = cls

    def __post_init__(self) -> None:
        if self.every not in ("epoch", "step"):
            raise ValueError(f"every must be 'epoch' or 'step', got {self.every!r}")

    @abstractmethod
    def at(self, t: Array, end: float) -> Array:
        """Factors of the learning rate.

        Parameters
        ----------
        t : float64 array
            Times, in units of ``every``.
        end : float
            Time at the end of the run.
        """

    @property
    def by_step(self) -> bool:
        """Whether rates differ within an epoch."""
        return self.every == "step"

    @property
    def plateau(self) -> Schedule | None:
        """The part that looks at the loss, where there is one."""
        return None

    def at_steps(self, steps: Array, span: Span) -> Array:
        """Factors for updates with these numbers, counted from 0."""
        unit = 1 if self.every == "step" else span.steps_per_epoch
        return self.at((steps // unit).astype(np.float64), span.steps / unit)


# Checks of constants.


def positive(**values: float) -> None:
    for name, value in values.items():
        if not (number(name, value) > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def not_negative(**values: float) -> None:
    for name, value in values.items():
        if not (number(name, value) >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number, not negative, got {value!r}")


def share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= number(name, value) <= 1:
            raise ValueError(f"{name} must lie in 0…1, got {value!r}")
