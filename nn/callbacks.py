"""Callbacks: what runs between epochs of ``MLP.fit``.

A callback is an object of a class that derives from :class:`Callback`, or a plain function, which
is called after every epoch like :meth:`Callback.on_epoch_end`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .history import History
    from .mlp import MLP

__all__ = ["Callback", "ProgressLine"]


class Callback:
    """Base of callbacks; override what is needed.

    During a callback the network holds the parameters of the epoch that has just ended. It may
    change them: training goes on from the changed values, with the optimizer's state kept.
    """

    def on_train_begin(self, network: MLP, history: History) -> None:
        """Run once before the first epoch."""

    def on_epoch_end(self, network: MLP, history: History) -> bool | None:
        """Run after each epoch; return ``True`` to stop training.

        ``history`` ends with the values of this epoch; ``history.epochs`` is its number from 1.
        """
        return None

    def on_train_end(self, network: MLP, history: History) -> None:
        """Run once after the last epoch, also where training ends by an exception."""


EpochFunction = Callable[["MLP", "History"], bool | None]


class _FromFunction(Callback):
    """A plain function, called after every epoch."""

    def __init__(self, function: EpochFunction) -> None:
        self.function = function

    def on_epoch_end(self, network: MLP, history: History) -> bool | None:
        return self.function(network, history)


class ProgressLine(Callback):
    """Print one line per epoch: what ``fit(verbose=1)`` does.

    Parameters
    ----------
    epochs : int
        Number of epochs that were asked for.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, network: MLP, history: History) -> bool | None:
        line = f"epoch {history.epochs:{len(str(self.epochs))}}/{self.epochs}"
        line += f"  loss {history.loss[-1]:.6g}"
        if history.validation_loss:
            line += f"  validation loss {history.validation_loss[-1]:.6g}"
        print(f"{line}  {history.seconds[-1]:.3g} s", flush=True)
        return None


def as_callbacks(
    callbacks: Callback | EpochFunction | Iterable[Callback | EpochFunction],
) -> list[Callback]:
    """Return a list of :class:`Callback` objects; raise ``TypeError`` for anything else."""
    if isinstance(callbacks, Callback) or callable(callbacks):
        callbacks = [callbacks]
    found: list[Callback] = []
    for callback in callbacks:
        if isinstance(callback, Callback):
            found.append(callback)
        elif callable(callback) and not isinstance(callback, type):
            found.append(_FromFunction(callback))
        else:
            raise TypeError(
                "a callback must be a function or an object of a class derived from "
                f"fastmlp.callbacks.Callback, got {callback!r}"
            )
    return found
