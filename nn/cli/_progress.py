"""Progress of a training, shown on the terminal and kept as a record."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from fastmlp.callbacks import Callback

from .._model import Preprocessing
from .._typing import Array
from ._scores import measure, show
from ._usage import say

if TYPE_CHECKING:
    from fastmlp import MLP
    from fastmlp.history import History


class Display(Protocol):
    """Shows epochs as they end."""

    def show(self, epoch: int, text: str, rows_per_second: float) -> None:
        """``text`` holds the losses and the metric."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Silent:
    """No progress."""

    def show(self, epoch: int, text: str, rows_per_second: float) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """One line for each epoch, for files, pipes and where rich is not installed."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def show(self, epoch: int, text: str, rows_per_second: float) -> None:
        width = len(str(self.epochs))
        line = f"epoch {epoch:{width}}/{self.epochs}  {text}  {rows_per_second:>11,.0f} rows/s"
        say(line)

    def close(self) -> None:
        pass


class Bar:
    """A progress bar by rich."""

    def __init__(self, epochs: int) -> None:
        from rich import progress

        columns: list[progress.ProgressColumn] = [
            progress.TextColumn("epoch {task.completed}/{task.total}"),
            progress.BarColumn(bar_width=8),
            progress.TextColumn("{task.fields[text]}"),
            progress.TextColumn("[cyan]{task.fields[speed]}"),
        ]
        self._progress = progress.Progress(*columns)
        if self._progress.console.width >= 100:  # else the line would be cut off
            columns.append(progress.TimeRemainingColumn(compact=True))
            self._progress = progress.Progress(*columns)
        self._task = self._progress.add_task("", total=epochs, text="", speed="")
        self._progress.start()

    def show(self, epoch: int, text: str, rows_per_second: float) -> None:
        short = text.replace("validation", "val.")
        speed = f"{rows_per_second / 1000:,.0f}k rows/s"
        self._progress.update(self._task, completed=epoch, text=short, speed=speed)

    def close(self) -> None:
        self._progress.stop()


def choose_display(epochs: int, quiet: bool) -> Display:
    """A bar on a terminal with rich, else lines."""
    if quiet:
        return Silent()
    if sys.stdout.isatty() and find_spec("rich") is not None:
        return Bar(epochs)
    return Lines(epochs)


class Monitor(Callback):
    """Measures the validation rows after every epoch, tells the display, keeps the record.

    The record outlives an interrupted ``fit``, which returns nothing.

    Attributes
    ----------
    history : History or None
        Losses and seconds of the finished epochs.
    validation : list of dict
        Metrics of the validation rows after each epoch; empty without such rows.
    diverged : bool
        Whether training was stopped because the loss was not finite any more.
    """

    def __init__(
        self,
        display: Display,
        preprocessing: Preprocessing,
        n_rows: int,
        inputs: Array | None,
        targets: Array | None,
    ) -> None:
        self.display = display
        self.preprocessing = preprocessing
        self.n_rows = n_rows
        self.inputs, self.targets = inputs, targets
        self.history: History | None = None
        self.validation: list[dict[str, float]] = []
        self.diverged = False

    def on_train_begin(self, network: MLP, history: History) -> None:
        self.history = history

    def on_epoch_end(self, network: MLP, history: History) -> bool | None:
        text = f"loss {history.loss[-1]:<8.4g}"
        if self.inputs is not None and self.targets is not None:
            metrics = measure(self.preprocessing, network.predict(self.inputs), self.targets)
            self.validation.append(metrics)
            text += f" validation {history.validation_loss[-1]:<8.4g} {show(metrics)}"
        self.diverged = not math.isfinite(history.loss[-1])
        speed = self.n_rows / max(history.seconds[-1], 1e-9)
        self.display.show(history.epochs, text, speed)
        return self.diverged


def elapsed(seconds: float) -> str:
    """A time for a person: ``4.0 ms``, ``1.35 s``, ``02:15``."""
    if seconds < 0.1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 120:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    clock = f"{rest // 60:02}:{rest % 60:02}"
    return f"{hours}:{clock}" if hours else clock
