"""A ``fit`` of one step that looks at nothing else, on the engine of the last ``fit``.

Nothing that a run, its hooks and a trainer are made for is needed then; for a few rows all of it
takes several times as long as the step. Numbers are the same to the bit.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels

from .. import schedules
from .._inputs.arrays import all_finite
from ..history import History
from . import plan, together
from .fit import stop_at_last_finite, warned

if TYPE_CHECKING:
    from .._network.network import Network
    from .keeping import Kept
    from .options import Options


def fit(network: Network, X: Any, y: Any, options: Options, kept: Kept) -> History | None:
    """Make the step, or return ``None`` where something asks for more than steps.

    Parameters
    ----------
    network : Network
    X, y : object
        What the user has given.
    options : Options
        Those that ``kept`` was kept for.
    kept : tuple
        Settings, and what makes the steps of some size.

    Returns
    -------
    History or None
    """
    known, steps, size = kept
    parameters = network.parameters
    if (
        X.__class__ is not np.ndarray
        or options.epochs.__class__ is not int
        or options.epochs != 1
        or options.sample_weight is not None
        or not kernels.plain_samples(
            network.architecture, parameters.dtype, X, y, None, *known.plain_targets
        )
        or known.batch_size(len(X)) != size
        or size < len(X)
    ):
        return None
    before, shown = parameters.copy(), parameters.copy()
    generator, x, target = plan.generator(network, known, options), X, y
    steps.load(parameters)
    if generator is not None:
        order = np.arange(len(X))
        generator.shuffle(order)
        x, target = X.take(order, axis=0), y.take(order, axis=0)
    rate, started = known.learning_rate, time.perf_counter()
    loss = steps.run_step(x, target, rate, parameters, shown, None, False, *known.plain_targets)
    seconds = time.perf_counter() - started
    history = History([loss], None, [seconds], None, [rate], "epochs", "all 1 epochs are done")
    if not math.isfinite(loss):
        parameters[...] = before  # as where an epoch has not been finished
        stop_at_last_finite(history, parameters, before)
    elif not all_finite(parameters):
        stop_at_last_finite(history, parameters, before)
    return warned(history)


def fits(known: plan.Settings, options: Options) -> bool:
    """Whether such options ask for nothing but steps on rows as they are, at one learning rate.

    Epochs and weights of rows have no part in the answer.
    """
    return (
        together.nothing_looks(known, options)
        and isinstance(known.schedule, schedules.Constant)
        and options.class_weight is None
        and (options.shuffle is True or options.shuffle is False)
    )
