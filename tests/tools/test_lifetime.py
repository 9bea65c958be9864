"""Threads of the kernels and the end of the interpreter, and interpreters within interpreters."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TRAINING = """
import threading
import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, UpdateRule

net = Architecture((100, 300, 300, 10), ("relu", "relu"), "softmax")
x = np.random.default_rng(0).random((4000, 100), dtype=np.float32)
y = np.zeros(4000, np.intp)

begun = threading.Event()

def train(epochs):
    trainer = kernels.trainer(
        net, np.float32, "cross_entropy", UpdateRule("sgd"), batch_size=200, n_threads=2
    )
    trainer.load(np.full(net.n_parameters, 0.01, np.float32))
    for _ in range(epochs):
        trainer.run_epoch(x, y, None, 0.01)
        begun.set()
    print("trained", flush=True)

"""


def run(program, backend, timeout=100):
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"FASTMLP_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def test_exit_after_training(fast_backend):
    result = run(TRAINING + "train(1)", fast_backend)
    assert (result.returncode, result.stdout) == (0, "trained\n"), result.stderr


def test_exit_while_another_thread_trains(fast_backend):
    """The interpreter does not wait for daemon threads, and must not crash on them."""
    program = TRAINING + (
        "train(1)\nbegun.clear()\n"
        "threading.Thread(target=train, args=(10**9,), daemon=True).start()\nbegun.wait()"
    )
    result = run(program, fast_backend)
    assert (result.returncode, result.stdout) == (0, "trained\n"), result.stderr


def test_subinterpreter(fast_backend):
    """NumPy and Numba belong to one interpreter; another one gets an error, or right results."""
    try:
        import _interpreters
    except ImportError:
        _interpreters = pytest.importorskip("_xxsubinterpreters")
    del _interpreters
    program = TRAINING + (
        "try:\n    import _interpreters as interpreters\n"
        "except ImportError:\n    import _xxsubinterpreters as interpreters\n"
        "train(1)\ninner = interpreters.create()\n"
        "try:\n    interpreters.run_string(inner, 'import fastmlp.kernels')\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
        "interpreters.destroy(inner)\ntrain(1)"
    )
    result = run(program, fast_backend)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("trained\n")
    assert result.stdout.endswith("trained\n")
