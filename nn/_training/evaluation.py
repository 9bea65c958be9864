"""What is measured after each epoch: the loss of the validation data, and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from fastmlp.kernels import loss_spec

from .._network import decisions
from .._typing import Array
from ..history import History
from ..metrics import Metric, f1
from .run import Batch

if TYPE_CHECKING:
    from .._network.network import Network


class Evaluation:
    """Measures the network as it is.

    Parameters
    ----------
    network : Network
    metrics : sequence of Metric
        On the training rows, and on the validation rows where there are any.
    training : Batch
    validation : Batch or None
    """

    def __init__(
        self,
        network: Network,
        metrics: Sequence[Metric],
        training: Batch,
        validation: Batch | None,
    ) -> None:
        self._network, self._validation = network, validation
        output = network.architecture.output
        self._measures: list[tuple[Array, list[tuple[str, Callable[[Array], float]]]]] = []
        for batch, prefix in ((training, ""), (validation, "validation_")):
            if batch is not None and metrics:
                found = [(prefix + m.name, prepared(m, batch, output)) for m in metrics]
                self._measures.append((batch.x, found))

    @property
    def curves(self) -> list[str]:
        """Names of the metrics in the history."""
        return [name for _, found in self._measures for name, _ in found]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to measure."""
        return self._validation is None and not self._measures

    def measure(self, history: History) -> None:
        """Append this epoch's values."""
        network, batch = self._network, self._validation
        if batch is not None:
            network._connect()
            history.validation_loss.append(
                network._network.loss(
                    network.parameters,
                    batch.x,
                    batch.target,
                    batch.loss,
                    sample_weight=batch.weight,
                )
            )
        for x, found in self._measures:
            outputs = network.predict(x)
            for name, value in found:
                history.metrics.setdefault(name, []).append(value(outputs))


def prepared(metric: Metric, batch: Batch, output: str) -> Callable[[Array], float]:
    """A metric as a function of the outputs, with all that does not change worked out.

    Raises
    ------
    ValueError
        Where it does not fit the targets.
    """
    target, weight, function = batch.target, batch.weight, metric.function
    if metric.takes == "probabilities":
        n_out = target.shape[1] if target.ndim == 2 else 2
        if output not in ("sigmoid", "softmax") or (output == "sigmoid" and n_out > 1):
            raise ValueError(
                f"metric {metric.name!r} needs probabilities of classes: output 'softmax', or one "
                f"output 'sigmoid', got {output!r}"
            )
        return lambda outputs: float(function(target, outputs, weight))
    one, bound = decisions.true_classes(target), _bound(batch)
    decide = decisions.classes if one is not None else decisions.labels
    truth = one if one is not None else _true_labels(target)
    if metric.takes == "classes" and truth is None:
        raise ValueError(f"metric {metric.name!r} needs classes as targets, got real values")
    if metric.takes == "values" and target.ndim == 1:
        raise ValueError(f"metric {metric.name!r} needs real values as targets, got class labels")
    if truth is None or metric.takes == "values":
        values = target[:, 0] if target.shape[1] == 1 else target
        arguments = () if metric.takes == "either" else (weight,)
        return lambda outputs: float(function(values, outputs.reshape(values.shape), *arguments))
    if metric.takes == "either":
        return lambda outputs: float(function(truth, decide(outputs, bound)))
    if function is f1:
        binary = target.ndim == 2 and target.shape[1] == 1
        average: Literal["binary", "macro"] = "binary" if binary else "macro"
        return lambda outputs: float(f1(truth, decide(outputs, bound), weight, average))
    return lambda outputs: float(function(truth, decide(outputs, bound), weight))


def _bound(batch: Batch) -> float:
    """Where an output means yes: halfway between the targets for no and yes."""
    return 0.0 if loss_spec(batch.loss).margin else 0.5


def _true_labels(target: Array) -> Array | None:
    yes = target == 1
    if np.all(yes | (target == 0)) or np.all(yes | (target == -1)):
        numbers: Array = yes.astype(np.intp)
        return numbers
    return None
