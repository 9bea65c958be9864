"""The stop rules: immutable descriptions, each of which starts a watch for a run."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from .._inputs.numbers import count, number
from ..metrics import greater_is_better
from ._watches import Below, Best, Clock, Watch


class StopRule(ABC):
    """Base of stop rules; a new one gives :meth:`watch`, and its name in snake_case is a string."""

    #: Whether the rule reads ``history.gradient_norm``.
    needs_gradient_norm: ClassVar[bool] = False
    #: What ``history.stop_reason`` says.
    reason: ClassVar[str]

    #: Every rule by its name.
    registry: ClassVar[dict[str, type[StopRule]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.reason = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        StopRule.registry[cls.reason] = cls

    @abstractmethod
    def watch(self) -> Watch:
        """Start to watch a run."""

    def check(self, known: Iterable[str]) -> None:
        """Raise ``ValueError`` where the run will not record what the rule looks at.

        Parameters
        ----------
        known : iterable of str
            Curves of the run's history.

        Raises
        ------
        ValueError
            Where the rule's curve is not among them.
        """
        return None

    def resolved(self, modes: Mapping[str, str | None]) -> StopRule:
        """The rule for a run that records these curves, each better at its ``"min"`` or ``"max"``.

        ``None`` stands for what is not known.

        Parameters
        ----------
        modes : mapping of str to "min", "max" or None
            What will be recorded, and where each is better.

        Returns
        -------
        StopRule
            This one, or a copy that knows its direction.
        """
        return self


@dataclass(frozen=True)
class GradientNorm(StopRule):
    """Stop where ``‖∇C‖ ≤ epsilon``.

    The norm is that of the last update's gradient, over all weights and biases, penalties included
    and before any clipping. With one batch an epoch (``batch_size="full"``) that is the gradient of
    the whole cost.

    Parameters
    ----------
    epsilon : float, default 1e-5
        Not negative.
    """

    epsilon: float = 1e-5
    needs_gradient_norm = True

    def __post_init__(self) -> None:
        _not_negative("epsilon", self.epsilon)

    def watch(self) -> Watch:
        return Below(self.epsilon, "the norm of the gradient is {:.3g}, not above {:g}", False)


@dataclass(frozen=True)
class StepNorm(StopRule):
    """Stop where ``η ‖∇C‖ < theta``, the length of a step of gradient descent.

    Norm as for :class:`GradientNorm`; ``η`` is the learning rate of the last update.

    Parameters
    ----------
    theta : float, default 1e-6
        Above 0.

    References
    ----------
    R. Duda, P. Hart, D. Stork, *Pattern Classification*, 2nd edition 2001, section 5.4
    (algorithm 1, basic gradient descent).
    """

    theta: float = 1e-6
    needs_gradient_norm = True

    def __post_init__(self) -> None:
        if not (number("theta", self.theta) > 0 and math.isfinite(self.theta)):
            raise ValueError(f"theta must be a finite number above 0, got {self.theta!r}")

    def watch(self) -> Watch:
        return Below(self.theta, "learning rate times gradient norm is {:.3g}, below {:g}", True)


@dataclass(frozen=True)
class Plateau(StopRule):
    """Stop where the training loss has not fallen below its best by ``tol`` for some epochs.

    Parameters
    ----------
    tol : float, default 1e-4
        How much lower the loss must be to count.
    n_iter_no_change : int, default 10
        Epochs in a row without improvement.
    """

    tol: float = 1e-4
    n_iter_no_change: int = 10

    def __post_init__(self) -> None:
        _not_negative("tol", self.tol)
        _at_least_1("n_iter_no_change", self.n_iter_no_change)

    def watch(self) -> Watch:
        return Best("loss", self.tol, self.n_iter_no_change, False, False)


@dataclass(frozen=True)
class EarlyStopping(StopRule):
    """Stop where a value of the validation data has not improved for ``patience`` epochs.

    Parameters
    ----------
    monitor : str, default "validation_loss"
        A curve of the history: ``"validation_loss"``, a metric of ``fit(metrics=…)`` such as
        ``"validation_accuracy"``, or ``"loss"``.
    min_delta : float, default 0
        What counts as better: by more than this.
    patience : int, default 10
        Epochs in a row without improvement.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; ``"auto"`` knows it from the metric, by its name or its
        scorer, and is an error where nothing tells it.
    restore_best_weights : bool, default True
        Give the network the parameters of its best epoch at the end, also where the run ends for
        another reason; ``history.best_epoch`` is its number.

    References
    ----------
    L. Prechelt, "Early stopping – but when?", 1998.
    """

    monitor: str = "validation_loss"
    min_delta: float = 0.0
    patience: int = 10
    mode: str = "auto"
    restore_best_weights: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.monitor, str):
            raise TypeError(f"monitor must be the name of a curve, got {self.monitor!r}")
        _not_negative("min_delta", self.min_delta)
        _at_least_1("patience", self.patience)
        if self.mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {self.mode!r}")

    def check(self, known: Iterable[str]) -> None:
        if self.monitor not in known:
            hint = "; give validation_data" if self.monitor.startswith("validation") else ""
            raise ValueError(
                f"early stopping monitors {self.monitor!r}, but this fit records only "
                f"{sorted(known)}{hint}"
            )

    def resolved(self, modes: Mapping[str, str | None]) -> EarlyStopping:
        if self.mode != "auto":
            return self
        mode = modes.get(self.monitor)
        return replace(self, mode=mode or ("max" if greater_is_better(self.monitor) else "min"))

    def watch(self) -> Watch:
        higher = self.mode == "max" or (self.mode == "auto" and greater_is_better(self.monitor))
        return Best(self.monitor, self.min_delta, self.patience, higher, self.restore_best_weights)


@dataclass(frozen=True)
class TimeLimit(StopRule):
    """Stop ``seconds`` after the start, also in the middle of an epoch.

    The clock is looked at about 20 times a second, which cuts long epochs into pieces without
    changing what they compute. The last epoch of the history may so be an incomplete one.

    Parameters
    ----------
    seconds : float, default 60
        Wall-clock time of the whole run, validation and callbacks included.
    """

    seconds: float = 60.0

    def __post_init__(self) -> None:
        _not_negative("seconds", self.seconds)

    def watch(self) -> Watch:
        return Clock(self.seconds)


def _not_negative(name: str, value: float) -> None:
    if not (number(name, value) >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, not negative, got {value!r}")


def _at_least_1(name: str, value: int) -> None:
    if value != math.inf:
        count(name, value, 1)
