"""Descents that update rules are compared on, and the rates that schedules give a run."""

from __future__ import annotations

import numpy as np
from fastmlp import kernels, schedules
from fastmlp.history import History
from fastmlp.schedules._rates import Rates

N, STEPS = 23, 50
#: Of a run with a schedule.
EPOCHS, BATCHES = 12, 5


def gradients(rng):
    """Of a long valley, with noise in it: signs change, and sizes differ a thousandfold."""
    scales = np.geomspace(1e-2, 10, N)
    noise = rng.standard_normal((STEPS, N)) * scales * 0.3
    return lambda p, t: scales * p + noise[t - 1]


def descend(rule, learning_rate, p, gradient):
    """50 steps of a rule on the live backend, in float64; parameters after each."""
    p, path = p.copy(), []
    state = rule.initial_state(N, learning_rate, "float64")
    for t in range(1, STEPS + 1):
        kernels.update(rule, p, gradient(p, t), state, t, learning_rate)
        path.append(p.copy())
    return np.array(path)


def rates(schedule, epochs=EPOCHS, steps=BATCHES, learning_rate=0.5):
    """Rates of all updates, ``(epochs, steps)``."""
    run = Rates(learning_rate, schedules.get(schedule), epochs, steps)
    return np.array([np.broadcast_to(run.of_epoch(e), steps) for e in range(epochs)])


def reductions(losses, validation=(), **constants):
    """Rates after epochs with these losses, for one that is reduced on a plateau."""
    run = Rates(1.0, schedules.ReduceOnPlateau(**constants), len(losses), 3)
    history, found = History(), []
    for epoch, loss in enumerate(losses):
        found.append(run.of_epoch(epoch))
        history.loss.append(loss)
        history.validation_loss.extend(validation[epoch : epoch + 1])
        run.epoch_ended(history)
    return found
