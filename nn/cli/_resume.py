"""The run itself as a file, and ``--resume``: it goes on as if it had never ended.

Beside the state of :class:`fastmlp.callbacks.Checkpoint` the file says which options and rows the
run was made with. Others are refused by their names: with them the same bits could not be meant.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fastmlp import kernels, schedules
from fastmlp.callbacks import Checkpoint

from .. import serialization
from .._files import shown
from .._model import stored
from .._model.in_blocks import Blocks
from .._training import checkpoint
from ._choices import Plan
from ._sources import TEST_SHARE, Rows, Source
from ._usage import UsageError

if TYPE_CHECKING:
    from fastmlp import MLP
    from fastmlp.history import History

    from ._progress import Monitor

RUN_NAME = "run.safetensors"
#: The note in the file.
_NOTE = "fastmlp.train"
#: Seconds between two files of a run that goes on.
PAUSE = 5.0
#: Options that change no bit of what is learned, or that the rows speak for.
_FREE = frozenset(
    ("command", "data", "data_dir", "out", "resume", "quiet", "cv", "threads", "epochs", "mpi")
)


def read(folder: Path) -> dict[str, Any]:
    """What the file in a folder says of its run."""
    path = folder / RUN_NAME
    serialization.safetensors()  # says what to install
    if not path.is_file():
        raise UsageError(f"--resume: {shown(folder)} holds no {RUN_NAME} to go on with")
    try:
        found = json.loads(checkpoint.notes_of(path)[_NOTE])
        wanted = {"options": dict, "rows": dict, "metrics": list, "epochs": int, "stopped": str}
        if {name: type(found[name]) for name in wanted} != wanted:
            raise ValueError("its entries are of other types")
    except (KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(f"{shown(path)} was not written by fastmlp train") from None
    return dict(found)


class Recorder(Checkpoint):
    """Keeps the state after each epoch, and writes it now and then.

    Ctrl-C comes in the middle of an epoch: the state of the last whole one is in memory then, and
    :meth:`write` saves it. A killed process loses the epochs of a few seconds.
    """

    def __init__(
        self, folder: Path, options: argparse.Namespace, source: Source, plan: Plan
    ) -> None:
        super().__init__(os.fspath(folder / RUN_NAME))
        self.folder, self.plan = folder, plan
        self.options, self.rows = _options(options, plan), _rows(source)
        self._metrics: list[dict[str, float]] = []
        #: Writes the last whole epoch.
        self._save: Callable[[], None] | None = None
        self._next = time.monotonic() + PAUSE

    def go_on_from(self, earlier: dict[str, Any]) -> None:
        """Compare the run with that of the file; say what differs."""
        where = f"the run in {shown(self.folder)}"
        for name in {**earlier["options"], **self.options}:
            was, now = earlier["options"].get(name), self.options.get(name)
            if was != now:
                raise UsageError(
                    f"--resume: --{name.replace('_', '-')} must be that of {where}, {_said(was)}, "
                    f"got {_said(now)}"
                )
        for name in self.rows:
            if self.rows[name] != earlier["rows"].get(name):
                raise UsageError(f"--resume: the data are not those of {where}: {name} differ")
        if earlier["stopped"]:
            raise UsageError(f"--resume: {where} has ended by itself: {earlier['stopped']}")
        if earlier["epochs"] >= self.plan.epochs:
            raise UsageError(
                f"--resume: --epochs must be more than the {earlier['epochs']} that {where} has "
                f"done, got {self.plan.epochs}"
            )
        self._metrics = earlier["metrics"]

    def follow(self, monitor: Monitor) -> None:
        """Keep what a monitor records, after what it would have recorded before."""
        monitor.validation[:0] = self._metrics
        self._metrics = monitor.validation

    def on_epoch_end(self, network: MLP, history: History) -> bool | None:
        trainer = self.trainer
        if trainer is None or not math.isfinite(history.loss[-1]):
            return None
        if not np.isfinite(network.parameters).all():
            return None
        state, epochs = trainer.state, history.epochs
        notes = {
            "options": self.options,
            "rows": self.rows,
            "metrics": self._metrics[:epochs],
            "epochs": epochs,
            "stopped": history.stop_message,
        }

        def save() -> None:
            text = {_NOTE: json.dumps(notes)}
            checkpoint.save(self.path, state, trainer.network, trainer._known, text)

        self._save = save
        if time.monotonic() >= self._next:
            self.write()
        return None

    def on_train_end(self, network: MLP, history: History) -> None:
        """What is left is written with the other files."""

    def write(self) -> bool:
        """Write the last whole epoch; whether there is one."""
        if self._save is None:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        self._save()
        self._next = time.monotonic() + PAUSE
        return True


def _options(options: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    """Every option that a bit depends on, as JSON gives it back, defaults filled in."""
    found = {name: value for name, value in vars(options).items() if name not in _FREE}
    found |= {
        "output": plan.output,
        "loss": plan.loss,
        "learning_rate": float(plan.optimizer.learning_rate),
        "test": options.test or TEST_SHARE,
        "backend": kernels.info()["backend"],
    }
    if isinstance(options.validation, Path):
        found["validation"] = "a table"  # whose rows are compared
    if schedules.get(options.schedule).needs_length:
        found["epochs"] = plan.epochs
    return dict(json.loads(json.dumps(found)))


def _rows(source: Source) -> dict[str, str]:
    """Digests of the rows and of what they mean."""
    meaning = stored.to_text(dataclasses.replace(source.preprocessing, name=""))
    return {
        "columns": hashlib.blake2b(meaning.encode(), digest_size=16).hexdigest(),
        "training rows": _digest(source.train),
        "validation rows": _digest(source.validation),
        "test rows": _digest(source.test),
    }


def _digest(rows: Rows | Blocks | None) -> str:
    assert not isinstance(rows, Blocks)  # of which no state is kept
    found = hashlib.blake2b(digest_size=16)
    for array in () if rows is None else (rows.x, rows.y):
        whole = np.ascontiguousarray(array)
        if whole.dtype == object:
            whole = whole.astype(np.str_)
        found.update(f"{whole.dtype.str} {whole.shape}".encode())
        found.update(whole.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _said(value: Any) -> str:
    """A value as it would be said on the command line."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "not given" if value is None or value is False else str(value)
