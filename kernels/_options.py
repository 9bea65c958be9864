"""The options of a training run: one record, checked once, which every engine takes."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from ._architecture import Architecture
from ._array_checks import threads

#: Rows of a step beyond which no memory is laid out: sizes in bytes stay below 2**63.
MOST_ROWS = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a :func:`fastmlp.kernels.trainer` descends, beside its loss and update rule.

    Whatever is given is checked and converted here; a wrong type raises ``TypeError``, a wrong
    value ``ValueError``.

    Parameters
    ----------
    batch_size : int
        Rows of a step, at most 2³¹ - 1; the last step of an epoch takes what is left.
    l2 : float
        Weight of the penalty ``½ l2 Σ W²`` (biases are not penalised).
    l2_over_batch : bool
        Divide the penalty by the batch's rows (or total row weight), as scikit-learn does.
    l1 : float
        Weight of the penalty ``l1 Σ |W|``.
    dropout : tuple of float
        Probabilities of dropping a unit, of the input and of each hidden layer; ``()`` is none.
    seed : int
        Seed of dropout: the dropped units are a function of the seed and the step number only.
    clip_value : float, optional
        Every element of the gradient, with its penalty, is clipped to ``±clip_value``.
    clip_norm : float, optional
        Then a gradient longer than this (over all trainable layers) is scaled down to it.
    max_norm : float, optional
        After each update, columns of weights longer than this are scaled down to it.
    trainable : tuple of bool
        For each layer whether it learns; ``()`` is all. A frozen one keeps its parameters and state
        bit for bit, and counts in no gradient norm (in the penalty of the loss it does).
    track_gradient_norm : bool
        Compute ``gradient_norm`` also where nothing is clipped.
    n_threads : int, optional
        Limit of the threads; ``None`` is the default thread count.
    """

    batch_size: int
    l2: float = 0.0
    l2_over_batch: bool = False
    l1: float = 0.0
    dropout: Sequence[float] = ()
    seed: int = 0
    clip_value: float | None = None
    clip_norm: float | None = None
    max_norm: float | None = None
    trainable: Sequence[bool] = ()
    track_gradient_norm: bool = False
    n_threads: int | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("batch_size", _batch_size(self.batch_size))
        for name in ("l2", "l1"):
            put(name, penalty(name, getattr(self, name)))
        put("dropout", tuple(_number("dropout", share) for share in self.dropout))
        if not all(0 <= share < 1 for share in self.dropout):
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        put("seed", _integer("seed", self.seed))
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must lie in 0…2**64 - 1, got {self.seed}")
        for name in ("clip_value", "clip_norm", "max_norm"):
            put(name, _limit(name, getattr(self, name)))
        put("trainable", tuple(bool(learns) for learns in self.trainable))
        for name in ("l2_over_batch", "track_gradient_norm"):
            put(name, bool(getattr(self, name)))
        threads(self.n_threads)

    @property
    def with_norm(self) -> bool:
        """Whether the length of each step's gradient is computed."""
        return self.track_gradient_norm or self.clip_norm is not None

    def check_layers(self, architecture: Architecture) -> None:
        """Raise ``ValueError`` where options of layers are not those of that many layers.

        Parameters
        ----------
        architecture : Architecture
            Of the network to be trained.

        Raises
        ------
        ValueError
            Where ``dropout`` or ``trainable`` has another number of layers.
        """
        layers = len(architecture.sizes) - 1
        if len(self.dropout) not in (0, layers):
            raise ValueError(
                f"dropout must hold {layers} probabilities, of the input and of each hidden layer, "
                f"got {len(self.dropout)}"
            )
        if len(self.trainable) not in (0, layers):
            raise ValueError(
                f"trainable must hold one bool per layer ({layers}), got {len(self.trainable)}"
            )


def keywords() -> list[inspect.Parameter]:
    """The options as parameters of a function that takes them by keyword."""
    return [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if option.default is MISSING else option.default,
            annotation=option.type,
        )
        for option in fields(TrainingOptions)
    ]


def penalty(name: str, value: Any) -> float:
    """Check the weight of a penalty: a finite number, not negative."""
    number = _number(name, value)
    if not (number >= 0 and math.isfinite(number)):
        raise ValueError(f"{name} must be a finite number, not negative, got {value!r}")
    return number


def _limit(name: str, value: Any) -> float | None:
    """Check a limit that may be absent: a finite number above 0."""
    if value is None:
        return None
    number = _number(name, value)
    if not (number > 0 and math.isfinite(number)):
        raise ValueError(f"{name} must be a finite number above 0 or None, got {value!r}")
    return number


def _batch_size(value: Any) -> int:
    rows = _integer("batch_size", value)
    if rows < 1:
        raise ValueError(f"batch_size must be at least 1, got {rows}")
    if rows > MOST_ROWS:
        raise ValueError(f"batch_size must be at most 2**31 - 1, got {rows}")
    return rows


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} must be an integer, got the {type(value).__name__} {value!r}")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a finite number, got one above 1e308") from None
