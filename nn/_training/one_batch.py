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
    if (
        X.__class__ is not np.ndarray
        or options.epochs.__class__ is not int
        or options.epochs != 1
        or options.sample_weight is not None
        or not (together.nothing_looks(known, options) and _is_plain(known, options))
        or not kernels.plain_samples(
            network.architecture, network.dtype, X, y, None, *known.plain_targets
        )
        or known.batch_size(len(X)) != size
        or size < len(X)
    ):
        return None
    history, parameters, before = History(), network.parameters, network.parameters.copy()
    generator, order = plan.generator(network, known, options), None
    target = y if y.ndim == 2 or y.dtype.kind == "i" else y.reshape(-1, 1)
    steps.load(parameters)
    if generator is not None:
        order = np.arange(len(target), dtype=np.intp)
        generator.shuffle(order)
    started = time.perf_counter()
    loss = steps.run_epoch(X, target, order, known.learning_rate)
    history.seconds.append(time.perf_counter() - started)
    history.loss.append(loss)
    history.learning_rate.append(known.learning_rate)
    if math.isfinite(loss):
        steps.store(parameters)
    if not (math.isfinite(loss) and np.isfinite(parameters).all()):
        stop_at_last_finite(history, parameters, before)
    history.stop("epochs", "all 1 epochs are done")
    return warned(history)


def _is_plain(known: plan.Settings, options: Options) -> bool:
    """Whether the rows are taken as they are, at one learning rate."""
    return (
        isinstance(known.schedule, schedules.Constant)
        and options.class_weight is None
        and (options.shuffle is True or options.shuffle is False)
    )
