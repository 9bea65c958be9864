"""Compiled code on disk, in a folder of our own.

Numba's default folder lies beside the source, which may be read-only, and Numba only notices when
the file of the cached function changes; here one function is built from many files. So the folder
is the user's cache folder (``FASTMLP_CACHE_DIR`` moves it), and its name carries a hash of all
files of this package, the instruction set and the versions of Numba, llvmlite and Python. Files
are written beside their place and renamed into it, so that several processes may compile at once;
each holds one function of one signature, so that none can be taken for another. A folder that can
only be read is read; what is not in it is then compiled in every process, and said once. A file
that cannot be understood is as good as none.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache, _CacheLocator

from ..vector.host import host


@functools.cache
def folder() -> Path:
    """The folder for this version of the kernels on this machine."""
    parts = hashlib.sha256()
    package = Path(__file__).parents[2]
    for path in sorted([*package.glob("*.py"), *Path(__file__).parents[1].rglob("*.py")]):
        parts.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
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


#: Folders of earlier versions that are left beside a new one: other environments may use them.
_KEPT = 4


def _make_folder() -> None:
    """Make the folder; where it is new, clear away those whose last use lies back furthest."""
    own = folder()
    if own.is_dir():
        with contextlib.suppress(OSError):
            os.utime(own)  # it has been used
        return
    own.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        others = [path for path in own.parent.glob("numba-*") if path != own and path.is_dir()]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)


class _Locator(_CacheLocator):  # type: ignore[misc]
    """Tells Numba's cache where to write; the folder's name stands for the sources."""

    def get_cache_path(self) -> str:
        return str(folder())

    def get_source_stamp(self) -> str:
        return folder().name

    def get_disambiguator(self) -> str:
        return "1"

    def ensure_cache_path(self) -> None:
        """Whether it can be written to shows when something is."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        return cls()


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _Implementation

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # whatever a damaged file makes of unpickling
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            try:
                super().save_overload(signature, data)
            except (EOFError, ValueError, pickle.PickleError):  # the index is damaged
                self.flush()
                super().save_overload(signature, data)
        except OSError as error:
            _warn(str(error))


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(
        f"fastmlp compiles Numba kernels anew in every process: {reason} "
        "(set FASTMLP_CACHE_DIR to a folder that can be written)",
        RuntimeWarning,
        stacklevel=6,
    )


@functools.cache
def _usable() -> bool:
    try:
        _make_folder()
    except OSError as error:
        _warn(str(error))
        return False
    return True


def disk_cache(function: Callable[..., Any]) -> Any:
    """Numba's cache object for a function of one signature, with a name of its own; one that does
    nothing where there can be no folder."""
    return _Cache(function) if _usable() else NullCache()
