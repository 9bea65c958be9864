"""Atomic writing: under the good name there is the old file or the whole new one, never a part.

The new content goes to a temporary file in the same folder, is flushed to the disk, and takes the
name over in one step. Several threads and processes may write to one path: the last one wins. A
symbolic link stays a link, and its target is replaced. What a killed process has left behind is
removed by the next one that writes into the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: left-over files stay
    fcntl = None  # type: ignore[assignment]

#: Names of temporary files; short, so that any name that a folder takes can be written to.
_TEMPORARY = re.compile(r"\.fastmlp-[0-9a-f]{16}\.part")
#: Seconds until a temporary file that nobody holds counts as left behind.
_ABANDONED = 60.0
_cleaned: set[str] = set()


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path``, all of it or nothing; see :func:`replacement`."""
    with replacement(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacement(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``path`` when the block ends without an exception.

    Raises
    ------
    ValueError
        Where ``path`` names no file, or something that is not a regular file.
    OSError
        Where it cannot be written; ``filename`` is ``path``, and what was there stays.
    """
    name = os.fspath(path)
    try:
        target, mode = _target(name)
        _remove_abandoned(target.parent)
        partial, descriptor = _create(target.parent, 0o666 if mode is None else 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _lock(file)
                yield file
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        _flush_folder(target.parent)
    except OSError as error:
        # The temporary name means nothing to whoever asked for this one.
        if error.errno is None or error.filename == name:
            raise
        raise OSError(error.errno, error.strerror, name) from error


def _target(name: str) -> tuple[Path, int | None]:
    """Path of the file itself behind links, and the mode of what is there."""
    if not name or "\0" in name:
        raise ValueError(f"a path must name a file, got {name!r}")
    target = Path(os.path.realpath(name))
    if name.endswith((os.sep, "/")):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    try:
        found = target.stat()
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{name!r} is not a regular file, and only such files are written")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    return target, stat.S_IMODE(found.st_mode)


def _create(folder: Path, mode: int) -> tuple[Path, int]:
    """A new file that nobody could have put there before."""
    while True:
        partial = folder / f".fastmlp-{os.urandom(8).hex()}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with contextlib.suppress(FileExistsError):
            return partial, os.open(partial, flags | getattr(os, "O_BINARY", 0), mode)


def _lock(file: BinaryIO) -> None:
    """Show others that somebody is writing; a killed process loses its locks."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some network file systems have none
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files whose writer is gone, once in a process and folder."""
    key = str(folder)
    if fcntl is None or key in _cleaned:
        return
    _cleaned.add(key)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(partial: Path) -> None:
    descriptor = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        mine = found.st_uid == os.geteuid()
        if mine and time.time() - found.st_mtime > _ABANDONED:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    """Make the new name last; not every system lets folders be flushed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
