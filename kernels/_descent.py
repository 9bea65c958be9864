"""Less and more than the steps of one network: parts of a step, and several networks at once.

A trainer makes whole steps, faster than their parts, which are for those who have the gradient
themselves: summed over processes, or over parts of a batch. All is done by the live backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _checks, _chooser
from ._architecture import Architecture
from ._options import TrainingOptions
from ._specs import Loss, UpdateRule
from ._typing import Array
from ._updates import update

if TYPE_CHECKING:
    from .reference import LaneTrainer, ShardTrainer


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


def lanes(
    architecture: Architecture,
    dtype: Any,
    loss: str | Loss,
    update_rule: UpdateRule,
    options: TrainingOptions,
) -> int:
    """Say how many networks the live backend trains side by side; 1 where it trains each alone.

    The compiled backend puts one network into each lane of its vectors, with any named activation
    and loss and all update rules but Nadam and Ftrl, where a step takes at most 256 rows of float32
    (128 of float64) and the options add nothing to it: no penalties, dropout, clipping or frozen
    layers.

    Parameters
    ----------
    architecture : Architecture
        Layers of each network.
    dtype : float32 or float64
        Type of their numbers.
    loss : str or Loss
        Loss of a row.
    update_rule : UpdateRule
        How a gradient changes the parameters.
    options : TrainingOptions
        The options of their steps.

    Returns
    -------
    int
        The most networks of a :func:`lane_trainer` that makes their steps together.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> net = kernels.Architecture((4, 8, 3), ("relu",), "softmax")
    >>> options = kernels.TrainingOptions(batch_size=16)
    >>> rule = kernels.UpdateRule("sgd")
    >>> with kernels.use_backend("reference"):
    ...     print(kernels.lanes(net, "float32", "cross_entropy", rule, options))
    1
    """
    found: int = _chooser.active().lanes(architecture, dtype, loss, update_rule, options)
    return found


def lane_trainer(
    architecture: Architecture,
    dtype: Any,
    loss: str | Loss,
    update_rule: UpdateRule,
    options: TrainingOptions,
    count: int,
) -> LaneTrainer:
    """Make a trainer of several networks of one architecture that make the same steps.

    See :class:`fastmlp.kernels.reference.LaneTrainer`, which every backend's class mirrors.

    Parameters
    ----------
    architecture : Architecture
        Layers of each network.
    dtype : float32 or float64
        Type of their numbers.
    loss : str or Loss
        Loss of a row.
    update_rule : UpdateRule
        How a gradient changes the parameters.
    options : TrainingOptions
        The options of their steps.
    count : int
        How many networks: at most what :func:`lanes` says, where that is above 1.

    Returns
    -------
    LaneTrainer
        With ``load``, ``store``, ``run_epochs``, ``step`` and ``halt``.

    Raises
    ------
    ValueError
        Where so many cannot be side by side with these options.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> net = kernels.Architecture((1, 1), (), "identity")
    >>> options, rule = kernels.TrainingOptions(batch_size=4), kernels.UpdateRule("sgd")
    >>> both = kernels.lane_trainer(net, "float64", "squared_error", rule, options, 2)
    >>> for i in range(2):
    ...     both.load(i, np.zeros(2))
    >>> x, rates = np.ones((4, 1)), [np.full(3, 0.1), np.full(3, 0.2)]
    >>> both.run_epochs([x, x], [x, x], [None, None], rates).shape
    (2, 3)
    """
    _checks.precision(dtype)
    result: LaneTrainer = _chooser.active().LaneTrainer(
        architecture, dtype, loss, update_rule, options, count
    )
    return result


def shard_trainer(
    architecture: Architecture,
    dtype: Any,
    loss: str | Loss,
    update_rule: UpdateRule,
    options: TrainingOptions,
) -> ShardTrainer:
    """Make a trainer whose steps several processes share.

    Parameters
    ----------
    architecture : Architecture
        Layers and activations.
    dtype : float32 or float64
        Type of the parameters.
    loss : str or Loss
        Loss of a row.
    update_rule : UpdateRule
        How a gradient changes the parameters.
    options : TrainingOptions
        ``batch_size`` are the rows of one call of ``differentiate`` at most.

    Returns
    -------
    ShardTrainer
        See :class:`fastmlp.kernels.reference.ShardTrainer`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> net = kernels.Architecture((2, 3, 1), ("tanh",), "identity")
    >>> options = kernels.TrainingOptions(batch_size=8)
    >>> rule = kernels.UpdateRule("sgd")
    >>> trainer = kernels.shard_trainer(net, np.float64, "squared_error", rule, options)
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> trainer.differentiate(x, y, [0, 4, 8], total=8.0).tolist()
    [0.25, 0.25]
    >>> trainer.descend(0.1, total=8.0), trainer.step
    (0.0, 1)
    """
    _checks.precision(dtype)
    found: ShardTrainer = _chooser.active().ShardTrainer(
        architecture, dtype, loss, update_rule, options
    )
    return found
