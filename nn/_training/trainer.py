"""One step at a time: a training run as an object, whose state can be read, set and saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import numbers
from .._streams import rows as streams
from .._streams.stream import StreamBatch
from ..callbacks import Checkpoint
from ..history import History
from . import checkpoint, plan
from .batch import Batch
from .evaluation import Evaluation
from .fit import NetworkHooks, fit
from .options import Options
from .run import Run
from .steps import SingleSteps

if TYPE_CHECKING:
    import os

    from .._network.network import Network

__all__ = ["Trainer"]


class Trainer(SingleSteps):
    """Trains a network step by step, or epoch by epoch; ``MLP.trainer`` makes one.

    Everything that a later step depends on is in :attr:`state`: a run that is cut anywhere between
    two epochs, saved, and gone on with elsewhere equals the whole to the bit. The network shows
    every step at once, and what is changed in it between two calls is what training goes on from,
    with the optimizer's moments kept.

    Attributes
    ----------
    history : History
        Learning curves of all epochs so far, of :meth:`run` and ``fit``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP
    >>> net = MLP([2, 8, 1], activation="tanh", random_state=0)
    >>> trainer = net.trainer(optimizer="adam", learning_rate=0.01)
    >>> X, y = np.random.default_rng(0).normal(size=(16, 2)), np.zeros(16)
    >>> losses = [trainer.step(X, y) for _ in range(100)]
    >>> losses[-1] < losses[0]
    True
    """

    def __repr__(self) -> str:
        rule = self._known.rule
        return f"Trainer({self._network!r}, {rule!r}, {self.steps} steps)"

    @property
    def network(self) -> Network:
        """The network that is trained."""
        return self._network

    @property
    def steps(self) -> int:
        """Updates so far."""
        return self._engine.step

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step; a schedule multiplies it."""
        return self._rates.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if self._known.searches:
            raise ValueError("an optimizer with a line search finds its own learning rates")
        self._rates.learning_rate = plan.learning_rate(self._known.rule, value)

    def run(
        self,
        X: Any,
        y: ArrayLike | None = None,
        epochs: int = 1,
        sample_weight: ArrayLike | None = None,
    ) -> History:
        """Train for further epochs, batch by batch, as ``MLP.fit`` does.

        Parameters
        ----------
        X, y, sample_weight
            As those of ``MLP.fit``; without ``y``, ``X`` is a source.
        epochs : int, default 1
            Epochs to make, at most: stop rules and callbacks may end them earlier.

        Returns
        -------
        History
            :attr:`history`, of all epochs so far.
        """
        more = numbers.count("epochs", epochs, 0)
        options = self._options
        batch = self._rows(X, y, sample_weight, options.class_weight)
        return self._train(batch, self.history.epochs + more, options)

    def fit(
        self, X: Any, y: Any, options: Options, resume: str | os.PathLike[str] | None = None
    ) -> History:
        """What ``MLP.fit`` does: train until so many epochs are done, those of the file counted."""
        batch = self._rows(X, y, options.sample_weight, options.class_weight)
        state = None
        if resume is not None:
            state = checkpoint.load(resume, self._network, self._known)
            n = streams.run_of(batch, self._known, self._options.shuffle, 1)[2]
            checkpoint.check_rows(state, n)
        epochs = numbers.count("epochs", options.epochs, 0)
        return self._train(batch, epochs, options, state)

    def _train(
        self,
        batch: Batch | StreamBatch,
        epochs: int,
        options: Options,
        state: dict[str, Any] | None = None,
    ) -> History:
        """Carry epochs out until there are so many in the history, going on from a ``state``."""
        network, known = self._network, self._known
        shuffle, todo = self._options.shuffle, epochs - self.history.epochs
        kind, given, n_shuffled = streams.run_of(batch, known, shuffle, todo)
        evaluation = plan.evaluation(network, options, batch, [*known.stop, known.schedule])
        callbacks = plan.listeners(options, epochs)
        for callback in callbacks:
            if isinstance(callback, Checkpoint):
                callback.trainer = self
        if state is not None:
            self.state = state
        if self._subset is None and known.subset is not None:
            self._subset = plan.subset(network, batch, known.subset)
        if self._subset is not None:
            batch = batch.take(self._subset)
            kind, given, n_shuffled = streams.run_of(batch, known, shuffle, todo)
        n = batch.n_rows
        steps = self._engine.prepared(known.batch_size(n))
        generator = plan.generator(network, known, self._options)
        if generator is None or not n_shuffled:
            self._order = None
        elif self._order is None or len(self._order) != n_shuffled:
            self._order = np.arange(n_shuffled, dtype=np.intp)
        if known.stop and not self._watches:
            rules = [rule.resolved(evaluation.modes) for rule in known.stop]
            self._watches = [(rule.reason, rule.watch()) for rule in rules]
            for (_, watch), found in zip(self._watches, self._remembered, strict=False):
                watch.restore(found)
        self._rates.steps_per_epoch = -(-n // known.batch_size(n))
        self.history.stop_reason = self.history.stop_message = ""
        run = kind(
            **given,
            trainer=steps,
            n_slots=len(known.slots or ()),
            parameters=network.parameters,
            batch_size=known.batch_size(n),
            epochs=epochs,
            rates=self._rates,
            generator=generator,
            callbacks=callbacks,
            with_gradient_norm=known.with_norm,
            history=self.history,
            order=self._order,
            watches=self._watches,
        )
        self._engine.begin_run()
        return fit(run, _Hooks(self, evaluation))


class _Hooks(NetworkHooks):
    """Lets a trainer know how a run has left it and the network."""

    def __init__(self, trainer: Trainer, evaluation: Evaluation) -> None:
        super().__init__(trainer._network, evaluation)
        self._trainer = trainer

    def finish(self, run: Run, finished: bool) -> None:
        super().finish(run, finished)
        trainer = self._trainer
        trainer._order = run.order
        trainer._engine.leave()
        if run.history.stop_reason == "non_finite_loss":
            # The network is back at finite parameters; what led away from them is forgotten.
            trainer._engine.restart((None, 0, None), trainer._engine.seed)
