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

The files: ``_specs`` names and layouts, ``_custom`` what may stand where a name does, ``_checks``
argument checks, ``_support`` what a backend does not have, ``_chooser`` the live backend,
``_threads`` the default thread count; ``reference/``, ``jit/`` and ``compiled/`` the backends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks, _chooser, _support
from ._chooser import available, info, use_backend
from ._custom import CustomActivation, CustomLoss
from ._specs import (
    ACTIVATIONS,
    CSR,
    LOSS_CONSTANTS,
    LOSS_OUTPUTS,
    LOSSES,
    NEED_SCORES,
    OUTPUTS,
    RULE_CONSTANTS,
    UPDATE_RULES,
    Architecture,
    Loss,
    UpdateRule,
)

if TYPE_CHECKING:
    from .reference import Network as _Network
    from .reference import Trainer as _Trainer

__all__ = [
    "ACTIVATIONS",
    "CSR",
    "LOSSES",
    "LOSS_CONSTANTS",
    "LOSS_OUTPUTS",
    "NEED_SCORES",
    "OUTPUTS",
    "RULE_CONSTANTS",
    "UPDATE_RULES",
    "Architecture",
    "CustomActivation",
    "CustomLoss",
    "Loss",
    "UpdateRule",
    "activate",
    "activation_backward",
    "adam_update",
    "available",
    "bias_gradient",
    "delta_backward",
    "dense_forward",
    "info",
    "loss_value",
    "momentum_update",
    "network",
    "output_delta",
    "sgd_update",
    "supports",
    "trainer",
    "update",
    "use_backend",
    "weight_gradient",
]

Array = np.ndarray[Any, Any]


def dense_forward(
    x: Array,
    weights: Array,
    bias: Array,
    activation: str = "identity",
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Forward pass of one layer, ``σ(x W + b)``.

    Parameters
    ----------
    x : (n, n_in) array
    weights : (n_in, n_out) array
    bias : (n_out,) array
    activation : str
        One of ``ACTIVATIONS`` or ``OUTPUTS``.
    out : (n, n_out) array, optional
    n_threads : int, optional

    Returns
    -------
    (n, n_out) array
    """
    return _chooser.active().dense_forward(
        x, weights, bias, activation, out=out, n_threads=n_threads
    )


def activate(
    z: Array, activation: str, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    """Apply an activation to scores, ``σ(z)``.

    Parameters
    ----------
    z : (n, n_out) array
    activation : str
        One of ``ACTIVATIONS`` or ``OUTPUTS``; ``"softmax"`` goes over each row.
    out : (n, n_out) array, optional
    n_threads : int, optional

    Returns
    -------
    (n, n_out) array
    """
    return _chooser.active().activate(z, activation, out=out, n_threads=n_threads)


def activation_backward(
    delta: Array,
    activations: Array,
    activation: str,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Hadamard product of an error with the derivative, ``delta ⊙ σ'(z)``.

    Parameters
    ----------
    delta : (n, n_out) array
    activations : (n, n_out) array
        The activation's output ``σ(z)``, from which σ' is computed; for the activations of
        ``NEED_SCORES`` the scores ``z`` themselves.
    activation : str
        One of ``ACTIVATIONS``.
    out : (n, n_out) array, optional
    n_threads : int, optional

    Returns
    -------
    (n, n_out) array
    """
    return _chooser.active().activation_backward(
        delta, activations, activation, out=out, n_threads=n_threads
    )


def output_delta(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    *,
    sample_weight: Array | None = None,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Error of the output layer, ``δ^L = ∂C/∂z`` of each row (not divided by the rows).

    Parameters
    ----------
    scores : (n, n_out) array
        ``z^L``, before the output activation.
    target : (n, n_out) array, or (n,) array of integer class labels
    loss : str or Loss
        One of ``LOSSES``; ``LOSS_OUTPUTS`` says for which outputs each is defined. Formulas are in
        :mod:`fastmlp.kernels.reference.losses`.
    output : str
        Output activation.
    sample_weight : (n,) array, optional
        Factor of each row.
    out : (n, n_out) array, optional
    n_threads : int, optional

    Returns
    -------
    (n, n_out) array
        ``a - y`` for the pairs (cross-entropy, softmax), (binary cross-entropy, sigmoid) and
        (squared error, identity); else ``∇_a C ⊙ σ'(z)``.
    """
    return _chooser.active().output_delta(
        scores,
        target,
        loss,
        output,
        sample_weight=sample_weight,
        out=out,
        n_threads=n_threads,
    )


def loss_value(
    scores: Array,
    target: Array,
    loss: str | Loss,
    output: str,
    *,
    sample_weight: Array | None = None,
    n_threads: int | None = None,
) -> float:
    """Mean loss over the rows, computed from the scores.

    Parameters
    ----------
    scores : (n, n_out) array
        ``z^L``, before the output activation.
    target : (n, n_out) array, or (n,) array of integer class labels
    loss : str or Loss
        One of ``LOSSES``: ``"squared_error"``, for example, is ``½ ‖a - y‖²``, and
        ``"cross_entropy"`` ``Σ y (log Σ exp z - z)``. All formulas are in
        :mod:`fastmlp.kernels.reference.losses`.
    output : str
        Output activation.
    sample_weight : (n,) array, optional
        The result is ``Σ w C / Σ w``, and zero where all weights are.
    n_threads : int, optional

    Returns
    -------
    float
    """
    return _chooser.active().loss_value(
        scores, target, loss, output, sample_weight=sample_weight, n_threads=n_threads
    )


def delta_backward(
    delta: Array,
    weights: Array,
    activations: Array,
    activation: str,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Error of a hidden layer, ``(δ^(l+1) (W^(l+1))ᵀ) ⊙ σ'(z^l)``.

    Parameters
    ----------
    delta : (n, n_out) array
        Error of the layer above.
    weights : (n_in, n_out) array
        Weights of the layer above.
    activations : (n, n_in) array
        Output ``a^l`` of this layer; its scores ``z^l`` for the activations of ``NEED_SCORES``.
    activation : str
        Activation of this layer, one of ``ACTIVATIONS``.
    out : (n, n_in) array, optional
    n_threads : int, optional

    Returns
    -------
    (n, n_in) array
    """
    return _chooser.active().delta_backward(
        delta, weights, activations, activation, out=out, n_threads=n_threads
    )


def weight_gradient(
    x: Array, delta: Array, *, out: Array | None = None, n_threads: int | None = None
) -> Array:
    """Gradient of a weight matrix, the mean outer product ``xᵀ δ / n`` (zero for no rows).

    Parameters
    ----------
    x : (n, n_in) array
        Input of the layer.
    delta : (n, n_out) array
        Error of the layer.
    out : (n_in, n_out) array, optional
    n_threads : int, optional

    Returns
    -------
    (n_in, n_out) array
    """
    return _chooser.active().weight_gradient(x, delta, out=out, n_threads=n_threads)


def bias_gradient(delta: Array, *, out: Array | None = None, n_threads: int | None = None) -> Array:
    """Gradient of a bias, the mean ``Σ δ / n`` over rows (zero for no rows).

    Parameters
    ----------
    delta : (n, n_out) array
        Error of the layer.
    out : (n_out,) array, optional
    n_threads : int, optional

    Returns
    -------
    (n_out,) array
    """
    return _chooser.active().bias_gradient(delta, out=out, n_threads=n_threads)


def sgd_update(
    parameters: Array,
    gradient: Array,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    """One step of gradient descent in place, ``p ← p - η g``.

    Parameters
    ----------
    parameters, gradient : (n,) arrays
    learning_rate : float
    n_threads : int, optional
    """
    _chooser.active().sgd_update(parameters, gradient, learning_rate, n_threads=n_threads)


def momentum_update(
    parameters: Array,
    gradient: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    nesterov: bool = False,
    *,
    n_threads: int | None = None,
) -> None:
    """One step of gradient descent with momentum in place.

    ``v ← μ v - η g``, then ``p ← p + v``, or with ``nesterov`` ``p ← p + μ v - η g`` (Sutskever,
    Martens, Dahl and Hinton, 2013, in the form of scikit-learn and Keras).

    Parameters
    ----------
    parameters, gradient, velocity : (n,) arrays
    learning_rate, momentum : float
    nesterov : bool
    n_threads : int, optional
    """
    _chooser.active().momentum_update(
        parameters, gradient, velocity, learning_rate, momentum, nesterov, n_threads=n_threads
    )


def adam_update(
    parameters: Array,
    gradient: Array,
    first_moment: Array,
    second_moment: Array,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    epsilon_hat: bool = False,
    *,
    n_threads: int | None = None,
) -> None:
    """One step of Adam in place (Kingma and Ba, 2015, algorithm 1).

    ``m ← β₁ m + (1 - β₁) g``, ``v ← β₂ v + (1 - β₂) g²``,
    ``p ← p - η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)``.

    Parameters
    ----------
    parameters, gradient, first_moment, second_moment : (n,) arrays
    step : int
        ``t``, 1 for the first step.
    learning_rate, beta_1, beta_2, epsilon : float
    epsilon_hat : bool
        Add epsilon before the bias correction, ``p ← p - η √(1 - β₂ᵗ)/(1 - β₁ᵗ) m / (√v + ε)``, the
        variant at the end of the paper's section 2 that scikit-learn and Keras use.
    n_threads : int, optional
    """
    _chooser.active().adam_update(
        parameters,
        gradient,
        first_moment,
        second_moment,
        step,
        learning_rate,
        beta_1,
        beta_2,
        epsilon,
        epsilon_hat,
        n_threads=n_threads,
    )


def update(
    rule: UpdateRule,
    parameters: Array,
    gradient: Array,
    state: Array,
    step: int,
    learning_rate: float,
    *,
    n_threads: int | None = None,
) -> None:
    """One step of any update rule in place.

    Parameters
    ----------
    rule : UpdateRule
        Formulas and their sources are in :mod:`fastmlp.kernels.reference.update_rules`.
    parameters, gradient : (n,) arrays
    state : (len(rule.slots), n) array
        Before the first step ``rule.initial_state(n, learning_rate, dtype)``.
    step : int
        1 for the first step.
    learning_rate : float
    n_threads : int, optional
    """
    _chooser.active().update(
        rule, parameters, gradient, state, step, learning_rate, n_threads=n_threads
    )


def supports(feature: str, backend: str | None = None) -> bool:
    """Whether a backend, by default the live one, has a feature.

    Parameters
    ----------
    feature : str
        A name of ``ACTIVATIONS``, ``OUTPUTS``, ``LOSSES`` or ``UPDATE_RULES``, or
        ``"label_smoothing"``, ``"weight_decay"``, ``"update"`` (the kernel), ``"l1"``,
        ``"dropout"``, ``"clip_value"``, ``"clip_norm"``, ``"max_norm"``, ``"trainable"``,
        ``"track_gradient_norm"``, ``"sparse"``, ``"learning_rates"``, ``"custom"``.
    backend : {"compiled", "numba", "reference"}, optional

    Raises
    ------
    ValueError
        For an unknown name.
    """
    return _support.supports(feature, _chooser.active_name() if backend is None else backend)


def network(architecture: Architecture, dtype: Any, *, n_threads: int | None = None) -> _Network:
    """Predictions, losses and gradients of one architecture on the live backend.

    See :class:`fastmlp.kernels.reference.Network`, which every backend's class mirrors.
    """
    _checks.precision(dtype)
    net: _Network = _chooser.active().Network(architecture, dtype, n_threads=n_threads)
    return net


def trainer(
    architecture: Architecture,
    dtype: Any,
    loss: str | Loss,
    update_rule: UpdateRule,
    *,
    batch_size: int,
    l2: float = 0.0,
    l2_over_batch: bool = False,
    l1: float = 0.0,
    dropout: Sequence[float] = (),
    seed: int = 0,
    clip_value: float | None = None,
    clip_norm: float | None = None,
    max_norm: float | None = None,
    trainable: Sequence[bool] = (),
    track_gradient_norm: bool = False,
    n_threads: int | None = None,
) -> _Trainer:
    """Minibatch descent for one architecture on the live backend.

    See :class:`fastmlp.kernels.reference.Trainer`, which every backend's class mirrors.
    """
    _checks.precision(dtype)
    result: _Trainer = _chooser.active().Trainer(
        architecture,
        dtype,
        loss,
        update_rule,
        batch_size=batch_size,
        l2=l2,
        l2_over_batch=l2_over_batch,
        l1=l1,
        dropout=dropout,
        seed=seed,
        clip_value=clip_value,
        clip_norm=clip_norm,
        max_norm=max_norm,
        trainable=trainable,
        track_gradient_norm=track_gradient_norm,
        n_threads=n_threads,
    )
    return result
