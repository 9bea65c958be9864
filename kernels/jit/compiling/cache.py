"""Compiled code on disk: which folder and file it is in.

Numba's default folder lies beside the source, which may be read-only, and Numba only notices when
the file of the cached function changes; here one function is built from many files. So the folder
is the user's cache folder (``FASTMLP_CACHE_DIR`` moves it), and its name carries a hash of all
files of the kernels, of the CPU and of the versions of Numba, llvmlite and Python. Files are
written beside their place and renamed into it, so that several processes may compile at once; each
holds one function of one signature, so that none can be taken for another. A folder that can only
be read is read; what is not in it is then compiled in every process, and said once. An unreadable
or damaged file is treated as missing. How a folder is kept safe and small: :mod:`.folders`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import sys
import warnings
from pathlib import Path

import llvmlite

from .._llvm import cpu
from ..vector.host import host
from .folders import Folder


@functools.cache
def folder() -> Path:
    """The folder for this version of the kernels on this machine."""
    parts = hashlib.sha256()
    package = Path(__file__).parents[2]
    for path in sorted([*package.glob("*.py"), *Path(__file__).parents[1].rglob("*.py")]):
        parts.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    parts.update(f"{host()} {llvmlite.__version__} {sys.version} {cpu()}".encode())
    return _root() / f"numba-{importlib.metadata.version('numba')}-{parts.hexdigest()[:16]}"


def _root() -> Path:
    chosen = os.environ.get("FASTMLP_CACHE_DIR", "").strip()
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "fastmlp"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/fastmlp"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastmlp"


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(
        f"fastmlp compiles Numba kernels anew in every process: {reason} "
        "(set FASTMLP_CACHE_DIR to a folder that only you can write to)",
        RuntimeWarning,
        stacklevel=6,
    )


@functools.cache
def _usable() -> Folder | None:
    """The folder, made or checked; with a warning, none."""
    found = Folder(folder())
    try:
        found.make()
    except OSError as error:
        _warn(str(error))
        return None
    return found


class CodeFile:
    """The file of one function of one signature; ``name`` is unique among all of them."""

    #: Files that were written since the folder was last made smaller.
    _written = 0

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return str(folder() / self._name)

    def read(self) -> bytes | None:
        """The code, if it is there."""
        place = _usable()
        try:
            return None if place is None else place.read(self._name)
        except OSError as error:
            _warn(str(error))
            return None

    def write(self, code: bytes) -> None:
        """Keep the code; where that fails, say so once."""
        place = _usable()
        if place is None:
            return
        try:
            if CodeFile._written % 64 == 0:
                place.shrink()
            CodeFile._written += 1
            place.write(self._name, code)
        except OSError as error:
            _warn(str(error))
