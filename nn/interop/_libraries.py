"""Libraries that may not be installed."""

from __future__ import annotations

import importlib
from typing import Any


def need(module: str, purpose: str, package: str | None = None) -> Any:
    """Import a module of an optional library, or say what to install.

    Parameters
    ----------
    module : str
        Dotted name.
    purpose : str
        What needs it, as the beginning of the message.
    package : str, optional
        What pip installs; by default the first part of ``module``.

    Raises
    ------
    ImportError
        Where it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        install = f"pip install {package or library!r}"
        raise ImportError(f"{purpose} needs {library}: {install}") from error


class Library:
    """A module of an optional library that is imported when something of it is first asked for."""

    def __init__(self, module: str, purpose: str) -> None:
        self._needed = (module, purpose)

    def __getattr__(self, name: str) -> Any:
        return getattr(need(*self._needed), name)
