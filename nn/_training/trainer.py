"""One step at a time: a training run as an object, whose state can be read, set and saved."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import ArrayLike

from .._cluster import agreement
from .._inputs import numbers
from .._network.batch import Batch
from .._network.network import Network
from .._streams import rows as streams
from .._streams.stream import StreamBatch
from ..history import History
from . import checkpoint, plan
from . import epochs as epochs_of
from .options import Options
from .steps import SingleSteps

__all__ = ["Trainer"]


class Trainer(SingleSteps):
    """Trains a network step by step, or epoch by epoch; ``MLP.trainer`` makes one.

    Everything that a later step depends on is in :attr:`state`: a run that is cut anywhere between
    two epochs, saved, and gone on with elsewhere equals the whole to the bit. The network shows
    every step at once, and what is changed in it between two calls is what training goes on from,
    with the optimizer's moments kept.

    Parameters
    ----------
    network : MLP
        What is trained.
    options : Options
        Those of ``MLP.fit``, checked.
    loss : str or object of ``fastmlp.losses``, optional
        As in ``MLP.fit``.
    optimizer : str or object of ``fastmlp.optimizers``, default "adam"
        As in ``MLP.fit``.
    kept : tuple, optional
        What the network has made ready for an equal call before.

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
        X, y : arrays, or a source
            As those of ``MLP.fit``; a source has no ``y``.
        epochs : int, default 1
            Epochs to make, at most: stop rules and callbacks may end them earlier.
        sample_weight : (n,) or (n, n_targets) array-like, optional
            Factor of each row, or of each target of each row, not negative.

        Returns
        -------
        History
            :attr:`history`, of all epochs so far.
        """
        more = numbers.count("epochs", epochs, 0)
        options = self._options
        batch = self._rows(X, y, sample_weight, options.class_weight)
        return epochs_of.train(self, batch, self.history.epochs + more, options)

    def rows_of_fit(self, X: Any, y: Any, options: Options) -> Batch | StreamBatch:
        """The rows that :meth:`fit` takes, checked.

        Parameters
        ----------
        X, y : arrays, or a source
            As in ``MLP.fit``.
        options : Options
            Those of ``MLP.fit``, checked.

        Returns
        -------
        Batch or StreamBatch
            Rows, targets and weights as the kernels take them.
        """
        return self._rows(X, y, options.sample_weight, options.class_weight)

    def words(self, batch: Batch | StreamBatch, options: Options) -> list[str]:
        """What all ranks of a communicator have to agree on.

        Parameters
        ----------
        batch : Batch or StreamBatch
            Rows of a fit.
        options : Options
            Those of ``MLP.fit``, checked.

        Returns
        -------
        list of str
            Equal on all ranks, or the fit is refused.
        """
        return agreement.words(self._network, self._known, batch, options)

    def fit(
        self,
        batch: Batch | StreamBatch,
        options: Options,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """What ``MLP.fit`` does: train until so many epochs are done, those of the file counted.

        Parameters
        ----------
        batch : Batch or StreamBatch
            Rows of the fit.
        options : Options
            Those of ``MLP.fit``, checked.
        resume : str or path, optional
            File to go on from.

        Returns
        -------
        History
            Learning curves of the whole run.
        """
        state = None
        if resume is not None:
            state = checkpoint.load(resume, self._network, self._known)
            n = streams.run_of(batch, self._known, self._options.shuffle, 1)[2]
            checkpoint.check_rows(state, n, self._known.batch_size(batch.n_rows))
        epochs = numbers.count("epochs", options.epochs, 0)
        return epochs_of.train(self, batch, epochs, options, state)
