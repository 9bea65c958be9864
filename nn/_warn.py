"""Warnings that point at the user's own line."""

from __future__ import annotations

import functools
import sys
import warnings
from types import FrameType
from typing import Any

#: Modules whose frames lie between the user's line and the warning: this package, and what calls
#: its estimators on the user's behalf, maybe in a thread or process of its own.
_BETWEEN = (
    *(__name__.partition(".")[0], "sklearn", "joblib", "contextlib", "functools"),
    *("threading", "concurrent", "multiprocessing", "runpy", "imblearn"),
)


def warn(message: str, category: type[Warning] = UserWarning, module: str | None = None) -> None:
    """Warn as from the line that called the package, however many frames away it is.

    Parameters
    ----------
    module : str, optional
        What ``filterwarnings(module=…)`` is compared with; by default the user's module.
    """
    frame = _users(sys._getframe(1))
    known = frame.f_globals
    warnings.warn_explicit(  # by position: with names it takes half as long again
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module or known.get("__name__") or "<string>",
        known.setdefault("__warningregistry__", {}),
    )


def _users(frame: FrameType) -> FrameType:
    """The innermost frame that is the user's; in a worker's process or thread, which has none,
    the outermost of this package."""
    own, here = frame, frame
    while (package := _between(here.f_globals.get("__name__"))) or _is_worker(here):
        if package == _BETWEEN[0]:
            own = here
        if here.f_back is None:
            return own
        here = here.f_back
    return here


@functools.lru_cache(maxsize=256)
def _between(module: Any) -> str:
    """The package of ``_BETWEEN`` that a module is of, or nothing."""
    package = str(module or "").partition(".")[0]
    if package in ("", "_frozen_importlib"):
        return "joblib"
    return package if package in _BETWEEN else ""


def _is_worker(frame: FrameType) -> bool:
    """Whether this is a worker's own program, which runs as ``__main__``."""
    named = frame.f_globals.get("__name__") == "__main__"
    return named and "/joblib/" in frame.f_code.co_filename.replace("\\", "/")
