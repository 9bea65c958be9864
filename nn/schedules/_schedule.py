"""What a schedule is, and how one is found by its name."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from .._inputs.numbers import number
from .._typing import Array

Clock = Literal["epoch", "step"]


@dataclass(frozen=True)
class Times:
    """When some updates of the weights happen.

    Attributes
    ----------
    steps : (n,) array
        Updates made before each.
    epochs : (n,) array
        Epochs finished before each.
    n_steps : float
        Updates of the whole run; infinite where nobody knows.
    steps_per_epoch : int
    """

    steps: Array
    epochs: Array
    n_steps: float
    steps_per_epoch: int

    def later(self, start: float, every: Clock) -> Times:
        """The same updates in a run that begins at ``start``, in units of ``every``."""
        n = self.steps_per_epoch
        length = start * (1 if every == "step" else n)
        steps = np.maximum(self.steps - length, 0)
        epochs = steps // n if every == "step" else np.maximum(self.epochs - start, 0)
        return Times(steps, epochs, max(self.n_steps - length, 1), n)


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

    @property
    def needs_length(self) -> bool:
        """Whether the rates depend on the length of the run."""
        return False

    def check(self, known: Iterable[str]) -> None:
        """Raise ``ValueError`` where the run will not record the curve that the rates follow.

        Parameters
        ----------
        known : iterable of str
            Curves of the run's history.
        """
        return None

    def rates(self, learning_rate: float, times: Times) -> Array:
        """Learning rates at some times, for the optimizer's ``learning_rate``.

        Parameters
        ----------
        learning_rate : float
            The optimizer's, ``η``.
        times : Times
            Epochs and steps since the beginning of the run.

        Returns
        -------
        array
            A rate for each of the times.
        """
        by_step = self.every == "step"
        t = (times.steps if by_step else times.epochs).astype(np.float64)
        unit = 1 if by_step else times.steps_per_epoch
        return learning_rate * self.at(t, times.n_steps / unit)


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
