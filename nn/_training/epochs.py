"""The epochs of a :class:`~fastmlp._training.trainer.Trainer`: a run made of what it holds."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .._cluster import agreement
from .._network.batch import Batch
from .._streams import rows as streams
from .._streams.stream import StreamBatch
from ..callbacks import Checkpoint
from ..history import History
from ..schedules import Schedule
from ..stopping import StopRule
from . import options as options_of
from . import plan
from .evaluation import Evaluation
from .fit import NetworkHooks, fit
from .options import Options
from .place import Place
from .run import Run

if TYPE_CHECKING:
    from .._network.network import Network
    from .trainer import Trainer


def train(
    trainer: Trainer,
    batch: Batch | StreamBatch,
    epochs: int,
    options: Options,
    state: dict[str, Any] | None = None,
) -> History:
    """Carry epochs out until there are so many in the history, going on from a ``state``."""
    network, known, shuffle = trainer._network, trainer._known, trainer._options.shuffle
    todo = epochs - trainer.history.epochs
    kind, given, n_shuffled = streams.run_of(batch, known, shuffle, todo)
    evaluation = _evaluation(network, known, options, batch)
    callbacks = options_of.listeners(options, known.cluster, epochs)
    checkpoints = [callback for callback in callbacks if isinstance(callback, Checkpoint)]
    for checkpoint in checkpoints:
        checkpoint.trainer = trainer
    keepers = [checkpoint for checkpoint in checkpoints if checkpoint.every_steps]
    if keepers and options.partitioned:
        raise ValueError("every_steps keeps rank 0's place alone: with partitioned=True give every")
    if state is not None:
        trainer.state = state
    agreement.begin(network, known)
    if trainer._subset is None and known.subset is not None:
        trainer._subset = plan.subset(network, batch, known.subset)
    if trainer._subset is not None:
        batch = batch.take(trainer._subset)
        kind, given, n_shuffled = streams.run_of(batch, known, shuffle, todo)
    size = known.batch_size(batch.n_rows)
    if known.cluster is not None and not known.full:
        size = min(known.cluster.part_of(known.engine.batch_size, batch.n_rows), batch.n_rows)
    steps = trainer._engine.prepared(size)
    generator = plan.generator(network, known, trainer._options)
    own = isinstance(generator, np.random.Generator)
    _prepare(trainer, n_shuffled if own else 0, evaluation)
    n_steps = -(-batch.n_rows // size)
    trainer._rates.steps_per_epoch = (
        n_steps if known.cluster is None else known.cluster.most(n_steps)
    )
    run = kind(
        **given,
        trainer=steps,
        n_slots=len(known.slots or ()),
        parameters=network.parameters,
        batch_size=size,
        epochs=epochs,
        rates=trainer._rates,
        generator=generator,
        callbacks=callbacks,
        with_gradient_norm=known.with_norm,
        history=trainer.history,
        order=trainer._order,
        watches=trainer._watches,
        cluster=known.cluster,
        begun=trainer._within,
        stride=math.gcd(*(keeper.every_steps or 0 for keeper in keepers)),
        keep=partial(_keep, trainer, keepers) if keepers else None,
    )
    trainer._within = None
    trainer._engine.begin_run()
    hooks = _Hooks(trainer, evaluation)
    return agreement.carry_out(network, known, lambda: fit(run, hooks))


def _evaluation(
    network: Network, known: plan.Settings, options: Options, batch: Batch | StreamBatch
) -> Evaluation:
    """What is measured after each epoch, of several ranks after all have looked at their rows."""
    watching: list[StopRule | Schedule] = [*known.stop, known.schedule]
    if known.cluster is None:
        return plan.evaluation(network, options, batch, watching)
    found = known.cluster.together(
        lambda: plan.evaluation(network, options, batch, watching), lambda _: []
    )
    if known.cluster.partitioned:
        found.share(known.cluster)
    return found


def _keep(trainer: Trainer, keepers: list[Checkpoint], place: Place) -> None:
    """Keep the state within an epoch."""
    trainer._within = place
    try:
        for keeper in keepers:
            keeper.on_steps(trainer.history, place.step)
    finally:
        trainer._within = None


def _prepare(trainer: Trainer, n_shuffled: int, evaluation: Evaluation) -> None:
    """The order of what is shuffled, and the stop rules at work."""
    known = trainer._known
    if not n_shuffled:
        trainer._order = None
    elif trainer._order is None or len(trainer._order) != n_shuffled:
        trainer._order = np.arange(n_shuffled, dtype=np.intp)
    if known.stop and not trainer._watches:
        rules = [rule.resolved(evaluation.modes) for rule in known.stop]
        trainer._watches = [(rule.reason, rule.watch()) for rule in rules]
        for (_, watch), found in zip(trainer._watches, trainer._remembered, strict=False):
            watch.restore(found)
    trainer.history.stop_reason = trainer.history.stop_message = ""


class _Hooks(NetworkHooks):
    """Lets a trainer know how a run has left it and the network."""

    def __init__(self, trainer: Trainer, evaluation: Evaluation) -> None:
        super().__init__(trainer._network, evaluation)
        self._trainer = trainer

    def finish(self, run: Run, finished: bool) -> None:
        super().finish(run, finished)
        trainer = self._trainer
        shared = run.cluster is not None and run.cluster.partitioned
        trainer._order = None if shared else run.order  # each rank has another
        trainer._engine.leave()
        if run.history.stop_reason == "non_finite_loss":
            # The network is back at finite parameters; what led away from them is forgotten.
            trainer._engine.restart((None, 0, None), trainer._engine.seed)
