"""Warnings that point at the user's own line."""

from __future__ import annotations

import functools
import sys
import warnings
from types import FrameType

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
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=module or known.get("__name__") or "<string>",
        registry=known.setdefault("__warningregistry__", {}),
    )


def _users(frame: FrameType) -> FrameType:
    """The innermost frame that is the user's; in a worker's process or thread, which has none,
    the outermost of this package."""
    own, here = frame, frame
    while (module := _module(here)) in _BETWEEN:
        if module == _BETWEEN[0]:
            own = here
        if here.f_back is None:
            return own
        here = here.f_back
    return here


def _module(frame: FrameType) -> str:
    """Top of the module's name; by its file for a worker, which runs as ``__main__``."""
    return _top(str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename)


@functools.lru_cache(maxsize=256)
def _top(name: str, filename: str) -> str:
    name = name.partition(".")[0]
    if name == "__main__" and "/joblib/" in filename.replace("\\", "/"):
        return "joblib"
    return "joblib" if name in ("", "_frozen_importlib") else name
