"""The options of ``MLP.fit``; those that are passed on to the engine are checked here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp.kernels import TrainingOptions

from .._inputs.numbers import count, number

if TYPE_CHECKING:
    from .. import callbacks as _callbacks
    from .._cluster.cluster import Cluster
    from .._network.network import Network


@dataclass(kw_only=True)
class Options:
    """What ``MLP.fit`` takes beside data, loss and optimizer, with its defaults; see there."""

    learning_rate: Any = None
    batch_size: Any = 32
    epochs: int = 10
    shuffle: bool | str = True
    validation_data: Any = None
    sample_weight: Any = None
    class_weight: Mapping[int, float] | str | None = None
    label_smoothing: float = 0.0
    missing_targets: str = "error"
    l1: float = 0.0
    l2: float = 0.0
    dropout: float | Sequence[float] = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    max_norm: float | None = None
    trainable: bool | Sequence[bool] = True
    stop: Any = None
    metrics: Any = ()
    track_gradient_norm: bool = False
    callbacks: Any = ()
    verbose: int = 0
    comm: Any = None
    shards: int = 8
    partitioned: bool = False


#: Options that a trainer has been made with; a ``fit`` that goes on with it gives the others.
KEPT_BY_TRAINERS = (
    *("learning_rate", "batch_size", "shuffle", "label_smoothing", "l1", "l2", "dropout"),
    "missing_targets",
    *("clip_value", "clip_norm", "max_norm", "trainable", "stop", "track_gradient_norm"),
    *("comm", "shards", "partitioned"),
)


def batch_size(value: Any) -> Any:
    """Rows of a step; "full" has been dealt with, and the engine's options check what is left."""
    if isinstance(value, str):
        raise ValueError(f"batch_size must be an integer or 'full', got {value!r}")
    # More rows than there can be are all of them.
    return min(value, 2**31 - 1) if isinstance(value, (int, np.integer)) and value > 1 else value


def collect(
    network: Network, options: Options, batch_size: Any, *, with_norm: bool
) -> TrainingOptions:
    """Options of ``fit`` as those of the engine, which checks them."""
    n_layers = len(network.architecture.sizes) - 1
    return TrainingOptions(
        batch_size=batch_size,
        l2=options.l2,
        l1=options.l1,
        dropout=_dropout(options.dropout, n_layers),
        clip_value=options.clip_value,
        clip_norm=options.clip_norm,
        max_norm=options.max_norm,
        trainable=learning_layers(options.trainable, n_layers),
        track_gradient_norm=with_norm,
        n_threads=network.n_threads,
    )


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
    # One probability is checked even where there is no hidden layer to drop units of.
    if not all(0 <= share < 1 for share in given):
        raise ValueError(f"dropout must be at least 0 and below 1, got {value!r}")
    return shares if any(shares) else ()


def learning_layers(value: Any, n_layers: int) -> tuple[bool, ...]:
    """Which layers learn, from ``trainable``; none at all stands for all of them."""
    if value is True:
        return ()
    learning = tuple(value) if isinstance(value, Iterable) else ()
    if len(learning) != n_layers:
        raise ValueError(
            f"trainable must be True, or a list of {n_layers} bools, one for each layer, "
            f"got {value!r}"
        )
    return tuple(bool(learns) for learns in learning)


def listeners(options: Options, cluster: Cluster | None, epochs: int) -> list[_callbacks.Callback]:
    """The callbacks, progress first; of several ranks only those of rank 0."""
    if cluster is not None and not cluster.leads:
        return []
    from .. import callbacks as _callbacks

    found = _callbacks.as_callbacks(() if options.callbacks is None else options.callbacks)
    if count("verbose", options.verbose, 0):
        found.insert(0, _callbacks.progress(epochs, options.verbose))
    return found
