"""A folder for compiled code that nobody but its owner can have written to.

What is read here is executed. So before anything is read a folder must belong to the user or to
root and be writable for nobody else, and so must each file; symbolic links are not followed. The
checks are made on the opened folder and file, so nothing can be exchanged between check and use.
(Windows has other rights; there the user's own folder has to do.)

Every folder carries a marker, which also tells backup programs to leave it out
(https://bford.info/cachedir/). Only marked folders are ever cleared, and of these only files that
are named as ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARKER = "CACHEDIR.TAG"
SIGNATURE = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# Compiled code of fastmlp: it can be deleted at any time.\n"
)
#: Endings of the files that are ours: code, and code that is being written.
CODE, UNFINISHED = ".code", ".part"
#: Code that has not been used for so long is removed, and the oldest beyond so much.
MAX_AGE, MAX_BYTES = 180 * 86400.0, 256 << 20
#: Folders of other versions that are left beside a new one: other environments may use them.
KEPT_FOLDERS = 4

_HEADER = b"fastmlp code 1\n"
_POSIX = os.name == "posix"
_DAY, _HOUR = 86400.0, 3600.0


class Unsafe(OSError):
    """Somebody else could have written what would be run."""


class Folder:
    """Files of compiled code.

    Parameters
    ----------
    path : Path
        It need not exist; its last part is the version of the code.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the folder for its user alone, or check the one that is there."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            with self._open(), contextlib.suppress(OSError):
                os.utime(self.path)  # it has been used
            return
        self.write_file(MARKER, SIGNATURE)
        with contextlib.suppress(OSError):
            self._clear_older_versions()

    @contextlib.contextmanager
    def _open(self) -> Iterator[int | None]:
        """The folder, opened and checked (``None`` where the system cannot open one)."""
        if not _POSIX:
            if self.path.is_symlink() or not self.path.is_dir():
                raise Unsafe(f"{self.path} is not a folder")
            yield None
            return
        try:
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except NotADirectoryError:
            raise Unsafe(f"{self.path} is not a folder") from None
        try:
            check(os.fstat(folder), self.path)
            yield folder
        finally:
            os.close(folder)

    def read(self, name: str) -> bytes | None:
        """The code in a file; ``None`` where there is none or it is damaged."""
        content = self.read_file(name + CODE)
        if content is None:
            return None
        digest, code = content[len(_HEADER) :][:32], content[len(_HEADER) + 32 :]
        if not content.startswith(_HEADER) or hashlib.sha256(code).digest() != digest:
            return None
        return code

    def write(self, name: str, code: bytes) -> None:
        """Keep code in a file, whole or not at all."""
        self.write_file(name + CODE, _HEADER + hashlib.sha256(code).digest() + code)

    def read_file(self, name: str) -> bytes | None:
        with self._open() as folder:
            try:
                flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
                flags |= getattr(os, "O_NONBLOCK", 0)
                file = os.open(self._place(name, folder), os.O_RDONLY | flags, dir_fd=folder)
            except FileNotFoundError:
                return None
            with os.fdopen(file, "rb") as opened:
                status = os.fstat(opened.fileno())
                if _POSIX:
                    check(status, self.path / name)
                if not stat.S_ISREG(status.st_mode):
                    raise Unsafe(f"{self.path / name} is not a file")
                if time.time() - status.st_mtime > _DAY:
                    with contextlib.suppress(OSError):
                        os.utime(opened.fileno() if _POSIX else self.path / name)
                return opened.read()

    def write_file(self, name: str, content: bytes) -> None:
        with self._open() as folder:
            unfinished = self._place(f"{name}.{secrets.token_hex(8)}{UNFINISHED}", folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            file = os.open(unfinished, flags, 0o600, dir_fd=folder)
            try:
                with os.fdopen(file, "wb") as opened:
                    opened.write(content)
                os.replace(
                    unfinished, self._place(name, folder), src_dir_fd=folder, dst_dir_fd=folder
                )
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished, dir_fd=folder)
                raise

    def _place(self, name: str, folder: int | None) -> str:
        return str(self.path / name) if folder is None else name

    def shrink(self, max_bytes: int = MAX_BYTES, max_age: float = MAX_AGE) -> None:
        """Remove code that has not been used for long, and the oldest of more than so much."""
        now, total = time.time(), 0
        for used, size, path in sorted(self._ours(), reverse=True):
            total += size
            age = now - used
            limit = _HOUR if path.name.endswith(UNFINISHED) else max_age
            if age > limit or total > max_bytes:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _ours(self) -> list[tuple[float, int, Path]]:
        """Our files with the time of their last use and their bytes."""
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.endswith((CODE, UNFINISHED)) and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # another process has renamed it
                        status = entry.stat(follow_symlinks=False)
                        found.append((status.st_mtime, status.st_size, Path(entry.path)))
        return found

    def is_ours(self) -> bool:
        """Whether the folder is marked as ours, and nothing else lies in it."""
        try:
            return self.read_file(MARKER) == SIGNATURE and all(
                path.name == MARKER or path.name.endswith((CODE, UNFINISHED))
                for path in self.path.iterdir()
            )
        except OSError:
            return False

    def _clear_older_versions(self) -> None:
        """Leave those that were used last."""
        others = [
            other
            for path in self.path.parent.glob("numba-*")
            if path != self.path and (other := Folder(path)).is_ours()
        ]
        others.sort(key=lambda other: other.path.stat().st_mtime, reverse=True)
        for other in others[KEPT_FOLDERS:]:
            with contextlib.suppress(OSError):
                other.shrink(max_bytes=-1)
                (other.path / MARKER).unlink()
                other.path.rmdir()


def check(status: os.stat_result, path: Path) -> None:
    """Refuse what others than the user and root could have written."""
    if sys.platform == "win32":
        return
    user = os.geteuid()
    if status.st_uid not in (0, user):
        raise Unsafe(f"{path} belongs to user {status.st_uid}, not to {user}")
    if status.st_mode & 0o022:
        rights = stat.S_IMODE(status.st_mode)
        raise Unsafe(f"{path} can be written by others (mode {rights:o})")
