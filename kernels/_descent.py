"""Parts of a training step for those who have the gradient themselves, on the live backend.

A trainer makes whole steps, faster. These are for gradients that come from elsewhere: summed over
processes, or over parts of a batch.
"""

from __future__ import annotations

from ._architecture import Architecture
from ._options import TrainingOptions
from ._specs import UpdateRule
from ._typing import Array
from ._updates import update


def dropout_mask(
    n: int, width: int, probability: float, seed: int, step: int, layer: int, *, first_row: int = 0
) -> Array:
    """Which units a trainer keeps in a step, ``(n, width)`` of bool.

    Parameters
    ----------
    n, width : int
        Rows and units.
    probability : float
        Of dropping a unit.
    seed : int
        ``TrainingOptions.seed``.
    step : int
        1 for the first step.
    layer : int
        0 for the input, 1 for the first hidden layer.
    first_row : int
        Place in the batch of the first row.

    Returns
    -------
    (n, width) array of bool
        True for the units that are kept.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> whole = kernels.dropout_mask(8, 3, 0.5, seed=0, step=1, layer=0)
    >>> part = kernels.dropout_mask(4, 3, 0.5, seed=0, step=1, layer=0, first_row=4)
    >>> bool((whole[4:] == part).all())
    True
    """
    from .reference import philox

    return philox.kept(n, width, probability, seed, step, layer, first_row)


def apply_gradient(
    architecture: Architecture,
    rule: UpdateRule,
    options: TrainingOptions,
    parameters: Array,
    gradient: Array,
    state: Array,
    step: int,
    learning_rate: float,
    total_weight: float = 1.0,
) -> tuple[float, float | None]:
    """What a trainer does with the gradient of a batch's loss: penalties, clipping, the update.

    Parameters
    ----------
    architecture : Architecture
        Says which parameters are weights, and of which layer.
    rule : UpdateRule
        How the gradient changes the parameters.
    options : TrainingOptions
        ``batch_size``, ``dropout`` and ``seed`` are not looked at.
    parameters, gradient : (n_parameters,) arrays
        Both are changed.
    state : (len(rule.slots), n_parameters) array
        Moments and the like, changed in place.
    step : int
        1 for the first.
    learning_rate : float
        Step size ``η`` of this step.
    total_weight : float
        Rows of the batch, or their weight, where ``l2_over_batch`` divides the penalty by it.

    Returns
    -------
    penalty : float
        As it was before the update.
    norm : float or None
        Length of the gradient before clipping, where the options ask for it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> net = kernels.Architecture((2, 1), (), "identity")
    >>> options = kernels.TrainingOptions(batch_size=1, clip_norm=1.0)
    >>> p, g, rule = np.zeros(3), np.array([3.0, 0.0, 4.0]), kernels.UpdateRule("sgd")
    >>> kernels.apply_gradient(net, rule, options, p, g, np.zeros((0, 3)), 1, 1.0)
    (0.0, 5.0)
    >>> p.round(3).tolist()
    [-0.6, 0.0, -0.8]
    """
    from .reference import regularisation
    from .reference.trainer import updated

    share = 1.0
    if options.l2_over_batch:
        share = 1 / total_weight if total_weight else 0.0
    penalty = regularisation.penalise(
        architecture, parameters, gradient, options.l2 * share, options.l1 * share
    )
    norm = updated(architecture, options, parameters, gradient, state, lambda p, g, s: update(
        rule, p.reshape(-1), g.reshape(-1), tuple(a.reshape(-1) for a in s), step, learning_rate,
        n_threads=options.n_threads,
    ))  # fmt: skip
    return penalty, norm
