"""Rounds in which the contenders take turns, so that a change of the machine's mood meets all.

Absolute times of different runs cannot be compared on a shared machine; ratios within one run can.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Timing:
    """Seconds per call, one sample a round."""

    seconds: list[float] = field(default_factory=list)

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


#: Before a sample: let the caches fill.
SETTLE_SECONDS = 0.002
#: So long other libraries' threads go on waiting for work, at the cost of whoever else wants their
#: cores (OpenBLAS: 2²⁶ cycles, OpenMP and Eigen less).
SPINNING_SECONDS = 0.05


def sample(call: Callable[[], Any], repeats: int) -> float:
    """Seconds per call over ``repeats`` calls in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def repeats_for(call: Callable[[], Any], least: float) -> int:
    """How many calls last at least ``least`` seconds."""
    repeats = 1
    while (once := sample(call, repeats)) * repeats < least:
        repeats = max(2 * repeats, min(math.ceil(least / once), 20 * repeats))
    return repeats


def interleave(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int = 7,
    least: float = 0.02,
    n_threads: int = 1,
) -> dict[str, Timing]:
    """Time every call once a round, A B C A B C …, each sample at least ``least`` seconds long.

    Where calls run on several threads, those of the one before go to sleep first.
    """
    repeats = {name: repeats_for(call, least) for name, call in calls.items()}
    timings = {name: Timing() for name in calls}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                if n_threads > 1:
                    time.sleep(SPINNING_SECONDS)
                settled = time.perf_counter() + SETTLE_SECONDS
                if repeats[name] > 1:
                    while time.perf_counter() < settled:
                        call()
                timings[name].seconds.append(sample(call, repeats[name]))
            gc.collect()
    finally:
        if collecting:
            gc.enable()
    return timings
