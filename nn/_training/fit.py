"""What :meth:`fastmlp.MLP.fit` adds to the loop: finite parameters, losses and metrics measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .._inputs.arrays import all_finite
from .._typing import Array
from .._warn import warn
from .evaluation import Evaluation
from .loop import Hooks, train
from .run import Run

if TYPE_CHECKING:
    from .._network.network import Network
    from ..history import History


#: Where a run has diverged.
ADVICE = "training stopped; a smaller learning rate or scaled inputs may help"


class NetworkHooks(Hooks):
    """Keeps a network's parameters those of the last finished epoch.

    During validation and callbacks, too; where an exception ends training they are those of the
    last finished step. A loss or parameters that are not finite end the run with the last
    parameters that were.
    """

    def __init__(self, network: Network, evaluation: Evaluation) -> None:
        self.owner = network
        self.evaluation = evaluation
        #: Parameters of the epoch before.
        self.before: Array = network.parameters.copy()

    def current(self) -> Array:
        parameters: Array = self.owner.parameters
        return parameters

    def unseen(self, run: Run) -> float:
        return math.inf if self.evaluation.empty else 1

    def epoch_trained(self, run: Run, finite: bool) -> None:
        if finite:
            self.before[...] = run.parameters
            run.show()
        else:
            stop_at_last_finite(run.history, run.parameters, self.before)

    def epochs_trained(self, run: Run) -> None:
        run.show()
        self.before[...] = run.parameters

    def measure(self, run: Run) -> None:
        if not self.evaluation.empty:
            self.evaluation.measure(run.history)

    def finish(self, run: Run, finished: bool) -> None:
        if not finished:
            run.show()
            return
        if run.history.stop_reason != "non_finite_loss" and not all_finite(run.parameters):
            stop_at_last_finite(run.history, run.parameters, self.before)
        for _, watch in run.watches:
            watch.training_ended(run.history, run.parameters)


def stop_at_last_finite(history: History, parameters: Array, before: Array) -> None:
    """Say what is not finite, and go back to the last parameters that are.

    The losses of an epoch are measured before its updates: a finite loss shows that the parameters
    at its beginning (``before``) were finite, those at its end need a look.
    """
    loss = history.loss[-1]
    broken = "parameters became infinite"
    if not math.isfinite(loss):
        broken = f"the loss became {loss}"
    history.stop_reason = "non_finite_loss"
    history.stop_message = f"{broken} in epoch {history.epochs}"
    if not all_finite(parameters):
        parameters[...] = before


def warned(history: History) -> History:
    """The history, with a warning where its run has diverged."""
    if history.stop_reason == "non_finite_loss":
        warn(f"{history.stop_message}: {ADVICE}", RuntimeWarning)
    return history


def fit(run: Run, hooks: NetworkHooks) -> History:
    """Carry a run out whose trainer is loaded.

    Warns
    -----
    RuntimeWarning
        Where the loss or a parameter is not finite; the last finite parameters are kept.
    """
    train(run, hooks)
    return warned(run.history)


def carry_out(run: Run, hooks: NetworkHooks) -> History:
    """Do what :func:`fit` does without its warning, from the network's parameters on."""
    run.trainer.load(run.parameters)
    train(run, hooks)
    return run.history
