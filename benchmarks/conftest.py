"""Fixtures of the pytest-benchmark suites."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

# The project's import mode leaves sys.path alone; the scripts beside find `harness` by themselves.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import machine


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """All contenders on one core with one thread; several threads are ``table.py``'s matter."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    machine.pin(machine.usable_cores()[:1])
    with threadpool_limits(1):
        yield
    if before:
        machine.pin(sorted(before))
