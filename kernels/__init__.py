"""The hot computations of backpropagation, once in each of three backends.

============== ============================================================ ====================
backend        what it is                                                   needs
============== ============================================================ ====================
``reference``  NumPy: the definition, readable as the equations             numpy
``numba``      vector instructions for the host CPU, compiled just in time  numba
``compiled``   C tiles compiled ahead of time, ISA chosen at import         a built extension
============== ============================================================ ====================

All have the same functions with the same signatures; the ones below call the live backend, which
:func:`use_backend` or the environment variable ``FASTMLP_BACKEND`` chooses.

``x`` holds samples in rows, ``weights`` is ``(n_in, n_out)``; arrays are float32 or float64, all of
one call of one dtype, and may be Fortran-ordered, strided, read-only or memory-mapped. ``out``, a
C-contiguous array, receives the result where it is given. ``n_threads`` limits the threads of a
call; results are equal to the bit for any number of them. A wrong type raises ``TypeError``, a
wrong shape or name ``ValueError``, before anything is computed.

Formulas follow M. Nielsen, *Neural Networks and Deep Learning*, chapter 2 (with rows for samples).

The files: ``_layers``, ``_updates``, ``_descent`` are the functions; ``_names``, ``_specs`` names,
constants and layouts, ``_options`` the options of a training run, ``_custom`` what may stand where
a name or weights of rows do, ``_checks`` and ``_array_checks`` checks of arguments, ``_chooser``
the live backend, ``_machine`` the default thread count and the caches, ``_epochs`` several epochs
in one call, ``_plain`` calls on plain rows, ``_typing`` the type of arrays; ``reference/``,
``jit/`` and ``compiled/`` the backends.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _checks, _chooser, _options
from ._architecture import Architecture
from ._array_checks import activation as check_activation
from ._array_checks import output as check_output
from ._array_checks import plain_samples
from ._array_checks import threads as check_threads
from ._chooser import active, available, backend, info, live, use_backend
from ._custom import CustomActivation, CustomLoss, TargetWeights, targets_of_a_row
from ._descent import apply_gradient, dropout_mask, lane_trainer, lanes, shard_trainer
from ._epochs import Halted, Plateau, Shuffle, shuffled, shuffled_each
from ._layers import (
    activate,
    activation_backward,
    bias_gradient,
    delta_backward,
    dense_forward,
    loss_value,
    output_delta,
    weight_gradient,
)
from ._names import (
    ACTIVATION_SPECS,
    ACTIVATIONS,
    LOSS_CONSTANTS,
    LOSS_OUTPUTS,
    LOSS_SPECS,
    LOSSES,
    NEED_SCORES,
    OUTPUTS,
    RULE_CONSTANTS,
    RULE_SPECS,
    UPDATE_RULES,
    ActivationName,
    ActivationSpec,
    LossName,
    LossSpec,
    OutputName,
    RuleSpec,
)
from ._options import TrainingOptions
from ._program import ELEMENTWISE_STEPS, Program, Step
from ._second import (
    activation_bend,
    activation_curvature,
    dense_target,
    gauss_newton,
    output_delta_along,
    output_jacobian_along,
    output_jacobian_product,
    solve_positive,
    solves_systems,
)
from ._specs import (
    CSR,
    Loss,
    UpdateRule,
    activation_spec,
    check_loss,
    loss_spec,
    needs_scores,
)
from ._steps import shard_groups, shard_rows, tree_sum
from ._typing import Array
from ._updates import adam_update, momentum_update, sgd_update, update

if TYPE_CHECKING:
    from .reference import Network as _Network
    from .reference import Trainer as _Trainer

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_SPECS",
    "BACKENDS",
    "CSR",
    "ELEMENTWISE_STEPS",
    "LOSSES",
    "LOSS_CONSTANTS",
    "LOSS_OUTPUTS",
    "LOSS_SPECS",
    "NEED_SCORES",
    "OUTPUTS",
    "RULE_CONSTANTS",
    "RULE_SPECS",
    "UPDATE_RULES",
    "ActivationName",
    "ActivationSpec",
    "Architecture",
    "Array",
    "CustomActivation",
    "CustomLoss",
    "Halted",
    "Loss",
    "LossName",
    "LossSpec",
    "OutputName",
    "Plateau",
    "Program",
    "RuleSpec",
    "Shuffle",
    "Step",
    "TargetWeights",
    "TrainingOptions",
    "UpdateRule",
    "activate",
    "activation_backward",
    "activation_bend",
    "activation_curvature",
    "activation_spec",
    "active",
    "adam_update",
    "apply_gradient",
    "available",
    "backend",
    "bias_gradient",
    "check_activation",
    "check_loss",
    "check_output",
    "check_threads",
    "delta_backward",
    "dense_forward",
    "dense_target",
    "dropout_mask",
    "gauss_newton",
    "info",
    "lane_trainer",
    "lanes",
    "live",
    "loss_spec",
    "loss_value",
    "momentum_update",
    "needs_scores",
    "network",
    "output_delta",
    "output_delta_along",
    "output_jacobian_along",
    "output_jacobian_product",
    "plain_samples",
    "sgd_update",
    "shard_groups",
    "shard_rows",
    "shard_trainer",
    "shuffled",
    "shuffled_each",
    "solve_positive",
    "solves_systems",
    "supports",
    "targets_of_a_row",
    "trainer",
    "tree_sum",
    "update",
    "use_backend",
    "weight_gradient",
]

#: Names of the backends, the preferred one first.
BACKENDS = tuple(_chooser.BACKENDS)
#: What :func:`supports` knows beside the names.
_OPTIONS = (
    *("label_smoothing", "weight_decay", "update", "l1", "dropout", "clip_value", "clip_norm"),
    *("max_norm", "trainable", "track_gradient_norm", "sparse", "learning_rates", "custom"),
)
_FEATURES = frozenset((*ACTIVATIONS, *OUTPUTS, *LOSSES, *UPDATE_RULES, *_OPTIONS))


def supports(feature: str, backend: str | None = None) -> bool:
    """Whether a backend, by default the live one, has a feature: all backends have all of them.

    Parameters
    ----------
    feature : str
        A name of ``ACTIVATIONS``, ``OUTPUTS``, ``LOSSES`` or ``UPDATE_RULES``, or
        ``"label_smoothing"``, ``"weight_decay"``, ``"update"`` (the kernel), ``"l1"``,
        ``"dropout"``, ``"clip_value"``, ``"clip_norm"``, ``"max_norm"``, ``"trainable"``,
        ``"track_gradient_norm"``, ``"sparse"``, ``"learning_rates"``, ``"custom"``.
    backend : {"compiled", "numba", "reference"}, optional

    Returns
    -------
    bool
        ``True``.

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.supports("dropout", "reference")
    True
    """
    if backend is not None and backend not in _chooser.BACKENDS:
        raise ValueError(f"backend must be one of {tuple(_chooser.BACKENDS)}, got {backend!r}")
    if feature not in _FEATURES:
        raise ValueError(f"feature must be one of {sorted(_FEATURES)}, got {feature!r}")
    return True


def network(architecture: Architecture, dtype: Any, *, n_threads: int | None = None) -> _Network:
    """Predictions, losses and gradients of one architecture on the live backend.

    See :class:`fastmlp.kernels.reference.Network`, which every backend's class mirrors.

    Parameters
    ----------
    architecture : Architecture
        Sizes and activations.
    dtype : float32 or float64
        Of parameters, rows and results.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.

    Returns
    -------
    Network
        Its methods take the parameters with every call, as one flat array.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> net = kernels.Architecture((2, 3, 1), ("tanh",), "identity")
    >>> parameters = np.zeros(net.n_parameters)
    >>> kernels.network(net, np.float64).predict(parameters, np.ones((4, 2))).shape
    (4, 1)
    """
    _checks.precision(dtype)
    net: _Network = _chooser.active().Network(architecture, dtype, n_threads=n_threads)
    return net


def trainer(
    architecture: Architecture,
    dtype: Any,
    loss: str | Loss,
    update_rule: UpdateRule,
    options: TrainingOptions | None = None,
    **keywords: Any,
) -> _Trainer:
    """Minibatch descent for one architecture on the live backend.

    See :class:`fastmlp.kernels.reference.Trainer`, which every backend's class mirrors.

    Parameters
    ----------
    architecture : Architecture
        Sizes and activations.
    dtype : float32 or float64
        Of parameters, rows and results.
    loss : str or Loss
        One of ``LOSSES`` that ``LOSS_OUTPUTS`` allows for the network's output.
    update_rule : UpdateRule
        How a gradient changes the parameters.
    options : TrainingOptions, optional
        All that follows in one record; then none of it is given by itself.
    batch_size, l2, l2_over_batch, l1, dropout, seed : optional
        As in :class:`TrainingOptions`; ``batch_size`` is needed.
    clip_value, clip_norm, max_norm, trainable, track_gradient_norm, n_threads : optional
        As in :class:`TrainingOptions`.

    Returns
    -------
    Trainer
        At step 0, with the state of optimizers that have made no step.

    Raises
    ------
    TypeError
        Where options are given both ways, or one has a wrong type.
    ValueError
        Where loss, rule or options do not fit the architecture.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import kernels
    >>> net = kernels.Architecture((2, 3, 1), ("tanh",), "identity")
    >>> rule = kernels.UpdateRule("sgd")
    >>> trainer = kernels.trainer(net, np.float64, "squared_error", rule, batch_size=8)
    >>> trainer.step
    0
    """
    _checks.precision(dtype)
    if options is None:
        options = TrainingOptions(**keywords)
    elif keywords:
        raise TypeError(f"options are given as a record and by keywords: {', '.join(keywords)}")
    result: _Trainer = _chooser.active().Trainer(architecture, dtype, loss, update_rule, options)
    return result


def _spelled_out(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function that takes the training options, with each of them."""
    given = list(inspect.signature(function).parameters.values())
    return inspect.Signature([*given[:-1], *_options.keywords()], return_annotation="Trainer")


trainer.__signature__ = _spelled_out(trainer)  # type: ignore[attr-defined]
