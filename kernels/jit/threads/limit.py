"""The limit that threadpoolctl sets on this backend's threads.

``threadpoolctl.threadpool_info()`` lists the backend by the library that its code comes from,
llvmlite's, as the libraries of Numba's thread pools are loaded only when they are first used; and
``threadpool_limits`` limits it, whatever thread count was asked for.
"""

from __future__ import annotations

import llvmlite
import numba


class _Limit:
    """Threads that a job uses at most."""

    def __init__(self) -> None:
        self.n_threads: int = numba.config.NUMBA_NUM_THREADS


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
            limit.n_threads = max(1, min(int(num_threads), numba.config.NUMBA_NUM_THREADS))

        def get_version(self) -> str:
            return str(llvmlite.__version__)

        def set_additional_attributes(self) -> None:
            self.threading_layer = str(numba.config.THREADING_LAYER)

    threadpoolctl.register(FastmlpNumbaController)
