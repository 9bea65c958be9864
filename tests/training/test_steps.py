"""What a step does not do: allocate, slow down on subnormal numbers, touch what is empty."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import CSR, Architecture, UpdateRule

# Counts every allocation of the process, of any thread, while `counting` is 1.
COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
atomic_int counting;
atomic_long allocations;
#define COUNTED(TYPES, NAME, ...)                                     \
    {                                                                 \
        static void *(*original) TYPES;                               \
        if (!original)                                                \
            original = (void *(*) TYPES)dlsym(RTLD_NEXT, NAME);       \
        if (counting)                                                 \
            allocations++;                                            \
        return original(__VA_ARGS__);                                 \
    }
void *malloc(size_t n) COUNTED((size_t), "malloc", n)
void *realloc(void *p, size_t n) COUNTED((void *, size_t), "realloc", p, n)
void *aligned_alloc(size_t a, size_t n) COUNTED((size_t, size_t), "aligned_alloc", a, n)
void *mmap(void *p, size_t n, int a, int b, int c, long d)
    COUNTED((void *, size_t, int, int, int, long), "mmap", p, n, a, b, c, d)
"""
TRAINING = """
import ctypes, sys
import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, CSR, UpdateRule

counter = ctypes.CDLL(sys.argv[1])
counting = ctypes.c_int.in_dll(counter, "counting")
allocations = ctypes.c_long.in_dll(counter, "allocations")
rng = np.random.default_rng(0)
x = rng.random((6400, 40), dtype=np.float32)
sparse = CSR(x.ravel(), np.tile(np.arange(40), 6400), np.arange(0, 40 * 6401, 40), x.shape)
y = rng.integers(0, 3, 6400)
net = Architecture((40, 50, 50, 3), ("relu", "tanh"), "softmax")

def count(trainer, rows, n):
    allocations.value, counting.value = 0, 1
    trainer.run_epoch(rows, y, order[:n], 0.01)
    counting.value = 0
    return allocations.value

order = rng.permutation(6400).astype(np.intp)
for rule in (UpdateRule("sgd"), UpdateRule("adam")):
    for rows in (x, sparse):
        trainer = kernels.trainer(
            net, np.float32, "cross_entropy", rule, batch_size=32, n_threads=2
        )
        trainer.load(np.full(net.n_parameters, 0.1, np.float32))
        count(trainer, rows, 6400)
        few, many = count(trainer, rows, 64), count(trainer, rows, 6400)
        # What an epoch allocates may depend on its length, not on its 198 further steps.
        assert many - few < 50, (rule.name, type(rows).__name__, few, many)
        print("counted", few, many)
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("counter")
    (folder / "counter.c").write_text(COUNTER)
    library = folder / "counter.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "counter.c", "-o", str(library), "-ldl"]
    subprocess.run(command, cwd=folder, check=True)
    return library


def test_a_step_allocates_nothing(fast_backend, counter):
    result = subprocess.run(
        [sys.executable, "-c", TRAINING, str(counter)],
        env=os.environ | {"LD_PRELOAD": str(counter), "FASTMLP_BACKEND": fast_backend},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("counted") >= 2


def test_the_counter_counts(counter):
    """The test above could not fail otherwise."""
    program = (
        "import ctypes, sys; counter = ctypes.CDLL(sys.argv[1]);"
        "counting = ctypes.c_int.in_dll(counter, 'counting');"
        "allocations = ctypes.c_long.in_dll(counter, 'allocations');"
        "libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p;"
        "counting.value = 1; [libc.malloc(10) for _ in range(100)]; counting.value = 0;"
        "print(allocations.value)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(counter)],
        env=os.environ | {"LD_PRELOAD": str(counter)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) >= 100


def test_moments_of_a_dead_unit_do_not_become_subnormal(backend, dtype):
    """In the limit 0.9 of the smallest number rounds to itself, and would be kept for ever."""
    if backend == "reference":
        pytest.skip("NumPy computes with subnormal numbers")
    net = Architecture((1, 2), (), "identity")
    rule = UpdateRule("adam", {"epsilon": 1e-3})
    trainer = kernels.trainer(net, dtype, "squared_error", rule, batch_size=1)
    state = np.full((2, net.n_parameters), np.finfo(dtype).tiny, dtype)
    trainer.load(np.zeros(net.n_parameters, dtype), state)
    zeros = np.zeros((20, 1), dtype)
    trainer.run_epoch(zeros, np.zeros((20, 2), dtype), None, 0.1)
    trainer.store(np.empty(net.n_parameters, dtype), state)
    moments = np.abs(net.views(state[0])[0][0])
    assert np.all((moments == 0) | (moments >= np.finfo(dtype).tiny))


def test_the_callers_floating_point_mode_stays(fast_backend, dtype):
    net = Architecture((1, 1), (), "identity")
    trainer = kernels.trainer(net, dtype, "squared_error", UpdateRule("sgd"), batch_size=1)
    trainer.load(np.zeros(2, dtype))
    trainer.run_epoch(np.ones((1, 1), dtype), np.ones((1, 1), dtype), None, 0.1)
    smallest = np.finfo(dtype).smallest_subnormal
    assert smallest * dtype.type(1) > 0


@pytest.fixture
def wide_rows(dtype, rng):
    """40 rows of 3 entries each in 4 million columns; written out they would take gigabytes."""
    n, n_in = 40, 4_000_000
    columns = rng.choice(1000, 3 * n) * 3_999
    rows = CSR(rng.random(3 * n).astype(dtype), columns, np.arange(0, 3 * n + 1, 3), (n, n_in))
    return rows, rng.integers(0, 2, n)


@pytest.mark.covers("fast_backend", "dtype")
def test_sparse_rows_are_not_written_out(fast_backend, dtype, wide_rows, rng):
    """Memory is that of the parameters and of what a step needs for them."""
    resource = pytest.importorskip("resource")
    x, y = wide_rows
    net = Architecture((x.shape[1], 1, 2), ("tanh",), "softmax")
    parameters = rng.standard_normal(net.n_parameters).astype(dtype)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trainer = kernels.trainer(net, dtype, "cross_entropy", UpdateRule("sgd"), batch_size=8)
    trainer.load(parameters)
    trainer.run_epoch(x, y, None, 0.1)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    batch_written_out = 8 * x.shape[1] * dtype.itemsize / 1024
    padded = 16 * parameters.nbytes / 1024
    assert used < 3 * padded + batch_written_out


def test_plain_descent_leaves_empty_features_alone(fast_backend, dtype, rng):
    """Bit for bit, and with an L2 penalty all shrink by the same factor."""
    n, n_in = 30, 500
    columns = rng.choice(np.arange(0, n_in, 7), 4 * n)
    x = CSR(rng.random(4 * n).astype(dtype), columns, np.arange(0, 4 * n + 1, 4), (n, n_in))
    y = rng.integers(0, 3, n)
    net = Architecture((n_in, 20, 3), ("tanh",), "softmax")
    start = rng.standard_normal(net.n_parameters).astype(dtype)
    empty = np.setdiff1d(np.arange(n_in), columns)
    for l2 in (0.0, 0.01):
        rule = UpdateRule("sgd")
        trainer = kernels.trainer(net, dtype, "cross_entropy", rule, batch_size=10, l2=l2)
        trainer.load(start)
        trainer.run_epoch(x, y, None, 0.5)
        after = np.empty_like(start)
        trainer.store(after)
        first, last = (net.views(p)[0][0][empty] for p in (start, after))
        factor = (1 - 0.5 * l2) ** 3
        np.testing.assert_allclose(last, first * factor, rtol=8 * np.finfo(dtype).eps)
        if l2 == 0:
            assert np.array_equal(first, last)


def test_a_penalty_that_shrinks_much(fast_backend, dtype, rng):
    """Factors far from 1, in one step or gathered over many, lose no digits."""
    n, n_in = 64, 50
    columns = rng.integers(0, n_in, 5 * n)
    x = CSR(rng.random(5 * n).astype(dtype), columns, np.arange(0, 5 * n + 1, 5), (n, n_in))
    y = rng.integers(0, 3, n)
    net = Architecture((n_in, 20, 3), ("tanh",), "softmax")
    start = rng.standard_normal(net.n_parameters)
    for l2, batch_size in ((0.9, 1), (4.0, 16)):
        losses, ends = [], []
        for backend, kind in ((fast_backend, dtype), ("reference", np.dtype(np.float64))):
            with kernels.use_backend(backend):
                trainer = kernels.trainer(
                    net, kind, "cross_entropy", UpdateRule("sgd"), batch_size=batch_size, l2=l2
                )
                trainer.load(start.astype(kind))
                rows = CSR(x.data.astype(kind), x.indices, x.indptr, x.shape)
                losses.append([trainer.run_epoch(rows, y, None, 0.2) for _ in range(2)])
                ends.append(np.empty(net.n_parameters, kind))
                trainer.store(ends[-1])
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(losses[0], losses[1], rtol=200 * eps)
        np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=200 * eps)


def test_threads_of_sparse_training(fast_backend, dtype, rng):
    n, n_in = 400, 3000
    columns = rng.integers(0, n_in, 30 * n)
    x = CSR(rng.random(30 * n).astype(dtype), columns, np.arange(0, 30 * n + 1, 30), (n, n_in))
    y = rng.integers(0, 3, n)
    net = Architecture((n_in, 90, 3), ("relu",), "softmax")
    start = rng.standard_normal(net.n_parameters).astype(dtype) * dtype.type(0.1)
    for rule in (UpdateRule("sgd"), UpdateRule("adam")):
        results = []
        for n_threads in (1, 2, 3):
            trainer = kernels.trainer(
                net, dtype, "cross_entropy", rule, batch_size=150, l2=1e-3, n_threads=n_threads
            )
            trainer.load(start)
            loss = trainer.run_epoch(x, y, None, 0.1)
            end = np.empty_like(start)
            trainer.store(end)
            results.append((loss, end.tobytes()))
        assert results[0] == results[1] == results[2]
