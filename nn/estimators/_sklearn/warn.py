"""Warnings that point at the user's own line."""

from __future__ import annotations

import sys
import warnings

#: Whose frames lie between the user's line and the warning.
_WITHIN = (__name__.partition(".")[0] + ".", "sklearn.", "contextlib")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as from the line that called the estimator, however many frames away it is."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_WITHIN):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
