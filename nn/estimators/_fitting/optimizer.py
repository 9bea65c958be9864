"""The optimizer of a fit: update rule, learning rate, schedule, and state between calls."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from fastmlp.kernels import UpdateRule, _chooser

from ... import optimizers, schedules
from ..._typing import Array
from ...history import History
from ...schedules._rates import Rates


class StochasticOptimizer:
    """What scikit-learn keeps as ``_optimizer``: its learning rate is that of the last step.

    Attributes
    ----------
    rate : float
        Learning rate of the next epoch, as the engine takes it.
    rule : UpdateRule
    state : (n_slots, n_parameters) array or None
        Velocities or moments after the last call; ``None`` before the first.
    step : int
        Updates so far.
    rows_seen : int
        Rows that the estimator has been trained with so far.
    """

    def __init__(self, estimator: Any) -> None:
        self._power_t = estimator.power_t
        self._schedule = "constant"
        self._planned: Rates | None = None
        if estimator.optimizer is not None:
            chosen = optimizers.get(estimator.optimizer)
            if hasattr(chosen, "method"):  # how it searches, with all rows
                raise ValueError(
                    f"optimizer must go on batch by batch, got {chosen!r}; choose solver='lbfgs' "
                    "for all rows in every step"
                )
            self.rate = float(
                estimator.learning_rate_init
                if isinstance(estimator.optimizer, str)
                else chosen.learning_rate
            )
            self.rule = chosen.update_rule()
        elif estimator.solver == "adam":
            self.rate = float(estimator.learning_rate_init)
            self.rule = optimizers.Adam(
                beta_1=estimator.beta_1,
                beta_2=estimator.beta_2,
                epsilon=estimator.epsilon,
                epsilon_hat=True,
            ).update_rule()
        else:
            self.rate = float(estimator.learning_rate_init)
            self._schedule = estimator.learning_rate
            self.rule = UpdateRule("sgd")
            if estimator.momentum:
                # Not by optimizers.SGD, which refuses the momentum of 1 that is allowed here.
                nesterov = float(estimator.nesterovs_momentum)
                momentum = float(estimator.momentum)
                self.rule = UpdateRule("momentum", {"momentum": momentum, "nesterov": nesterov})
        self._initial_rate = self.rate
        self.state: Array | None = None
        self.step = self.rows_seen = 0
        self._kept: tuple[Any, Any] | None = None

    def trainer(self, make: Callable[..., Any], keep: bool, *args: Any, **options: Any) -> Any:
        """``make(*args, **options)``; with ``keep`` the one of the last call, if they are equal."""
        key = (_chooser.active(), args, options)
        if self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        trainer = make(*args, **options)
        self._kept = (key, trainer) if keep else None
        return trainer

    @property
    def learning_rate(self) -> float:
        """``rate``; of Adam the rate of its last step, bias corrections included."""
        if self.rule.name != "adam" or self.step == 0:
            return self.rate
        beta_1, beta_2 = self.rule.constants["beta_1"], self.rule.constants["beta_2"]
        return self.rate * math.sqrt(1 - beta_2**self.step) / (1 - beta_1**self.step)

    def plan(self, schedule: Any, epochs: int, steps_per_epoch: int) -> None:
        """Follow a schedule of the package in a run of that length."""
        if schedule is not None:
            known = schedules.get(schedule)
            self._planned = Rates(self._initial_rate, known, epochs, steps_per_epoch)

    def of_epoch(self, epoch: int) -> float | Array:
        """Learning rate of an epoch (counted from 0), or one for each of its steps."""
        if self._planned is not None:
            rates = self._planned.of_epoch(epoch)
            self.rate = float(np.ravel(rates)[-1])
            return rates
        return self.rate

    def epoch_ended(self, history: History) -> None:
        """Follow the inverse scaling schedule, ``η₀ / (rows + 1)^power_t``, or the plan."""
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
        return {**self.__dict__, "_kept": None}

    def without_state(self) -> StochasticOptimizer:
        """A copy whose next step is a first one: what small pickles hold."""
        new = copy.copy(self)
        new.state, new.step = None, 0
        return new
