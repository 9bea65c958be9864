"""What ranks compare before they train together, and what they take from rank 0."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR, TargetWeights

from .._network.batch import Batch
from .._streams.stream import StreamBatch
from .cluster import fingerprint

if TYPE_CHECKING:
    from .._network.network import Network
    from .._training.options import Options
    from .._training.plan import Settings

T = TypeVar("T")


def words(
    network: Network, known: Settings, batch: Batch | StreamBatch, options: Options
) -> list[str]:
    """Network, options and rows in words that are equal where these are."""
    engine = dataclasses.asdict(dataclasses.replace(known.engine, n_threads=None))
    given: dict[str, Any] = {"loss": known.loss, "optimizer": known.rule, "stop": known.stop}
    given |= {"learning_rate": known.learning_rate, "schedule": known.schedule, **engine}
    given |= {"full steps": known.full, "metrics": options.metrics, "epochs": options.epochs}
    given |= {"shuffle": options.shuffle, "class_weight": options.class_weight}
    given |= {"partitioned": options.partitioned}
    given |= {"backend": kernels.info()["backend"]}
    common, watched = not options.partitioned, options.validation_data
    return [
        f"the network {network!r}",
        *(without_addresses(f"{name}={value!r}") for name, value in given.items()),
        f"the rows {of_rows(batch) if common else _kind_of_rows(batch)}",
        f"the validation data {_of_validation(watched) if common else watched is not None}",
    ]


def begin(network: Network, known: Settings) -> None:
    """Take parameters and the generator's position from rank 0."""
    if known.cluster is not None:
        state = network._generator.bit_generator.state
        first = known.cluster.of_first((network.parameters, state))
        network.parameters[...], network._generator.bit_generator.state = first


def carry_out(network: Network, known: Settings, train: Callable[[], T]) -> T:
    """Train; what raises in one rank ends all, and in the end all have what rank 0 has."""
    if known.cluster is None:
        return train()
    with known.cluster.guard():
        result = train()
        network.parameters[...] = known.cluster.of_first(network.parameters)
    return result


def of_rows(batch: Batch | StreamBatch) -> str:
    """Rows in words that are equal where these are."""
    if isinstance(batch, StreamBatch):
        return f"{batch.stream.source!r}, first {of_rows(batch.first)}"
    weight = batch.weight
    given = (weight.rows, weight.factors) if isinstance(weight, TargetWeights) else (weight,)
    parts = (batch.x, batch.target, *(() if weight is None else given))
    return ", ".join(map(fingerprint, parts))


def _kind_of_rows(batch: Batch | StreamBatch) -> str:
    """What rows must have in common where each rank has its own."""
    first = batch.first if isinstance(batch, StreamBatch) else batch
    weighed = "" if first.weight is None else ", weighed"
    if isinstance(first.weight, TargetWeights):
        weighed += " target by target"
    features = f"{first.x.shape[1]} {'sparse ' if isinstance(first.x, CSR) else ''}features"
    return f"with {features} and {first.target.ndim}-dimensional targets{weighed}"


def _of_validation(given: Any) -> str:
    if not isinstance(given, (tuple, list)):
        return without_addresses(repr(given))
    return ", ".join(fingerprint(np.asarray(part)) for part in given if not hasattr(part, "nnz"))


def without_addresses(text: str) -> str:
    """A text without places in memory, which no two processes share."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
