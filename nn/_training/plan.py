"""The arguments of ``MLP.fit``, checked: those that speak of rows, and those that do not.

Everything that can be wrong is found here, before anything of the network is changed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR, TrainingOptions

from .. import metrics, optimizers, schedules, stopping
from .._cluster.cluster import Cluster
from .._cluster.partitioned import OwnShuffles, PartitionedTrainer
from .._cluster.trainer import ClusterTrainer
from .._inputs import arrays, numbers
from .._network import class_weights
from .._network.batch import Batch
from .._streams import rows as streams
from .._streams.stream import StreamBatch
from .._typing import Array
from ..optimizers._full_batch import FullBatch
from ..schedules._rates import Rates
from . import full_batch
from . import options as engine_options
from .evaluation import Evaluation, validation_batch
from .fit import NetworkHooks
from .options import Options
from .run import Run

if TYPE_CHECKING:
    from .._network.network import Network


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the arguments of ``fit`` mean, as far as they do not speak of rows.

    Attributes
    ----------
    loss : object
        What the kernels take for one.
    rule : Optimizer
    learning_rate : float
        Before the schedule.
    schedule : Schedule
    stop : list of StopRule
    slots : tuple of str or None
        Names of the moments, ``None`` where a line search has none.
    full : bool
        Whether a step takes all rows.
    with_norm : bool
        Whether the gradient's norm is computed.
    engine : TrainingOptions
        With the ``batch_size`` that was asked for, 1 where a step takes all rows.
    plain_targets : tuple of float
        From where to where values need no closer look to be targets of the loss.
    cluster : Cluster or None
        The ranks that train together.
    """

    loss: Any
    rule: optimizers.Optimizer
    learning_rate: float
    schedule: schedules.Schedule
    stop: list[stopping.StopRule]
    slots: tuple[str, ...] | None
    full: bool
    with_norm: bool
    engine: TrainingOptions
    plain_targets: tuple[float, float]
    cluster: Cluster | None = None

    @property
    def searches(self) -> bool:
        """Whether steps are found by line search, without a learning rate."""
        return self.slots is None

    @property
    def subset(self) -> int | None:
        """How many of the rows are drawn once, to be trained on."""
        return self.rule.subset if isinstance(self.rule, FullBatch) else None

    def on_threads(self, n_threads: int | None) -> Settings:
        """The same for another number of threads."""
        return dataclasses.replace(
            self, engine=dataclasses.replace(self.engine, n_threads=n_threads)
        )

    def batch_size(self, n: int) -> int:
        """Rows of a step where there are ``n``."""
        return n if self.full else min(self.engine.batch_size, n)

    def engine_for(self, batch_size: int, seed: int = 0) -> TrainingOptions:
        """The engine's options for steps of so many rows, with this seed of dropout."""
        if (self.engine.batch_size, self.engine.seed) == (batch_size, seed):
            return self.engine
        return dataclasses.replace(self.engine, batch_size=batch_size, seed=seed)


def settings(network: Network, loss: Any, optimizer: Any, options: Options) -> Settings:
    """Check what does not depend on rows.

    Raises
    ------
    ValueError, TypeError
        Naming what was expected and what came.
    """
    spec = network._loss(loss, options.label_smoothing, options.missing_targets)
    rule, learning_rate, schedule = _step_size(optimizer, options.learning_rate)
    method = rule.method() if isinstance(rule, FullBatch) else None
    numbers.count("epochs", options.epochs, 0)
    shuffle = options.shuffle
    if not isinstance(shuffle, (bool, np.bool_)) and shuffle not in ("rows", "blocks"):
        raise TypeError(f"shuffle must be True or False, 'rows' or 'blocks', got {shuffle!r}")
    full = isinstance(rule, FullBatch) or options.batch_size == "full"
    rules = stopping.get(options.stop)
    with_norm = options.track_gradient_norm or options.clip_norm is not None or method is not None
    with_norm = with_norm or any(stop.needs_gradient_norm for stop in rules)
    size = 1 if full else engine_options.batch_size(options.batch_size)
    engine = engine_options.collect(network, options, size, with_norm=with_norm)
    if method is not None:
        if not isinstance(schedule, schedules.Constant):
            raise ValueError("an optimizer with a line search takes no schedule of learning rates")
        full_batch.check(engine)
    return Settings(
        loss=spec,
        rule=rule,
        learning_rate=learning_rate,
        schedule=schedule,
        stop=rules,
        slots=rule.update_rule().slots if method is None else None,
        full=full,
        with_norm=with_norm,
        engine=engine,
        plain_targets=arrays.plain_targets(spec),
        cluster=cluster_of(options),
    )


def cluster_of(options: Options) -> Cluster | None:
    """The ranks that train together, where there is a communicator."""
    if not isinstance(options.partitioned, (bool, np.bool_)):
        raise TypeError(f"partitioned must be True or False, got {options.partitioned!r}")
    if options.comm is None:
        return None
    if options.partitioned and options.class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' counts the rows of one process, and with partitioned=True "
            "each has its own: give a dict"
        )
    return Cluster(options.comm, options.shards, bool(options.partitioned))


def on_batch(
    network: Network,
    batch: Batch,
    optimizer: Any,
    options: Options,
    *,
    rows: Array | None = None,
    known: Settings | None = None,
    hooks: type[NetworkHooks] = NetworkHooks,
    trainer: Any = None,
) -> tuple[Run, NetworkHooks]:
    """A run of its own, from the beginning, on rows that have been checked.

    Parameters
    ----------
    batch : Batch
        Rows and the weights of their classes.
    rows : (m,) array of intp, optional
        Rows of it that are visited; not with metrics, class weights or an optimizer that takes
        all rows at once, which look at the batch itself.
    known : Settings, optional
        What :func:`settings` gives for these arguments, or for those of a network that is alike.
    hooks : type
        What its owner adds to the loop.
    trainer : object, optional
        What makes the steps, where it is there already.
    """
    if known is None:
        known = settings(network, batch.loss, optimizer, options)
    measured = evaluation(network, options, batch, [*known.stop, known.schedule])
    seed = draw_seed(network, known)
    if known.subset is not None:
        batch = batch.take(subset(network, batch, known.subset))
    n = len(batch.target) if rows is None else len(rows)
    size = known.batch_size(n)

    def remake(n_threads: int | None) -> Any:
        return engine(network, known.on_threads(n_threads), size, seed)

    run = Run(
        batch=batch,
        trainer=engine(network, known, size, seed) if trainer is None else trainer,
        n_slots=len(known.slots or ()),
        parameters=network.parameters,
        batch_size=size,
        epochs=options.epochs,
        rates=Rates(known.learning_rate, known.schedule, options.epochs, -(-n // size)),
        generator=generator(network, known, options),
        rules=[rule.resolved(measured.modes) for rule in known.stop],
        callbacks=engine_options.listeners(options, known.cluster, options.epochs),
        with_gradient_norm=known.with_norm,
        rows=rows,
        remake=None if known.searches else remake,
    )
    return run, hooks(network, measured)


def engine(network: Network, known: Settings, batch_size: int, seed: int) -> Any:
    """What makes the steps, of at most so many rows: a trainer of the kernels, or its like."""
    options = known.engine_for(batch_size, seed)
    if isinstance(known.rule, FullBatch):
        method = known.rule.method()
        if method is not None:
            return full_batch.trainer(network, known.loss, method, options, known.cluster)
    rule = known.rule.update_rule()
    if known.cluster is not None:
        kind = PartitionedTrainer if known.cluster.partitioned else ClusterTrainer
        return kind(network.architecture, network.dtype, known.loss, rule, options, known.cluster)
    return kernels.trainer(network.architecture, network.dtype, known.loss, rule, options)


def rows(
    network: Network, known: Settings, X: Any, y: Any, sample_weight: Any, class_weight: Any
) -> Batch | StreamBatch:
    """The training rows, checked, with the weights of their classes; without ``y`` a source's."""
    if y is None:
        return streams.training_rows(network, known, X, sample_weight, class_weight)
    # Of ranks with rows of their own none may leave out what others need.
    apart = known.cluster is not None and known.cluster.partitioned
    apart = apart and getattr(known.loss, "missing", False)
    x, target, weight, _ = network._batch(
        X, y, known.loss, sample_weight, training=True, block=apart
    )
    return weighed(network, Batch(x, target, weight, known.loss), class_weight)


def weighed(network: Network, batch: Batch, class_weight: Any) -> Batch:
    """A batch with the weights of its classes."""
    if class_weight is None:
        return batch
    n_out = network.architecture.sizes[-1]
    weight = class_weights.by_class(class_weight, batch.target, n_out, batch.weight, network.dtype)
    return dataclasses.replace(batch, weight=weight)


def draw_seed(network: Network, known: Settings) -> int:
    """A seed of dropout, drawn only where it is used: other shuffles stay as they are without."""
    return int(network._generator.integers(2**63)) if known.engine.dropout else 0


def generator(network: Network, known: Settings, options: Options) -> Any:
    """What shuffles the rows.

    Where one batch holds all rows their order would change nothing but the rounding.
    """
    if not options.shuffle or known.full:
        return None
    if known.cluster is not None and known.cluster.partitioned:
        return OwnShuffles(network._generator, known.cluster.rank)
    return network._generator


def learning_rate(rule: optimizers.Optimizer, value: Any) -> float:
    """A learning rate that takes the place of the rule's, which checks it."""
    changed: Any = rule  # a dataclass, which checks its constants
    rate: float = dataclasses.replace(changed, learning_rate=float(value)).learning_rate
    return rate


def _step_size(
    optimizer: Any, value: Any
) -> tuple[optimizers.Optimizer, float, schedules.Schedule]:
    """The optimizer, its learning rate or the one that is given, and the schedule."""
    rule = optimizers.get(optimizer)
    if value is None:
        return rule, float(rule.learning_rate), schedules.CONSTANT
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        if isinstance(rule, optimizers.LevenbergMarquardt):
            raise ValueError(f"{type(rule).__name__} has no learning rate, got {value!r}")
        changed: Any = rule  # a dataclass, which checks its constants
        rule = dataclasses.replace(changed, learning_rate=float(value))
        return rule, float(value), schedules.CONSTANT
    return rule, float(rule.learning_rate), schedules.get(value)


def evaluation(
    network: Network,
    options: Options,
    batch: Batch | StreamBatch,
    watching: list[stopping.StopRule | schedules.Schedule],
) -> Evaluation:
    """What is measured after each epoch; checks that all that watch it will find their curve."""
    n_out = network.architecture.sizes[-1]
    factors = None
    if options.class_weight is not None and options.validation_data is not None:
        factors = class_weights.factors(options.class_weight, batch.target, n_out)
    validation = validation_batch(network, options.validation_data, batch.loss, factors)
    measured = metrics.get(options.metrics) if options.metrics else []
    evaluation = Evaluation(network, measured, batch, validation)
    for watcher in watching:
        watcher.check(evaluation.modes)
    return evaluation


def subset(network: Network, batch: Batch | StreamBatch, n: int) -> Array:
    """Numbers of some rows, drawn, in the order in which they stand."""
    if isinstance(batch, StreamBatch):
        raise ValueError("subset is for rows in an array, and X is a source")
    if isinstance(batch.x, CSR):
        raise ValueError("subset is for rows in an array, and X is sparse")
    if n > len(batch.x):
        raise ValueError(f"subset must not exceed the {len(batch.x)} rows, got {n}")
    drawn: Array = np.sort(network._generator.permutation(len(batch.x))[:n])
    return drawn
