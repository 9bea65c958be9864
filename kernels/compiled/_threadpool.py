"""Makes the thread pool known to threadpoolctl, where that is installed.

``threadpoolctl.threadpool_info()`` then lists it and ``threadpool_limits`` limits it, whatever
thread count was asked for.
"""

from __future__ import annotations

from typing import Any


def register() -> None:
    """Teach threadpoolctl to recognise the extension among the process's libraries."""
    try:
        import threadpoolctl
    except ImportError:
        return

    class FastmlpController(threadpoolctl.LibController):  # type: ignore[misc]
        """The pool of ``src/threads/pool.c``; a limit of its default or more is none."""

        user_api = "fastmlp"
        internal_api = "fastmlp"
        filename_prefixes = ("_core",)
        check_symbols = ("fastmlp_get_num_threads", "fastmlp_set_num_threads")

        def get_num_threads(self) -> int:
            return int(self.dynlib.fastmlp_get_num_threads())

        def set_num_threads(self, num_threads: int) -> None:
            self.dynlib.fastmlp_set_num_threads(int(num_threads))

        def get_version(self) -> str | None:
            return None

        def set_additional_attributes(self) -> Any:
            from ._core import isa

            self.architecture = isa()

    threadpoolctl.register(FastmlpController)
