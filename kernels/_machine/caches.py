"""Sizes of the processor's caches, from which block sizes follow."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import threads as _threads


class Caches(NamedTuple):
    """Bytes of data that one core has in each level; of a shared cache its share."""

    l1: int
    l2: int
    l3: int


#: What nearly every processor has at least, for what nobody says.
DEFAULTS = Caches(32 << 10, 512 << 10, 2 << 20)
#: Bounds of what is believed.
LEAST, MOST = 4 << 10, 1 << 32
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_SYSTEM = Path("/sys/devices/system/cpu/cpu0/cache")
#: What the compiled backend reads from the processor itself.
_processor: list[Callable[[], tuple[int, int, int]]] = []


def use_cpuid(read: Callable[[], tuple[int, int, int]]) -> None:
    """Ask this function where the operating system says nothing."""
    _processor.append(read)


@functools.cache
def sizes() -> Caches:
    """Sizes of the caches of this machine, read once.

    ``FASTMLP_L1``, ``FASTMLP_L2`` and ``FASTMLP_L3`` (bytes, or ``512K``, ``1M``) come first, then
    what the system says (sysfs of Linux, sysctl of macOS), then cpuid, then :data:`DEFAULTS`. A
    level that the processor does not have is as large as the one below.

    Returns
    -------
    Caches

    Raises
    ------
    ValueError
        For a variable that is no size.
    """
    found: dict[int, int] = {}
    sources = [_of_sysctl] if sys.platform == "darwin" else [lambda: of_sysfs(_SYSTEM)]
    for read in (*sources, *(_of_cpuid(read) for read in _processor)):
        for level, size in (read() if not found else {}).items():
            if LEAST <= size <= MOST:
                found[level] = size
    levels: list[int] = []
    for level, default in enumerate(DEFAULTS, 1):
        size = found.get(level, max(levels, default=0) if found else default) or default
        levels.append(_of_environment(f"FASTMLP_L{level}") or size)
    return Caches(*levels)


def _of_environment(name: str) -> int | None:
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    match = re.fullmatch(r"0*([1-9][0-9]{0,11})([KMG]?)", text.upper(), re.ASCII)
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    if not LEAST <= size <= MOST:
        raise ValueError(
            f"{name} must be a size from 4K to 4G, in bytes or with K, M or G, got {text!r}"
        )
    return size


def of_sysfs(folder: Path) -> dict[int, int]:
    """Level → bytes for a core, from Linux's description of a CPU's caches.

    Hardware threads of a core share its first level, so a cache of several cores is shared by as
    many as its threads are times those.
    """
    try:
        caches = [
            {name: (index / name).read_text().strip() for name in _FIELDS}
            for index in sorted(folder.glob("index[0-9]*"))
        ]
        data = [
            (int(c["level"]), _bytes(c["size"]), _count(c["shared_cpu_list"]))
            for c in caches
            if c["type"] in ("Data", "Unified")
        ]
    except (OSError, ValueError):
        return {}
    threads = min((shared for _, _, shared in data), default=1)
    return {level: size // max(shared // threads, 1) for level, size, shared in data}


_FIELDS = ("level", "type", "size", "shared_cpu_list")


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)B?", text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * _UNITS[match[2]]


def _count(cpus: str) -> int:
    """How many CPUs a list like ``0-3,8`` names."""
    ends = [part.split("-") for part in cpus.split(",")]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def _of_sysctl() -> dict[int, int]:
    """The same from macOS, whose fast cores come first."""
    library = ctypes.CDLL(None)

    def number(*names: str) -> int:
        value, size = ctypes.c_int64(0), ctypes.c_size_t(8)
        for name in names:
            call = library.sysctlbyname(
                name.encode(), ctypes.byref(value), ctypes.byref(size), None, 0
            )
            if call == 0:
                return value.value
        return 0

    cores = number("hw.perflevel0.cpusperl2") or 1
    return {
        1: number("hw.perflevel0.l1dcachesize", "hw.l1dcachesize"),
        2: number("hw.perflevel0.l2cachesize", "hw.l2cachesize") // cores,
        3: number("hw.l3cachesize") // max(_threads.usable_cpus(), 1),
    }


def _of_cpuid(read: Callable[[], tuple[int, int, int]]) -> Callable[[], dict[int, int]]:
    return lambda: dict(enumerate(read(), 1))
