"""Opening files of strangers: regular files only, and their names for people."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_BINARY = getattr(os, "O_BINARY", 0)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For a folder, a pipe or a device, which are not waited for.
    """
    name = shown(path)
    if not os.fspath(path) or "\0" in os.fspath(path):
        raise ValueError(f"a path must name a file, got {os.fspath(path)!r}")
    try:
        # A pipe without a writer would be waited for.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {name}") from None
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.EISDIR):
            raise ValueError(f"{name} is not a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{name} is not a regular file")
    return os.fdopen(descriptor, "rb")


def shown(path: str | os.PathLike[str]) -> str:
    """A path for people: bytes that are no text, and control characters, as escapes."""
    text = os.fsencode(Path(path)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
