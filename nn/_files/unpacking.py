"""Packed files, unpacked no further than they announce."""

from __future__ import annotations

import gzip
import zlib
from typing import BinaryIO, cast

GZIP_MAGIC = b"\x1f\x8b"
#: Bytes that are read at a time where a file announces how many there are: memory then grows with
#: what really comes, whatever was announced.
CHUNK = 1 << 20
#: What reading a damaged gzip stream raises.
Damaged = (EOFError, gzip.BadGzipFile, zlib.error)


def unpacked(file: BinaryIO) -> BinaryIO:
    """The file itself, or what it holds where it is a gzip file, whatever its name."""
    start = file.read(2)
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if start == GZIP_MAGIC else file


def read_exactly(file: BinaryIO, size: int) -> bytearray:
    """At most ``size`` bytes: fewer where the file ends before."""
    content = bytearray()
    while len(content) < size:
        part = file.read(min(CHUNK, size - len(content)))
        if not part:
            break
        content += part
    return content
