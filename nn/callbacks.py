"""Callbacks: what runs between epochs, or between batches, of ``MLP.fit``.

A callback is an object of a class that derives from :class:`Callback`, or a plain function, which
is called after every epoch like :meth:`Callback.on_epoch_end`.

==========================  ==================================================================
:class:`ProgressLine`       prints a line for each epoch
:class:`ProgressBar`        draws a bar, by rich or tqdm where one is installed
:class:`ParameterPath`      keeps the parameters as they change, to draw the path of a descent
:class:`Checkpoint`         writes the state of the run to a file, to go on from there
==========================  ==================================================================

Without a callback for batches no Python runs between the batches of an epoch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ._inputs.numbers import count
from ._typing import Array
from .history import History

if TYPE_CHECKING:
    from ._training.trainer import Trainer

__all__ = ["Callback", "Checkpoint", "ParameterPath", "ProgressBar", "ProgressLine"]

#: What is being trained, a network or an estimator: both have ``parameters``, one flat vector.
#: Not a protocol, so that an overriding method may say which of them it takes.
Model: TypeAlias = Any


class Callback:
    """Base of callbacks; override what is needed.

    During a callback the network holds the parameters of the epoch (or batch) that has just ended.
    It may change them: training goes on from the changed values, with the optimizer's state kept.
    """

    @property
    def every_batch(self) -> bool:
        """Whether :meth:`on_batch_end` is to be called: where it is overridden."""
        return type(self).on_batch_end is not Callback.on_batch_end

    def on_train_begin(self, network: Model, history: History) -> None:
        """Run once before the first epoch.

        Parameters
        ----------
        network : MLP
            What is trained.
        history : History
            Empty, or what a resumed run has recorded.
        """

    def on_batch_end(self, network: Model, history: History, batch: int, loss: float) -> None:
        """Run after each update.

        Overriding it makes training slower: each batch then starts from Python.

        Parameters
        ----------
        network : MLP
            What is trained, after the update.
        history : History
            Of the epochs before.
        batch : int
            Its number within the epoch, from 0.
        loss : float
            Mean loss of its rows before the update, penalty included.
        """

    def on_epoch_end(self, network: Model, history: History) -> bool | None:
        """Run after each epoch; return ``True`` to stop training.

        ``history`` ends with the values of this epoch; ``history.epochs`` is its number from 1.

        Parameters
        ----------
        network : MLP
            What is trained.
        history : History
            Of all epochs so far.
        """
        return None

    def on_train_end(self, network: Model, history: History) -> None:
        """Run once after the last epoch, also where training ends by an exception.

        Parameters
        ----------
        network : MLP
            What was trained.
        history : History
            Of all epochs that were finished.
        """


EpochFunction = Callable[[Model, History], bool | None]


class _FromFunction(Callback):
    """A plain function, called after every epoch."""

    def __init__(self, function: EpochFunction) -> None:
        self.function = function

    def on_epoch_end(self, network: Model, history: History) -> bool | None:
        return self.function(network, history)


class ProgressLine(Callback):
    """Print one line per epoch: what ``fit(verbose=2)`` does.

    Parameters
    ----------
    epochs : int
        Number of epochs that were asked for.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, network: Model, history: History) -> bool | None:
        line = f"epoch {history.epochs:{len(str(self.epochs))}}/{self.epochs}"
        print(f"{line}  {_numbers(history)}  {history.seconds[-1]:.3g} s", flush=True)
        return None


class ProgressBar(Callback):
    """A bar that fills with the epochs: what ``fit(verbose=1)`` does on a terminal.

    Drawn by rich, else by tqdm, whichever is installed; else one line per epoch.

    Parameters
    ----------
    epochs : int
        Number of epochs that were asked for.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self._show: Callable[[str], object] | None = None
        self._close: Callable[[], object] | None = None

    def on_train_begin(self, network: Model, history: History) -> None:
        bar = counting_bar(self.epochs, "epoch")
        if bar is not None:
            self._show, self._close = bar

    def on_epoch_end(self, network: Model, history: History) -> bool | None:
        if self._show is None:
            return ProgressLine(self.epochs).on_epoch_end(network, history)
        self._show(_numbers(history))
        return None

    def on_train_end(self, network: Model, history: History) -> None:
        if self._close is not None:
            self._close()
        self._show = self._close = None


def counting_bar(
    total: int, unit: str
) -> tuple[Callable[[str], object], Callable[[], object]] | None:
    """A bar of rich, else of tqdm: what advances it by one, with a text, and what closes it."""
    if find_spec("rich") is not None:
        return _rich_bar(total, unit)
    if find_spec("tqdm") is not None:
        return _tqdm_bar(total, unit)
    return None


def _rich_bar(total: int, unit: str) -> tuple[Callable[[str], object], Callable[[], object]]:
    from rich import progress

    bar = progress.Progress(
        progress.TextColumn(unit + " {task.completed}/{task.total}"),
        progress.BarColumn(bar_width=20),
        progress.TextColumn("{task.fields[text]}"),
        progress.TimeRemainingColumn(compact=True),
    )
    task = bar.add_task("", total=total, text="")
    bar.start()
    return lambda text: bar.update(task, advance=1, text=text), bar.stop


def _tqdm_bar(total: int, unit: str) -> tuple[Callable[[str], object], Callable[[], object]]:
    from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

    bar = tqdm(total=total, unit=unit)

    def show(text: str) -> None:
        bar.set_postfix_str(text, refresh=False)
        bar.update()

    return show, bar.close


def _numbers(history: History) -> str:
    """Losses and metrics of the last epoch."""
    text = f"loss {history.loss[-1]:.6g}"
    if history.validation_loss:
        text += f"  validation loss {history.validation_loss[-1]:.6g}"
    for name, curve in history.metrics.items():
        if name.startswith("validation_") or f"validation_{name}" not in history.metrics:
            text += f"  {name.replace('_', ' ')} {curve[-1]:.4g}"
    return text


def progress(epochs: int, verbose: int) -> Callback:
    """The callback of ``fit(verbose=…)``: a bar on a terminal for 1, else lines."""
    bar = verbose == 1 and sys.stdout.isatty()
    return ProgressBar(epochs) if bar else ProgressLine(epochs)


class ParameterPath(Callback):
    """Keep the parameters as they change, from the first on.

    Parameters
    ----------
    every : {"epoch", "batch"}, default "epoch"
        When to take them.

    Attributes
    ----------
    points : list of (n_parameters,) arrays
        Copies; the first was taken before training.

    Raises
    ------
    ValueError
        For another ``every``.
    """

    def __init__(self, every: Literal["epoch", "batch"] = "epoch") -> None:
        if every not in ("epoch", "batch"):
            raise ValueError(f"every must be 'epoch' or 'batch', got {every!r}")
        self.every = every
        self.points: list[Array] = []

    @property
    def every_batch(self) -> bool:
        return self.every == "batch"

    def on_train_begin(self, network: Model, history: History) -> None:
        self.points.append(network.parameters.copy())

    def on_batch_end(self, network: Model, history: History, batch: int, loss: float) -> None:
        self.points.append(network.parameters.copy())

    def on_epoch_end(self, network: Model, history: History) -> bool | None:
        if self.every == "epoch":
            self.points.append(network.parameters.copy())
        return None


class Checkpoint(Callback):
    """Write the state of the run to a file, for ``fit(resume=path)`` or ``Trainer.load``.

    The file appears at once and whole, or the one before stays, whatever happens meanwhile.

    Parameters
    ----------
    path : str or path
        ``{epoch}`` in it is replaced by the number of epochs that are done.
    every : int, default 1
        Epochs between two files; after the last epoch there is one anyway.
    every_steps : int, optional
        Also write within epochs, each time after so many steps of one: for long epochs, such as
        those of a source. A run that goes on from there reads the blocks of one buffer again.

    Notes
    -----
    For networks: ``MLP.fit``, ``Trainer.run``. A file is written by safetensors.
    """

    def __init__(
        self, path: str | os.PathLike[str], every: int = 1, every_steps: int | None = None
    ) -> None:
        self.path, self.every = os.fspath(path), count("every", every, 1)
        self.every_steps = None if every_steps is None else count("every_steps", every_steps, 1)
        #: Whose state is written; set when a run begins.
        self.trainer: Trainer | None = None
        self._written = 0

    def on_train_begin(self, network: Model, history: History) -> None:
        self._written = history.epochs

    def on_epoch_end(self, network: Model, history: History) -> bool | None:
        if history.epochs % self.every == 0:
            self._write(history.epochs)
        return None

    def on_steps(self, history: History, step: int) -> None:
        """Write the state within an epoch, where it is time.

        Parameters
        ----------
        history : History
            Of the epochs before.
        step : int
            Steps of this epoch so far.
        """
        if self.every_steps is not None and step % self.every_steps == 0:
            self._write(history.epochs)

    def on_train_end(self, network: Model, history: History) -> None:
        if history.stop_reason != "interrupted" and history.epochs > self._written:
            self._write(history.epochs)

    def _write(self, epochs: int) -> None:
        if self.trainer is None:
            raise ValueError("Checkpoint is for MLP.fit and Trainer.run: they have a state to keep")
        self.trainer.save(self.path.replace("{epoch}", str(epochs)))
        self._written = epochs


def as_callbacks(
    callbacks: Callback | EpochFunction | Iterable[Callback | EpochFunction],
) -> list[Callback]:
    """Return a list of :class:`Callback` objects; raise ``TypeError`` for anything else."""
    if isinstance(callbacks, Callback) or callable(callbacks):
        callbacks = [callbacks]
    found: list[Callback] = []
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be functions or objects of Callback, got {callbacks!r}")
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
