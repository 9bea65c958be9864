"""Names, exit codes, errors and output that all commands share."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import get_args

from .._typing import OptimizerName, ScheduleName

NAMED_DATA = ("digits", "mnist", "fashion-mnist")
#: Names for the help text; they are checked where the modules are imported anyway.
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
#: The loss of a mean and a variance, whose module the help text need not import.
GAUSSIAN = "gaussian_nll"
#: Exit codes: done, failed, wrong command line, some rows without prediction, interrupted.
DONE, FAILED, USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130


class UsageError(Exception):
    """Options that do not fit together; the exit code is 2."""


def version() -> str:
    """Version of the installed package."""
    return metadata.version("fastmlp")


def say(text: str = "", *, error: bool = False) -> None:
    """Print for a person: control characters of names as escapes, and no reader is no failure.

    A reader that has enough (``… | head -1``) does not end a training: the rest is said to nobody.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    plain = "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )
    try:
        print(plain.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        silence(stream.fileno())


def silence(descriptor: int) -> None:
    """Send what goes to a closed pipe nowhere, also when the interpreter flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
