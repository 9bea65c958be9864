"""Metrics of a fit: what each is given, decided before training for all epochs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp.kernels import TargetWeights, loss_spec

from .._network import decisions
from .._typing import Array
from ..metrics import Metric, f1
from ..metrics._arguments import over_outputs
from ..metrics._sklearn import is_theirs

if TYPE_CHECKING:
    from .._network.network import Network

#: Rows that a metric is tried on, and as many more as there are classes.
FEW = 32


@dataclass(frozen=True)
class Task:
    """What a network is for, decided once from its loss, its output and its targets.

    Attributes
    ----------
    output : str
        Activation of the output layer.
    n_out : int
    bound : float
        Where an output means yes: halfway between the targets for no and yes.
    decides : bool
        Whether classes or labels are decided on; else values are predicted. Losses of margins
        decide, and so do probabilities, unless their targets are no decisions. Squared error and
        its relatives on plain outputs do not, whatever numbers the targets happen to be.
    one_class : bool
        Whether each row has one class, in all the data; else labels that do not exclude others.
    """

    output: str
    n_out: int
    bound: float
    decides: bool
    one_class: bool

    @classmethod
    def of(cls, loss: Any, output: str, n_out: int, targets: Sequence[Array]) -> Task:
        """The task of a loss and an output layer, with targets of training first."""
        margin = loss_spec(loss).margin
        first = targets[0]
        labels = first.ndim == 1
        one_class = labels or all(decisions.true_classes(t) is not None for t in targets)
        decided = one_class or decisions.true_labels(first) is not None
        decides = labels or margin or output in ("sigmoid", "softmax")
        signs = not labels and first.size > 0 and first.min() == -1
        bound = 0.0 if margin or (decided and signs) else 0.5
        return cls(output, n_out, bound, decides and decided, one_class)

    def truth(self, target: Array) -> Array | None:
        """Classes ``(n,)`` or labels ``(n, n_out)`` of targets; ``None`` of real values."""
        if self.one_class or target.ndim == 1:
            return decisions.true_classes(target)
        return decisions.true_labels(target)

    def decide(self, outputs: Array) -> Array:
        """The same of outputs."""
        decide = decisions.classes if self.one_class else decisions.labels
        return decide(outputs, self.bound)

    def scores(self, outputs: Array) -> Array:
        """One score for two classes, that of class 1; else one for each class or label."""
        if outputs.shape[1] == 1:
            return outputs[:, 0]
        if outputs.shape[1] == 2 and self.one_class:
            if self.output in ("sigmoid", "softmax"):
                return outputs[:, 1]
            return outputs[:, 1] - outputs[:, 0]
        return outputs


@dataclass(frozen=True)
class Measure:
    """A metric as a function of the network's outputs.

    Attributes
    ----------
    shown : callable
        From outputs to what the metric takes.
    truth : array
    weight : (n,) array, TargetWeights or None
        Of rows, where the metric takes them; with those of single targets the metric is the mean of
        those of all outputs that have one.
    options : dict
        What else it is given.
    """

    metric: Metric
    shown: Callable[[Array], Array]
    truth: Array
    weight: Array | TargetWeights | None
    options: dict[str, Any]

    def __call__(self, outputs: Array) -> float:
        shown = self.shown(outputs)
        if isinstance(self.weight, TargetWeights):
            weighs = self.metric.has("sample_weight")
            products = self.weight.products
            return over_outputs(self.metric.function, self.truth, shown, products, weighs)
        weight = {} if self.weight is None else {"sample_weight": self.weight}
        return float(self.metric.function(self.truth, shown, **weight, **self.options))

    def of(self, rows: Array) -> Measure:
        """The same for some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, truth=self.truth[rows], weight=weight)


def prepared(
    metric: Metric, task: Task, target: Array, weight: Array | TargetWeights | None
) -> Measure:
    """A metric with all that does not change from epoch to epoch worked out.

    Raises
    ------
    ValueError
        Where it does not fit the task.
    """
    if isinstance(weight, TargetWeights):
        return _of_targets(metric, task, target, weight)
    weight = weight if metric.has("sample_weight") else None
    truth, takes = task.truth(target), metric.takes
    if takes == "either":
        takes = "classes" if task.decides else "values"
    if takes == "values":
        if target.ndim == 1:
            raise ValueError(
                f"metric {metric.name!r} needs real values as targets, got class labels"
            )
        if task.n_out == 1:
            return Measure(metric, lambda out: out[:, 0], target[:, 0], weight, {})
        return Measure(metric, lambda out: out, target, weight, {})
    if takes == "probabilities":
        _check_probabilities(metric, task)
    if truth is None and not (takes == "probabilities" and _is_ours(metric)):
        raise ValueError(f"metric {metric.name!r} needs classes as targets, got real values")
    if truth is None:
        return Measure(metric, lambda out: out, target, weight, {})  # soft targets
    options: dict[str, Any] = {}
    if takes == "classes":
        if metric.function is f1 and task.n_out == 1:
            options["average"] = "binary"
        return Measure(metric, task.decide, truth, weight, options)
    if is_theirs(metric.function) and task.one_class and metric.has("labels"):
        options["labels"] = np.arange(max(task.n_out, 2))
    if takes == "probabilities" and _is_ours(metric):
        return Measure(metric, lambda out: out, truth, weight, options)
    return Measure(metric, task.scores, truth, weight, options)


def _of_targets(metric: Metric, task: Task, target: Array, weight: TargetWeights) -> Measure:
    """A metric of values whose targets have weights of their own."""
    values = metric.takes == "values" or (metric.takes == "either" and not task.decides)
    if not values or target.ndim == 1 or target.shape != weight.factors.shape:
        raise ValueError(
            f"metric {metric.name!r} cannot be measured with weights of single targets, or with "
            "missing ones: only metrics of values can, with one output for each target"
        )
    return Measure(metric, lambda out: out, target, weight, {})


def try_out(measure: Measure, network: Network, batch: Any, prefix: str) -> None:
    """Compute a metric of a few rows of a batch, some of each class.

    Raises
    ------
    ValueError
        Where that fails, or gives no number.
    """
    name, n = prefix + measure.metric.name, len(batch.target)
    weight = measure.weight
    counts = weight.rows if isinstance(weight, TargetWeights) else weight
    usable = np.arange(n) if counts is None else np.flatnonzero(counts)
    rows = usable[:FEW]
    if measure.truth.ndim == 1 and measure.truth.dtype.kind in "iu":
        _, first = np.unique(measure.truth[usable], return_index=True)
        rows = np.union1d(rows, usable[first])
    outputs = network.predict(batch.rows(rows))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            measure.of(rows)(outputs)
    except Exception as error:
        raise ValueError(
            f"metric {name!r} fails on the first rows: {type(error).__name__}: {error}"
        ) from error


def _check_probabilities(metric: Metric, task: Task) -> None:
    if task.output != "softmax" and (task.output, task.n_out) != ("sigmoid", 1):
        raise ValueError(
            f"metric {metric.name!r} needs probabilities of classes: output 'softmax', or one "
            f"output 'sigmoid', got {task.output!r}"
        )


def _is_ours(metric: Metric) -> bool:
    """Whether the package has defined it, for probabilities of all classes or of class 1."""
    return str(getattr(metric.function, "__module__", "")).startswith(__name__.split(".")[0] + ".")
