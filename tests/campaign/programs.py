"""Random programs: acts in threads and forked children end as they do alone.

A program is a list of acts for each of some threads. They are made one after the other first, then
all at once, some in forked children, while another thread trains and collects garbage. Whatever
happens beside it, an act has the same outcome, to the bit.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from acts import ACTS, PATIENCE, in_threads, outcome
from fastmlp import MLP, kernels


def in_child(function: Callable[[], bytes]) -> bytes:
    """What a forked child computes; its end by a signal or an exception is an error."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(PATIENCE)
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(function())
            os._exit(0)
        finally:
            os._exit(3)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read()
    status = os.waitpid(pid, 0)[1]
    assert status == 0, f"a child ended with {os.waitstatus_to_exitcode(status)}"
    return found


def program(seed: int, folder: Path) -> dict[str, int]:
    """Run the program of a seed; returns what there was in it."""
    rng = np.random.default_rng(seed)
    backend = str(rng.choice([name for name in kernels.available() if name != "reference"]))
    names = list(ACTS)
    parts = [
        [(names[rng.integers(len(names))], int(rng.integers(2**31))) for _ in range(3)]
        for _ in range(int(rng.integers(1, 4)))
    ]
    forks = int(rng.integers(3)) if hasattr(os, "fork") else 0
    interval = float(rng.choice([1e-5, 5e-3]))
    before, stop = sys.getswitchinterval(), threading.Event()

    def run(part: list[tuple[str, int]]) -> list[bytes]:
        return [outcome(name, number, folder) for name, number in part]

    def disturb() -> None:
        while not stop.wait(0.003):
            gc.collect(0)
            net = MLP([2, 3, 1], random_state=0)
            net.fit(np.ones((3, 2)), np.ones((3, 1)), epochs=1)

    with kernels.use_backend(backend), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [run(part) for part in parts]
        disturber = threading.Thread(target=disturb, daemon=True)
        sys.setswitchinterval(interval)
        try:
            disturber.start()
            children = [lambda: in_child(lambda: pickle.dumps(run(parts[0])))] * forks
            found = in_threads([*[lambda p=part: run(p) for part in parts], *children])
        finally:
            sys.setswitchinterval(before)
            stop.set()
            disturber.join(PATIENCE)
    assert not disturber.is_alive(), "the thread beside hangs"
    for part, want, have in zip(parts, expected, found, strict=False):
        different = [act for act, a, b in zip(part, want, have, strict=True) if a != b]
        assert not different, f"{backend}: other results beside threads: {different}"
    for child in found[len(parts) :]:
        assert pickle.loads(child) == expected[0], f"{backend}: another result in a child"
    return {"programs": 1, "acts": 3 * len(parts) * 2, "forks": forks}
