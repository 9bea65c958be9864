"""The options of ``MLP.fit``; those that are passed on to the engine are checked here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._inputs.numbers import count, number

if TYPE_CHECKING:
    from .._network.network import Network


@dataclass(frozen=True)
class Options:
    """What ``MLP.fit`` takes beside data, loss and optimizer, see there."""

    learning_rate: Any
    batch_size: Any
    epochs: int
    shuffle: bool
    validation_data: Any
    sample_weight: Any
    class_weight: Mapping[int, float] | str | None
    label_smoothing: float
    l1: float
    l2: float
    dropout: float | Sequence[float]
    clip_value: float | None
    clip_norm: float | None
    max_norm: float | None
    trainable: bool | Sequence[bool]
    stop: Any
    metrics: Any
    track_gradient_norm: bool
    callbacks: Any
    verbose: int


def batch_size(value: Any) -> int:
    """Rows of a step; "full" has been dealt with."""
    if isinstance(value, str):
        raise ValueError(f"batch_size must be an integer or 'full', got {value!r}")
    return count("batch_size", value, 1)


def collect(network: Network, options: Options) -> dict[str, Any]:
    """Check the options that ``kernels.trainer`` takes; return those that are not its defaults."""
    n_layers = len(network.weights)
    found: dict[str, Any] = {}
    for name in ("l1", "l2"):
        value = number(name, getattr(options, name))
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number, not negative, got {value!r}")
        if value:
            found[name] = value
    shares = _dropout(options.dropout, n_layers)
    if any(shares):
        found["dropout"] = shares
    for name in ("clip_value", "clip_norm", "max_norm"):
        if getattr(options, name) is None:
            continue
        value = number(name, getattr(options, name))
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number above 0 or None, got {value!r}")
        found[name] = value
    if options.trainable is not True:
        found["trainable"] = _trainable(options.trainable, n_layers)
    return found


def _dropout(value: Any, n_layers: int) -> tuple[float, ...]:
    """Probabilities of the input and each hidden layer, from one for all hidden ones or all."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        given: tuple[float, ...] = (number("dropout", value),)
        shares = (0.0, *given * (n_layers - 1))
    else:
        given = shares = tuple(number("dropout", share) for share in value)
    if len(shares) != n_layers:
        raise ValueError(
            f"dropout must be one probability, or {n_layers} for the input and the hidden "
            f"layers, got {len(shares)}"
        )
    if not all(0 <= share < 1 for share in given):
        raise ValueError(f"dropout must be at least 0 and below 1, got {value!r}")
    return shares


def _trainable(value: Any, n_layers: int) -> tuple[bool, ...]:
    learning = tuple(value) if isinstance(value, Iterable) else ()
    if len(learning) != n_layers:
        raise ValueError(
            f"trainable must be True, or a list of {n_layers} bools, one for each layer, "
            f"got {value!r}"
        )
    return tuple(bool(learns) for learns in learning)
