"""How the estimators keep their parameters, and methods that some parameters take away."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

from ._sklearn.parameters import STOCHASTIC_SOLVERS


def keep_parameters(estimator: Any, arguments: dict[str, Any]) -> None:
    """Keep the arguments of a constructor (its ``locals()``) under their names, untouched."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


class available_if:
    """A method that exists only where ``check(instance)`` does not raise ``AttributeError``.

    With ``reason`` the error says why, beyond scikit-learn's words.
    """

    def __init__(self, check: Callable[[Any], None], reason: bool = False) -> None:
        self.check, self.reason = check, reason

    def __call__(self, function: Callable[..., Any]) -> Any:
        return _Conditional(function, self.check, self.reason)


class _Conditional:
    def __init__(
        self, function: Callable[..., Any], check: Callable[[Any], None], reason: bool
    ) -> None:
        self.function, self.check, self.reason = function, check, reason
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self.function
        try:
            self.check(instance)
        except AttributeError as error:
            name = type(instance).__name__
            why = f": {error}" if self.reason else ""
            raise AttributeError(
                f"This {name!r} has no attribute {self.__name__!r}{why}"
            ) from error
        return MethodType(self.function, instance)


def stochastic(estimator: Any) -> None:
    """Raise ``AttributeError`` unless the solver can go on row by row."""
    if estimator.solver not in STOCHASTIC_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
