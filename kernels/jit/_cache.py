"""Compiled code on disk, in a folder of our own.

Numba's default folder lies beside the source, which may be read-only, and Numba only notices when
the file of the cached function changes; here one function is built from many files. So the folder
is the user's cache folder (``FASTMLP_CACHE_DIR`` moves it), and its name carries a hash of all
files of this package, the instruction set and Numba's version. Files are written beside their
place and renamed into it, so that several processes may compile at once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache, _CacheLocator

from ._host import host


@functools.cache
def folder() -> Path:
    """The folder for this version of the kernels on this machine."""
    parts = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        parts.update(path.name.encode() + path.read_bytes())
    parts.update(f"{host()} {llvmlite.__version__} {sys.version}".encode())
    return _root() / f"numba-{numba.__version__}-{parts.hexdigest()[:16]}"


def _root() -> Path:
    chosen = os.environ.get("FASTMLP_CACHE_DIR", "").strip()
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "fastmlp"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/fastmlp"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastmlp"


class _Locator(_CacheLocator):  # type: ignore[misc]
    """Tells Numba's cache where to write; the folder's name stands for the sources."""

    def __init__(self, line: int) -> None:
        self._line = line

    def get_cache_path(self) -> str:
        return str(folder())

    def get_source_stamp(self) -> str:
        return folder().name

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        locator = cls(py_func.__code__.co_firstlineno)
        locator.ensure_cache_path()
        return locator


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _Implementation


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(
        f"fastmlp compiles its Numba kernels anew in every process: {reason} "
        "(set FASTMLP_CACHE_DIR to a folder that can be written)",
        RuntimeWarning,
        stacklevel=6,
    )


def disk_cache(function: Callable[..., Any]) -> Any:
    """Numba's cache object for one function; one that does nothing where no folder is writable."""
    try:
        return _Cache(function)
    except (OSError, RuntimeError) as error:
        _warn(str(error))
        return NullCache()
