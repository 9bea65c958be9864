"""What losses, update rules and activations are called, and what is known of each.

Everything here is plain data shared by the three backends; no arithmetic happens in this file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._custom_activation import CustomActivation
from ._names import (
    ACTIVATION_SPECS,
    CUSTOM_LOSS,
    LOSS_CONSTANTS,
    LOSS_SPECS,
    LOSSES,
    OUTPUTS,
    RULE_SPECS,
    ActivationSpec,
    LossSpec,
)
from ._typing import Array


@dataclass(frozen=True)
class _Named:
    """A name and its constants; those that are not given have their defaults."""

    name: str
    constants: Mapping[str, float] = field(default_factory=dict)

    def _complete(self, what: str, defaults: Mapping[str, float]) -> None:
        """Fill in defaults; raise ``ValueError`` for a constant that is unknown or not finite."""
        for name, value in self.constants.items():
            if name not in defaults:
                raise ValueError(
                    f"{what} {self.name!r} has the constants {tuple(defaults)}, got {name!r}"
                )
            if not math.isfinite(value):
                raise ValueError(f"{name} of {what} {self.name!r} must be finite, got {value!r}")
        given = {name: float(value) for name, value in self.constants.items()}
        object.__setattr__(self, "constants", {**defaults, **given})

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.constants.items())))


@dataclass(frozen=True)
class Loss(_Named):
    """A loss: a name of :data:`LOSSES` and its constants, see :data:`LOSS_CONSTANTS`.

    ========================  ==================================================================
    ``huber``                 ``delta > 0``, the error above which the loss is linear, not quadratic
    ``quantile``              ``quantile`` between 0 and 1, both excluded
    ``binary_cross_entropy``  ``label_smoothing = s`` in ``0 ≤ s < 1``: ``y ← y (1 - s) + s / 2``
    ``cross_entropy``         ``label_smoothing = s``: ``y ← y (1 - s) + s / K Σ y``, K outputs
    ========================  ==================================================================

    Parameters
    ----------
    name : str
        One of ``LOSSES``.
    constants : mapping of str to float, optional
        Those that differ from the defaults.
    """

    def __post_init__(self) -> None:
        if self.name not in LOSSES:
            raise ValueError(f"loss must be one of {LOSSES}, got {self.name!r}")
        self._complete("loss", LOSS_CONSTANTS.get(self.name, {}))
        for name, known in LOSS_SPECS[self.name].constants.items():
            if not known.holds(self.constants[name]):
                raise ValueError(f"{name} must {known.must}, got {self.constants[name]!r}")

    __hash__ = _Named.__hash__

    @staticmethod
    def of(loss: Any) -> Loss:
        """A loss itself, or the one of that name with the default constants.

        Parameters
        ----------
        loss : str or Loss
            A name or an object.

        Returns
        -------
        Loss
            With all constants.

        Raises
        ------
        ValueError
            For anything else.
        """
        if isinstance(loss, Loss):
            return loss
        if not isinstance(loss, str) or loss not in _PLAIN_LOSSES:
            raise ValueError(f"loss must be one of {LOSSES}, got {loss!r}")
        return _PLAIN_LOSSES[loss]


_PLAIN_LOSSES = {name: Loss(name) for name in LOSSES}


@dataclass(frozen=True)
class UpdateRule(_Named):
    """How a gradient changes the parameters: a name of :data:`UPDATE_RULES` and its constants.

    The constants and their defaults are in :data:`RULE_CONSTANTS`; switches (``nesterov``,
    ``centered``, ``epsilon_hat``) are 0 or 1. All rules have ``weight_decay``: with ``λ`` above 0
    every parameter is multiplied by ``1 - η λ`` before its update (Loshchilov and Hutter, 2019).

    Parameters
    ----------
    name : str
        One of ``UPDATE_RULES``.
    constants : mapping of str to float, optional
        Those that differ from the defaults.
    """

    def __post_init__(self) -> None:
        if self.name not in RULE_SPECS:
            raise ValueError(f"update rule must be one of {tuple(RULE_SPECS)}, got {self.name!r}")
        self._complete("update rule", {**RULE_SPECS[self.name].constants, "weight_decay": 0.0})

    __hash__ = _Named.__hash__

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the state vectors; optimizer state has shape ``(len(slots), n_parameters)``."""
        return tuple(RULE_SPECS[self.name].slots)

    def initial_value(self, slot: str, learning_rate: float = 0.0) -> float:
        """What every element of a state vector starts at.

        Parameters
        ----------
        slot : str
            Name of a state vector, one of the rule's slots.
        learning_rate : float, default 0
            The first step's.

        Returns
        -------
        float
            0 for most.
        """
        start = RULE_SPECS[self.name].slots[slot]
        if isinstance(start, str):
            return learning_rate if start == "learning_rate" else self.constants[start]
        return start

    def initial_state(self, n: int, learning_rate: float, dtype: Any) -> Array:
        """State before the first step, shape ``(len(slots), n)``.

        Rprop's ``step_size`` starts at the learning rate. A step size of 0 stands for the learning
        rate of the step in which it is met, so it may be left open here with ``learning_rate=0``.

        Parameters
        ----------
        n : int
            Number of parameters.
        learning_rate : float
            The first step's.
        dtype : float32 or float64
            Of the parameters.

        Returns
        -------
        (len(slots), n) array
            One state vector in each row.
        """
        state = np.empty((len(self.slots), n), dtype)
        for vector, slot in zip(state, self.slots, strict=True):
            vector[...] = self.initial_value(slot, learning_rate)
        return state


@dataclass(frozen=True, eq=False)
class CSR:
    """Rows in compressed sparse form.

    Row ``i`` has ``data[indptr[i]:indptr[i + 1]]`` in the columns
    ``indices[indptr[i]:indptr[i + 1]]``, and zeros elsewhere.

    Parameters
    ----------
    data : (nnz,) array
        Of the network's dtype.
    indices : (nnz,) array of int32 or int64
        Columns, in any order within a row; values of one column in one row add up.
    indptr : (n + 1,) array of int32 or int64
        Where each row begins in ``data``, and where the last one ends.
    shape : (int, int)
        Rows and columns.
    """

    data: Array
    indices: Array
    indptr: Array
    shape: tuple[int, int]

    def __len__(self) -> int:
        return int(self.shape[0])


def loss_spec(loss: str | Loss) -> LossSpec:
    """What is known of a loss: a name, or an object with its constants.

    Parameters
    ----------
    loss : str or Loss
        A name or an object.

    Returns
    -------
    LossSpec
        What outputs and targets it is defined for, and its constants.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.loss_spec("huber").outputs
    ('identity', 'sigmoid', 'softmax', 'exp')
    """
    # A plain name is by far the most frequent, in calls that take microseconds.
    name = loss if loss.__class__ is str and loss in LOSS_SPECS else Loss.of(loss).name
    return LOSS_SPECS.get(name, CUSTOM_LOSS)


def activation_spec(activation: str | CustomActivation) -> ActivationSpec:
    """What is known of an activation: a name, or one that a user has defined.

    Parameters
    ----------
    activation : str or CustomActivation
        A name or an object.

    Returns
    -------
    ActivationSpec
        Which layers may have it, and what its derivative is computed from.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.activation_spec("tanh").keeps
    'output'
    """
    return ACTIVATION_SPECS[activation] if isinstance(activation, str) else _CUSTOM_ACTIVATION


_CUSTOM_ACTIVATION = ActivationSpec(keeps="pre-activation")


def check_loss(loss: str | Loss, output: str, n_out: int | None = None) -> None:
    """Raise ``ValueError`` unless ``loss`` is defined for networks with this output layer.

    Parameters
    ----------
    loss : str or Loss
        A name or an object.
    output : str
        Output activation of the network.
    n_out : int, optional
        Outputs of the network; ``None`` leaves them out of the question.

    Raises
    ------
    ValueError
        Where the loss is not defined for them.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.check_loss("cross_entropy", "softmax", n_out=3)
    """
    spec = loss_spec(loss)
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {OUTPUTS}, got {output!r}")
    if output not in spec.outputs:
        allowed = " or ".join(map(repr, spec.outputs))
        raise ValueError(f"loss {Loss.of(loss).name!r} needs output {allowed}, got {output!r}")
    if spec.for_one_output and n_out is not None and n_out < 2:
        raise ValueError(
            f"loss {Loss.of(loss).name!r} needs at least 2 outputs, got {n_out}; "
            f"use {spec.for_one_output!r}"
        )


def needs_scores(activation: str | CustomActivation) -> bool:
    """Whether σ' is computed from the pre-activations, not from the activation's output.

    Parameters
    ----------
    activation : str or CustomActivation
        A name or an object.

    Returns
    -------
    bool
        True for those of ``NEED_SCORES``, and for custom ones.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.needs_scores("silu"), kernels.needs_scores("tanh")
    (True, False)
    """
    return activation_spec(activation).keeps == "pre-activation"


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether the kernels compute in this dtype (float32 or float64, native byte order)."""
    return dtype.kind == "f" and dtype.itemsize in (4, 8) and dtype.isnative


def precision(dtype: Any) -> None:
    """Check the type that a network computes in."""
    if not is_float(np.dtype(dtype)):
        raise TypeError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
