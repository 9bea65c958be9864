"""The optimizer of a fit: update rule, learning rate, schedule, and state between calls."""

from __future__ import annotations

import copy
import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp.kernels import UpdateRule

from ... import optimizers, schedules
from ..._inputs.numbers import number
from ..._typing import Array
from ...history import History
from ...schedules import Schedule
from ...schedules._rates import Rates

if TYPE_CHECKING:
    from .single_step import SingleStep


class StochasticOptimizer:
    """What scikit-learn keeps as ``_optimizer``.

    ``learning_rate`` and ``learning_rate_init`` can be set between calls and mean what they mean
    there: ``sgd`` goes on with the former, and its inverse scaling starts from the latter; ``adam``
    makes the former from the latter in every step. Other names cannot be set.

    Attributes
    ----------
    rate : float
        Learning rate of the next epoch, as the engine takes it.
    rule : UpdateRule
    state : (n_slots, n_parameters) array or None
        Velocities or moments after the last call; ``None`` before the first.
    step : int
        Updates so far.
    epochs : int
        Epochs so far; a call of ``partial_fit`` is one.
    rows_seen : int
        Rows that the estimator has been trained with so far.
    single : SingleStep or None
        What the next call may do where it is one step; then it holds the state.
    """

    __slots__ = (
        *("rate", "rule", "step", "epochs", "rows_seen", "single", "order"),
        *(
            "_initial_rate",
            "_schedule",
            "_power_t",
            "_planned",
            "_begun",
            "_assigned",
            "_state",
        ),
    )

    rate: float
    rule: UpdateRule
    single: SingleStep | None
    _state: Array | None

    def __init__(self, estimator: Any) -> None:
        self._power_t = estimator.power_t
        self._schedule = "constant"
        if estimator.optimizer is not None:
            self._set_own(estimator)
        else:
            self._set_of_sklearn(estimator)
        self._initial_rate = self.rate
        self.state = None
        self.step = self.epochs = self.rows_seen = 0
        #: Order of the rows in the last epoch, where the next call shuffles it.
        self.order: Array | None = None
        #: The schedule of the package at work, and when (epochs, steps) it has begun.
        self._planned: Rates | None = None
        self._begun = (0, 0)
        #: What was assigned to the learning rate of Adam, and in which step.
        self._assigned: tuple[float, int] | None = None

    def _set_own(self, estimator: Any) -> None:
        """Take rule and rate of an optimizer of the package."""
        chosen = optimizers.get(estimator.optimizer)
        if hasattr(chosen, "method"):  # how it searches, with all rows
            raise ValueError(
                f"optimizer must go on batch by batch, got {chosen!r}; choose solver='lbfgs' "
                "for all rows in every step"
            )
        named = isinstance(estimator.optimizer, str)
        self.rate = float(estimator.learning_rate_init if named else chosen.learning_rate)
        self.rule = chosen.update_rule()

    def _set_of_sklearn(self, estimator: Any) -> None:
        """Take rule, rate and schedule of ``solver``."""
        self.rate = float(estimator.learning_rate_init)
        if estimator.solver == "adam":
            self.rule = _adam(estimator.beta_1, estimator.beta_2, estimator.epsilon)
            return
        self._schedule = estimator.learning_rate
        self.rule = UpdateRule("sgd")
        if estimator.momentum:
            # Not by optimizers.SGD, which refuses the momentum of 1 that is allowed here.
            nesterov = float(estimator.nesterovs_momentum)
            momentum = float(estimator.momentum)
            self.rule = UpdateRule("momentum", {"momentum": momentum, "nesterov": nesterov})

    @property
    def state(self) -> Array | None:
        """Velocities or moments after the last call."""
        if self.single is not None and self.single.ahead:
            self._state = self.single.moments(len(self.rule.slots))
        return self._state

    @state.setter
    def state(self, value: Array | None) -> None:
        self._state, self.single = value, None

    @property
    def constant(self) -> bool:
        """Whether the learning rate stays what it is."""
        return self._planned is None and self._schedule == "constant"

    @property
    def adapts(self) -> bool:
        """Whether the learning rate falls where the loss does not."""
        return self._schedule == "adaptive"

    @property
    def known_ahead(self) -> bool:
        """Whether nothing that an epoch leads to changes the rates of later ones."""
        return self._planned is None and self._schedule != "invscaling"

    #: Whether all epochs ahead have one rate, until somebody sets another.
    fixed = known_ahead

    @property
    def learning_rate(self) -> float:
        """``rate``; of Adam the rate of its last step, bias corrections included."""
        if self.rule.name != "adam":
            return self.rate
        if self._assigned is not None and self._assigned[1] == self.step:
            return self._assigned[0]
        if self.step == 0:
            return self.rate
        beta_1, beta_2 = self.rule.constants["beta_1"], self.rule.constants["beta_2"]
        return self.rate * math.sqrt(1 - beta_2**self.step) / (1 - beta_1**self.step)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        rate = number("learning_rate", value)
        if self.rule.name == "adam":
            self._assigned = rate, self.step
            return
        self.rate = rate
        if self._planned is not None:
            self._planned.learning_rate = rate

    @property
    def learning_rate_init(self) -> float:
        """The learning rate that schedules start from; of Adam that of every step."""
        return self._initial_rate

    @learning_rate_init.setter
    def learning_rate_init(self, value: float) -> None:
        initial = number("learning_rate_init", value)
        if self.rule.name == "adam":
            self._assigned = self.learning_rate, self.step  # that of the last step stays
            self.rate = initial
        self._initial_rate = initial
        if self._planned is not None:
            self._planned.learning_rate = self._initial_rate

    def plan(self, schedule: Any, epochs: float, steps_per_epoch: int) -> None:
        """Follow a schedule of the package, from now on or as before.

        Parameters
        ----------
        epochs : float
            Length of the run; infinite where more calls may follow.
        steps_per_epoch : int
            Of the coming epochs.
        """
        known = None if schedule is None else schedules.get(schedule)
        if self._planned is not None and known == self._planned.schedule:
            self._planned.steps_per_epoch = steps_per_epoch
            return
        if self._planned is not None:
            self.rate = self._initial_rate
        self._planned, self._begun = None, (self.epochs, self.step)
        if known is not None:
            self._planned = Rates(self._initial_rate, known, epochs, steps_per_epoch)

    @property
    def followed(self) -> Schedule | None:
        """The schedule of the package that the last call has followed."""
        return None if self._planned is None else self._planned.schedule

    def of_epoch(self, epoch: int) -> float | Array:
        """Learning rate of the coming epoch, or one for each of its steps."""
        if self._planned is not None:
            epochs, steps = self._begun
            rates = self._planned.of_epoch(self.epochs - epochs, self.step - steps)
            self.rate = float(np.ravel(rates)[-1])
            return rates
        return self.rate

    def epoch_ended(self, history: History) -> None:
        """Follow the inverse scaling schedule, ``η₀ / (rows + 1)^power_t``, or the plan."""
        self.epochs += 1
        if self._planned is not None:
            self._planned.epoch_ended(history)
        elif self._schedule == "invscaling":
            self.rate = self._initial_rate / (self.rows_seen + 1) ** self._power_t

    def no_improvement(self, message: str, verbose: bool) -> bool:
        """Return whether to stop; the adaptive schedule divides its rate by 5 down to 1e-6."""
        stop = True
        end = "Stopping."
        if self._schedule == "adaptive":
            stop = self.rate <= 1e-6
            end = "Learning rate too small. Stopping."
            if not stop:
                self.rate /= 5
                end = f"Setting learning rate to {self.rate:f}"
        if verbose:
            print(f"{message} {end}")
        return stop

    def __getstate__(self) -> dict[str, Any]:
        names = [name for name in self.__slots__ if name not in ("_state", "single", "order")]
        return {name: getattr(self, name) for name in (*names, "state")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.order = None
        for name, value in state.items():
            setattr(self, name, value)

    def copy(self) -> StochasticOptimizer:
        """One that goes on from here on its own; its arrays are never changed in place."""
        new = copy.copy(self)
        new._planned = copy.deepcopy(self._planned)
        return new

    def without_state(self) -> StochasticOptimizer:
        """A copy whose next step is a first one: what small pickles hold."""
        new = copy.copy(self)
        new.state, new.step = None, 0
        new._begun = (self._begun[0], self._begun[1] - self.step)
        return new


@functools.lru_cache(maxsize=64)
def _adam(beta_1: float, beta_2: float, epsilon: float) -> UpdateRule:
    """scikit-learn's Adam."""
    return optimizers.Adam(
        beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, epsilon_hat=True
    ).update_rule()


def check_endless(schedule: Any, followed: Schedule | None) -> None:
    """Raise ``ValueError`` unless a schedule knows its rates without the length of the run.

    ``followed`` is the one that earlier calls have followed, of which the length is known.
    """
    known = None if schedule is None else schedules.get(schedule)
    if known is not None and known != followed and known.needs_length:
        raise ValueError(
            f"schedule {schedule!r} depends on the length of the run, which partial_fit does not "
            "know: give its length to an object of fastmlp.schedules (decay_steps, step_size, "
            "total_steps), or use fit"
        )
