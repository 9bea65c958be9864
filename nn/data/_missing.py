"""Libraries that only some sources need."""

from __future__ import annotations

import importlib
from typing import Any


def needed(module: str, what: str) -> Any:
    """Import a library; say how to install it where it is missing."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(
            f"reading {what} needs {package}: pip install {package} (or 'fastmlp[data]')"
        ) from None
