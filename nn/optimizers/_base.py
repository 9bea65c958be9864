"""What all optimizers have in common, and the checks of their constants."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from typing import ClassVar

from fastmlp.kernels import UpdateRule

from .._inputs.numbers import number, switch


class Optimizer(ABC):
    """Base of all optimizers.

    Attributes
    ----------
    learning_rate : float
        Step size ``η``.
    """

    learning_rate: float

    #: Every optimizer by its name in snake_case.
    registry: ClassVar[dict[str, type[Optimizer]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # GradientDescent becomes gradient_descent; RMSprop, AdamW and LBFGS are one word.
        name = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
        Optimizer.registry[name] = cls

    @abstractmethod
    def update_rule(self) -> UpdateRule:
        """Return the kernel's update rule and its constants."""

    def _rule(self, name: str) -> UpdateRule:
        """Return the rule of that name whose constants are this object's, by their names."""
        constants = {key: value for key, value in vars(self).items() if key != "learning_rate"}
        return UpdateRule(name, constants)


def positive(**constants: float) -> None:
    """Raise ``ValueError`` unless all are finite numbers above 0."""
    for name, value in constants.items():
        if not (number(name, value) > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def not_negative(**constants: float) -> None:
    """Raise ``ValueError`` unless all are finite numbers of 0 or more."""
    for name, value in constants.items():
        if not (number(name, value) >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number, not negative, got {value!r}")


def fraction(**constants: float) -> None:
    """Raise ``ValueError`` unless all are at least 0 and below 1."""
    for name, value in constants.items():
        if not 0 <= number(name, value) < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")


def switches(**constants: bool) -> None:
    """Raise ``TypeError`` unless all are True or False."""
    for name, value in constants.items():
        switch(name, value)
