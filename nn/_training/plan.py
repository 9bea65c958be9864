"""The arguments of ``MLP.fit``, checked and turned into a run.

Everything that can be wrong is found here, before anything of the network is changed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CSR, TrainingOptions

from .. import callbacks as _callbacks
from .. import metrics, optimizers, schedules, stopping
from .._inputs import numbers
from .._network import blocks
from .._typing import Array
from ..optimizers._directions import Method
from ..optimizers._full_batch import FullBatch
from ..schedules._rates import Rates
from . import class_weights
from . import options as engine_options
from .evaluation import Evaluation, validation_batch
from .fit import NetworkHooks
from .line_search import LineSearchTrainer
from .options import Options
from .run import Batch, Run

if TYPE_CHECKING:
    from .._network.network import Network


def make(
    network: Network, X: Any, y: Any, loss: Any, optimizer: Any, options: Options
) -> tuple[Run, NetworkHooks]:
    """Check everything; raise ``TypeError`` or ``ValueError`` where something is wrong."""
    return on_batch(network, rows_of(network, X, y, loss, options), optimizer, options)


def on_batch(
    network: Network,
    batch: Batch,
    optimizer: Any,
    options: Options,
    *,
    rows: Array | None = None,
    n_threads: int | None = None,
    hooks: type[NetworkHooks] = NetworkHooks,
) -> tuple[Run, NetworkHooks]:
    """A run on rows that have been checked.

    Parameters
    ----------
    batch : Batch
        What :func:`rows_of` gives.
    rows : (m,) array of intp, optional
        Rows of it that are visited; not with metrics, class weights or an optimizer that takes
        all rows at once, which look at the batch itself.
    n_threads : int, optional
        In the place of the network's.
    hooks : type
        What its owner adds to the loop.
    """
    n_rows = len(batch.x) if rows is None else len(rows)
    rule, learning_rate, schedule = _step_size(optimizer, options.learning_rate)
    method = rule.method() if isinstance(rule, FullBatch) else None
    epochs = numbers.count("epochs", options.epochs, 0)
    full = isinstance(rule, FullBatch) or options.batch_size == "full"
    size = n_rows if full else engine_options.batch_size(options.batch_size, n_rows)
    rules = stopping.get(options.stop)
    with_norm = options.track_gradient_norm or options.clip_norm is not None or method is not None
    with_norm = with_norm or any(stop.needs_gradient_norm for stop in rules)
    engine = engine_options.collect(network, options, size, with_norm=with_norm)
    if n_threads is not None:
        engine = dataclasses.replace(engine, n_threads=n_threads)
    evaluation = _evaluation(network, options, batch, [*rules, schedule])
    rules = [stop.resolved(evaluation.modes) for stop in rules]
    shuffle = numbers.switch("shuffle", options.shuffle)
    listeners = _callbacks.as_callbacks(() if options.callbacks is None else options.callbacks)
    if numbers.count("verbose", options.verbose, 0):
        listeners.insert(0, _callbacks.progress(epochs, options.verbose))
    trainer: Any
    n_slots, remake = 0, None
    if method is not None:
        if not isinstance(schedule, schedules.Constant):
            raise ValueError("an optimizer with a line search takes no schedule of learning rates")
        trainer = _line_search_trainer(network, batch.loss, method, engine)
    else:
        update = rule.update_rule()
        n_slots = len(update.slots)
        if engine.dropout:
            engine = dataclasses.replace(engine, seed=int(network._generator.integers(2**63)))

        def remake(n_threads: int | None) -> Any:
            again = dataclasses.replace(engine, n_threads=n_threads)
            return kernels.trainer(network.architecture, network.dtype, batch.loss, update, again)

        trainer = kernels.trainer(network.architecture, network.dtype, batch.loss, update, engine)
    batch_size = engine.batch_size
    if isinstance(rule, FullBatch) and rule.subset is not None:
        batch = _subset(batch, rule.subset, network._generator)
        batch_size = n_rows = len(batch.x)
    run = Run(
        batch=batch,
        trainer=trainer,
        n_slots=n_slots,
        parameters=network.parameters,
        batch_size=batch_size,
        epochs=epochs,
        rates=Rates(learning_rate, schedule, epochs, -(-n_rows // batch_size)),
        # Where one batch holds all rows their order would change nothing but the rounding.
        generator=network._generator if shuffle and not full else None,
        rules=rules,
        callbacks=listeners,
        with_gradient_norm=with_norm,
        rows=rows,
        remake=remake,
    )
    return run, hooks(network, evaluation)


def rows_of(network: Network, X: Any, y: Any, loss: Any, options: Options) -> Batch:
    """The training rows, with the weights of their classes."""
    spec = network._loss(loss, options.label_smoothing)
    x, target, weight, _ = network._batch(X, y, spec, options.sample_weight, training=True)
    return weighed(network, Batch(x, target, weight, spec), options.class_weight)


def weighed(network: Network, batch: Batch, class_weight: Any) -> Batch:
    """A batch with the weights of its classes."""
    if class_weight is None:
        return batch
    n_out = network.architecture.sizes[-1]
    weight = class_weights.by_class(class_weight, batch.target, n_out, batch.weight, network.dtype)
    return dataclasses.replace(batch, weight=weight)


def _step_size(
    optimizer: Any, value: Any
) -> tuple[optimizers.Optimizer, float, schedules.Schedule]:
    """The optimizer, its learning rate or the one that is given, and the schedule."""
    rule = optimizers.get(optimizer)
    if value is None:
        return rule, float(rule.learning_rate), schedules.CONSTANT
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        changed: Any = rule  # a dataclass, which checks its constants
        rule = dataclasses.replace(changed, learning_rate=float(value))
        return rule, float(value), schedules.CONSTANT
    return rule, float(rule.learning_rate), schedules.get(value)


def _evaluation(
    network: Network,
    options: Options,
    batch: Batch,
    watching: list[stopping.StopRule | schedules.Schedule],
) -> Evaluation:
    """What is measured after each epoch; checks that all that watch it will find their curve."""
    n_out = network.architecture.sizes[-1]
    factors = class_weights.factors(options.class_weight, batch.target, n_out)
    validation = validation_batch(network, options.validation_data, batch.loss, factors)
    measured = metrics.get(options.metrics) if options.metrics else []
    evaluation = Evaluation(network, measured, batch, validation)
    for watcher in watching:
        watcher.check(evaluation.modes)
    return evaluation


def _subset(batch: Batch, n: int, generator: np.random.Generator) -> Batch:
    """Some rows, in the order in which they stand."""
    if isinstance(batch.x, CSR):
        raise ValueError("subset is for rows in an array, and X is sparse")
    if n > len(batch.x):
        raise ValueError(f"subset must not exceed the {len(batch.x)} rows, got {n}")
    rows = np.sort(generator.permutation(len(batch.x))[:n])
    weight = None if batch.weight is None else batch.weight[rows]
    return Batch(batch.x[rows], batch.target[rows], weight, batch.loss)


def _line_search_trainer(
    network: Network, spec: Any, method: Method, engine: TrainingOptions
) -> LineSearchTrainer:
    unfit = [name for name in ("dropout", "clip_value", "clip_norm", "max_norm")
             if getattr(engine, name) not in ((), None)]  # fmt: skip
    if unfit:
        raise ValueError(
            f"an optimizer with a line search has no {', '.join(unfit)}: it needs the same cost "
            "at every step"
        )
    frozen = None
    if not all(engine.trainable):
        frozen = np.zeros(network.parameters.size, bool)
        for views in network.architecture.views(frozen):
            for view, learns in zip(views, engine.trainable, strict=True):
                view[...] = not learns
    net = kernels.network(network.architecture, network.dtype, n_threads=network.n_threads)

    def cost(parameters: Array, x: Array, target: Array, weight: Any, out: Array) -> float:
        value, _ = blocks.loss_and_gradient(
            net, parameters, x, target, spec, weight, out, l2=engine.l2, l1=engine.l1
        )
        return value

    return LineSearchTrainer(cost, method, network.parameters.size, network.dtype, frozen)
