"""How many threads to use where nobody said: environment, CPU affinity, cgroup quota."""

from __future__ import annotations

import functools
import math
import os
import re
from pathlib import Path

#: Threads that an engine uses at most.
MAX_THREADS = 256


def resolve(n_threads: int | None) -> int:
    """``n_threads`` itself, or the default for ``None``."""
    return default_threads() if n_threads is None else int(n_threads)


@functools.cache
def default_threads() -> int:
    """``FASTMLP_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the CPUs this process may use.

    At most :data:`MAX_THREADS`. What is no positive integer is an error of ours, and is ignored in
    ``OMP_NUM_THREADS``, which is other libraries' too.
    """
    for name in ("FASTMLP_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()
        if not text:
            continue
        if re.fullmatch(r"0*[1-9][0-9]*", text, re.ASCII):
            digits = text.lstrip("0")
            return min(int(digits), MAX_THREADS) if len(digits) < 10 else MAX_THREADS
        if name == "FASTMLP_NUM_THREADS":
            raise ValueError(f"{name} must be a positive integer, got {text!r}")
    return usable_cpus()


def usable_cpus() -> int:
    """CPUs by affinity, and no more than the cgroup's quota allows (rounded up)."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = cgroup_quota(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    count = min(count, MAX_THREADS)
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def cgroup_quota(root: Path, membership: Path) -> float | None:
    """CPUs that the process's cgroup (version 2 or 1) may use, ``None`` where it has no limit."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2: one "max period" file at each level
            folder = root / path.lstrip("/")
            for level in (folder, *folder.parents):
                quotas.append(_read_quota(level / "cpu.max"))
                if level == root:
                    break
        elif "cpu" in controllers.split(","):
            for folder in (root / "cpu" / path.lstrip("/"), root / "cpu"):
                quotas.append(
                    _read_quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")
                )
    found = [quota for quota in quotas if quota is not None]
    return min(found) if found else None


def _read_quota(*files: Path) -> float | None:
    try:
        quota, period = " ".join(file.read_text() for file in files).split()[:2]
    except (OSError, ValueError):
        return None
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:  # "max" or -1
        return None
    return int(quota) / int(period)
