"""Compiling at first use: interrupted, and forked in the middle of it."""

from __future__ import annotations

import os
import signal

import pytest
from fresh import run_with_numba

pytest.importorskip("numba")

from fastmlp.kernels.jit.compiling.turn import compiling

pytestmark = pytest.mark.usefixtures("interrupts_arrive")


def test_an_interrupt_waits_until_the_function_is_ready():
    """Numba would lose it and stumble; it comes with the outermost end."""
    done = []

    def make():
        with compiling():
            with compiling():
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        make()
    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_does_not_wait():
    done = []

    def make():
        with compiling():
            signal.raise_signal(signal.SIGINT)
            done.append("first")
            signal.raise_signal(signal.SIGINT)
            done.append("second")

    with pytest.raises(KeyboardInterrupt):
        make()
    assert done == ["first"]
    with compiling():  # nothing is left over
        pass


def test_errors_pass():
    with pytest.raises(ArithmeticError), compiling():
        raise ArithmeticError


# A thread compiles for a while; the process is forked meanwhile; the child compiles, too.
FORKED = """
import os, signal, sys, threading, time
import numpy as np
from fastmlp import kernels
kernels.use_backend("numba")
from fastmlp.kernels.jit.compiling import turn

def compile_for(seconds, begun):
    with turn.compiling():
        begun.set()
        time.sleep(seconds)

def child_after(seconds, patience):
    turn.PATIENCE = patience
    begun = threading.Event()
    thread = threading.Thread(target=compile_for, args=(seconds, begun))
    thread.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            kernels.activate(np.ones((2, 2)), "tanh")
        except RuntimeError as error:
            os._exit(3 if "forked while another thread was compiling" in str(error) else 1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    thread.join()
    return os.waitstatus_to_exitcode(status)

print(child_after(0.2, 20.0), child_after(1.0, 0.05), child_after(0.0, 20.0))
"""


FORKED_AT_ONCE = """
import os, signal, threading
from fastmlp.kernels.jit.compiling import turn

statuses = []

def child():
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        try:
            with turn.compiling():
                os._exit(0)
        finally:
            os._exit(1)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

for _ in range(20):
    threads = [threading.Thread(target=child) for _ in range(4)]
    with turn.compiling():  # all of them wait for the end of this
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
signal.alarm(60)
with turn.compiling():
    print(set(statuses), len(statuses))
"""


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@FORKS
def test_fork_while_another_thread_compiles(tmp_path):
    """The fork waits; where that takes too long, the child says why it cannot compile."""
    done = run_with_numba(FORKED, FASTMLP_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "3", "0"]


@FORKS
def test_threads_that_fork_at_once(tmp_path):
    """Each lets go of what it has locked: all children may compile, and so may the parent."""
    done = run_with_numba(FORKED_AT_ONCE, FASTMLP_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["{0}", "80"], done.stderr
    assert not done.stderr


# What is private in Numba and llvmlite


class File:
    """A file of the cache, in memory."""

    content = None

    def read(self):
        return self.content

    def write(self, content):
        self.content = content


def test_numba_is_what_its_adapter_takes_it_for():
    """Its private classes: compiled, kept, loaded, and nothing kept of what cannot be."""
    from fastmlp.kernels.jit import _numba
    from numba import types

    def twice(x):
        return 2 * x

    file, signature = File(), types.int64(types.int64)
    _numba.cached_function(twice, signature, {"nogil": True}, file)
    assert len(file.content) > 1000
    assert _numba.cached_function(twice, signature, {"nogil": True}, file).stats.cache_hits
    file.content = b"what another version has written"
    assert _numba.cached_function(twice, signature, {"nogil": True}, file)(3) == 6


def test_settings_of_numba_have_files_of_their_own(monkeypatch):
    import numba
    from fastmlp.kernels.jit import _numba

    before = _numba.code_settings()
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    assert _numba.code_settings() != before


def test_locks_are_what_the_adapter_takes_them_for():
    from fastmlp.kernels.jit import _llvm

    assert len(_llvm.locks()) == 2  # Numba has been imported
    for lock in _llvm.locks():
        assert lock.acquire(blocking=False)
        lock.release()
