"""How many networks are done, shown while they are trained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..callbacks import counting_bar


@contextlib.contextmanager
def shown(progress: Any, k: int) -> Iterator[Callable[[int], object]]:
    """What is to be told how many of ``k`` networks are done.

    Parameters
    ----------
    progress : bool or function of (done, k)
    """
    if callable(progress):
        yield lambda done: progress(done, k)
        return
    if not isinstance(progress, bool):
        raise TypeError(f"progress must be a bool or a function of (done, k), got {progress!r}")
    if not progress:
        yield lambda done: None
        return
    bar = counting_bar(k, "network")
    if bar is None:
        every = max(1, k // 10)
        yield lambda done: (done % every and done != k) or print(f"network {done}/{k}", flush=True)
        return
    advance, close = bar
    try:
        yield lambda done: advance("")
    finally:
        close()
