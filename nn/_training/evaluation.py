"""What is measured after each epoch: the loss of the validation data, and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._cluster.partitioned import gathered, weighed_mean
from .._inputs import arrays
from .._network import class_weights
from .._network.batch import Batch
from .._streams import rows as streams
from .._streams.stream import StreamBatch
from .._typing import Array
from .._warn import warn
from ..history import History
from ..metrics import Metric
from . import measures

if TYPE_CHECKING:
    from .._cluster.cluster import Cluster
    from .._network.network import Network


class Evaluation:
    """Measures the network as it is.

    Parameters
    ----------
    network : Network
    metrics : sequence of Metric
        On the training rows, and on the validation rows where there are any. Each is tried on a
        few rows.
    training : Batch or StreamBatch
    validation : Batch, StreamBatch or None

    Raises
    ------
    ValueError
        Where a metric does not fit the task, or fails.
    """

    def __init__(
        self,
        network: Network,
        metrics: Sequence[Metric],
        training: Batch | StreamBatch,
        validation: Batch | StreamBatch | None,
    ) -> None:
        self._network, self._validation = network, validation
        #: Each curve that is recorded, and whether it is better low ("min") or high ("max").
        self.modes: dict[str, str | None] = {"loss": "min"}
        self._measures: list[tuple[Any, list[tuple[str, measures.Measure]]]] = []
        if validation is not None:
            self.modes["validation_loss"] = "min"
        self._metrics, self._loss = metrics, training.loss
        self._cluster: Cluster | None = None
        if not metrics:
            return
        batches = [batch for batch in (training, validation) if batch is not None]
        net = network.architecture
        targets = [batch.target for batch in batches]
        task = measures.Task.of(training.loss, net.output, net.sizes[-1], targets)
        for batch, prefix in zip(batches, ("", "validation_"), strict=False):
            found = []
            for metric in metrics:
                measure = measures.prepared(metric, task, batch.target, batch.weight)
                measures.try_out(measure, network, batch, prefix)
                found.append((prefix + metric.name, measure))
                self.modes[prefix + metric.name] = metric.direction
            self._measures.append((batch, found))

    def share(self, cluster: Cluster) -> None:
        """Measure the rows of all ranks, each of which has its own; on all of them."""
        self._cluster, net = cluster, self._network.architecture
        of_all = [
            (gathered(cluster.comm, batch.target), gathered(cluster.comm, batch.weight))
            for batch, _ in self._measures
        ]
        task = None
        for k, ((batch, found), rows) in enumerate(zip(self._measures, of_all, strict=True)):
            task = task or measures.Task.of(
                self._loss, net.output, net.sizes[-1], [target for target, _ in of_all]
            )
            made = [measures.prepared(metric, task, *rows) for metric in self._metrics]
            names = [name for name, _ in found]
            self._measures[k] = batch, list(zip(names, made, strict=True))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to measure."""
        return self._validation is None and not self._measures

    def measure(self, history: History) -> None:
        """Append this epoch's values."""
        network = self._network
        if self._validation is not None:
            loss = self._validation.mean_loss(network)
            if self._cluster is not None:
                loss = weighed_mean(self._cluster.comm, loss, _weight(self._validation))
            history.validation_loss.append(loss)
        for batch, found in self._measures:
            outputs = batch.predict(network)
            if self._cluster is not None:
                outputs = gathered(self._cluster.comm, outputs)
            for name, value in found:
                history.metrics.setdefault(name, []).append(value(outputs))


def _weight(batch: Batch | StreamBatch) -> float:
    """Weight of all rows."""
    weight = batch.weight
    return float(len(batch.target) if weight is None else weight.sum(dtype=np.float64))


def validation_batch(
    network: Network, given: Any, loss: Any, factors: Array | None = None
) -> Batch | StreamBatch | None:
    """The rows of ``validation_data``, checked as those of training are.

    Parameters
    ----------
    given : (X, y), (X, y, sample_weight), source or None
    loss : object
        That of training.
    factors : (n_classes,) array, optional
        Weights of the classes, as in training.

    Warns
    -----
    RuntimeWarning
        Where rows are not finite, on which nothing can be measured.
    """
    if given is None:
        return None
    if streams.is_source(given):
        return streams.validation_batch(network, given, loss, factors)
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        items = f"{len(given)} items" if isinstance(given, (tuple, list)) else type(given)
        raise ValueError(
            f"validation_data must be (X, y), (X, y, sample_weight) or a source, got {items}"
        )
    x, y, *weight = given
    try:
        x, target, weights, _ = network._batch(x, y, loss, *weight)
        if factors is not None:
            weights = class_weights.weighted(factors, target, weights, network.dtype)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"validation_data: {error}") from None
    try:
        arrays.finite(x, "X")
    except ValueError as error:
        warn(f"validation_data: {error}; its loss and metrics will not be finite", RuntimeWarning)
    return Batch(x, target, weights, loss)
