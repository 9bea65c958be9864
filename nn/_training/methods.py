"""Training as methods of a network: what ``fit`` does, and trainers for single steps."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any, cast

from . import keeping
from .options import KEPT_BY_TRAINERS, Options

if TYPE_CHECKING:
    from .._network.network import Network
    from ..history import History
    from .trainer import Trainer
else:
    Trainer = Any  # for ``typing.get_type_hints``; what it is is imported when one is made


class Steps:
    """What a network offers beside ``fit`` to be trained; a part of :class:`fastmlp.MLP`."""

    def trainer(self, *, loss: Any = None, optimizer: Any = "adam", **options: Any) -> Trainer:
        """A trainer of this network, to make one step or epoch at a time.

        Parameters
        ----------
        loss, optimizer : str or object
            As those of :meth:`fit`.
        **options
            All others of :meth:`fit`, but those that speak of rows: ``X``, ``y`` and
            ``sample_weight`` are given to the trainer's methods. ``epochs`` is the length of the
            run that schedules plan with.

        Returns
        -------
        fastmlp.Trainer
            At step 0.

        Raises
        ------
        ValueError, TypeError
            Naming what was expected and what came.

        Examples
        --------
        >>> from fastmlp import MLP
        >>> net = MLP([1, 4, 1], random_state=0)
        >>> trainer = net.trainer(optimizer="sgd", learning_rate=0.1)
        >>> trainer.step([[1.0]], [2.0]) > trainer.step([[1.0]], [2.0])
        True
        """
        from .trainer import Trainer

        known = {field.name for field in dataclasses.fields(Options)} - {"sample_weight"}
        for name in options:
            if name not in known:
                raise TypeError(f"trainer has the options {sorted(known)}, got {name!r}")
        return Trainer(cast("Network", self), Options(**options), loss, optimizer)


def fit(
    network: Network,
    X: Any,
    y: Any,
    loss: Any,
    optimizer: Any,
    options: Options,
    trainer: Trainer | None,
    resume: str | os.PathLike[str] | None,
) -> History:
    """``MLP.fit``: a new run, or one that goes on."""
    if trainer is None:
        found = keeping.take(network, loss, optimizer, options)
        kept = None if found is None else found[2]
        if found is not None and found[3] is not None and resume is None:
            history = found[3](network, X, y, options, kept)
            if history is not None:
                network._kept = found
                return history
        from . import plan  # with the optimizers and all else that a run is made of: takes 100 ms
        from .trainer import Trainer

        cluster = None if options.comm is None else plan.cluster_of(options)

        def begin() -> tuple[Trainer, Any]:
            made = Trainer(network, options, loss, optimizer, kept)
            return made, made.rows_of_fit(X, y, options)

        if cluster is None:
            trainer, batch = begin()
        else:
            trainer, batch = cluster.together(begin, lambda made: made[0].words(made[1], options))
        history = trainer.fit(batch, options, resume)
        keeping.keep(network, loss, optimizer, options, trainer)
        return history
    from .trainer import Trainer

    if not isinstance(trainer, Trainer):
        raise TypeError(f"trainer must be a Trainer of this network, got {trainer!r}")
    if trainer.network is not network:
        raise ValueError("trainer must be one of this network: net.trainer(...)")
    if resume is not None:
        raise ValueError("trainer and resume are two ways to go on: give one of them")
    new = Options()
    given = [name for name in KEPT_BY_TRAINERS if getattr(options, name) is not getattr(new, name)
             and getattr(options, name) != getattr(new, name)]  # fmt: skip
    given += ["loss"] * (loss is not None) + ["optimizer"] * (optimizer != "adam")
    if given:
        raise ValueError(f"a trainer has {', '.join(given)} of its own: give them to net.trainer")
    return trainer.fit(trainer.rows_of_fit(X, y, options), options)
