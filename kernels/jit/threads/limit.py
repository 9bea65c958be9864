"""The limit that threadpoolctl sets on this backend's threads.

``threadpoolctl.threadpool_info()`` lists the backend by the library that its code comes from,
llvmlite's, as the libraries of Numba's thread pools are loaded only when they are first used; and
``threadpool_limits`` limits it, whatever thread count was asked for.
"""

from __future__ import annotations

import llvmlite

# Numba is imported when somebody wants to know of its pool, or to use it.


def _pool_size() -> int:
    """Threads of Numba's pool."""
    from .._numba import pool_size

    return pool_size()


def pool_limit() -> int:
    """How many of them may be used now: ``numba.set_num_threads``."""
    from .._numba import pool_limit

    return pool_limit()


def parallel_for(function: int, argument: int, members: int) -> None:
    """Call compiled code in so many of them; see :func:`.._numba.parallel_for`."""
    from .._numba import parallel_for

    parallel_for(function, argument, members)


class _Limit:
    """Threads that a job uses at most: what was set, else all of the pool."""

    def __init__(self) -> None:
        self._chosen: int | None = None

    @property
    def n_threads(self) -> int:
        return _pool_size() if self._chosen is None else self._chosen

    @n_threads.setter
    def n_threads(self, count: int) -> None:
        self._chosen = max(1, min(int(count), _pool_size()))


limit = _Limit()


def register() -> None:
    """Make the backend known to threadpoolctl, where that is installed."""
    try:
        import threadpoolctl
    except ImportError:
        return

    class FastmlpNumbaController(threadpoolctl.LibController):  # type: ignore[misc]
        """Threads of the Numba backend of fastmlp."""

        user_api = "fastmlp"
        internal_api = "fastmlp-numba"
        filename_prefixes = ("libllvmlite", "llvmlite")

        def get_num_threads(self) -> int:
            return limit.n_threads

        def set_num_threads(self, num_threads: int) -> None:
            limit.n_threads = num_threads

        def get_version(self) -> str:
            return str(llvmlite.__version__)

        def set_additional_attributes(self) -> None:
            from .._numba import layer

            self.threading_layer = layer()

    threadpoolctl.register(FastmlpNumbaController)
