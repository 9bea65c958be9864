"""The compiled backend's thread pool as others see it."""

import threading

import numpy as np
import pytest
from fastmlp import kernels

compiled = pytest.importorskip(
    "fastmlp.kernels.compiled", reason="extension not built", exc_type=ImportError
)
threadpoolctl = pytest.importorskip("threadpoolctl")


def pool():
    found = [pool for pool in threadpoolctl.threadpool_info() if pool["internal_api"] == "fastmlp"]
    assert len(found) == 1, f"threadpoolctl lists {found}"
    return found[0]


def test_threadpoolctl_lists_the_pool():
    assert pool()["user_api"] == "fastmlp"
    assert pool()["num_threads"] == kernels.info()["n_threads"]
    assert pool()["architecture"] == compiled.isa()


def test_threadpoolctl_limits_the_pool_and_gives_it_back():
    before = pool()["num_threads"]
    with threadpoolctl.threadpool_limits(1):
        assert pool()["num_threads"] == 1
    assert pool()["num_threads"] == before


def test_a_limit_of_one_starts_no_thread():
    """Counted in the operating system's list of this process's threads."""
    tasks = pytest.importorskip("pathlib").Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("no /proc here")
    x = np.ones((2000, 300), np.float32)
    weights = np.ones((300, 300), np.float32)
    before = len(list(tasks.iterdir()))
    with threadpoolctl.threadpool_limits(1):
        compiled.dense_forward(x, weights, x[0], n_threads=64)
    assert len(list(tasks.iterdir())) == before
    compiled.dense_forward(x, weights, x[0], n_threads=before + 3)
    assert len(list(tasks.iterdir())) > before, "the limit outlived its block"


def test_a_trainer_in_use_refuses_a_second_thread():
    architecture = kernels.Architecture((64, 256, 10), ("relu",), "softmax")
    trainer = compiled.Trainer(
        architecture,
        np.float32,
        "cross_entropy",
        kernels.UpdateRule("sgd"),
        kernels.TrainingOptions(batch_size=8),
    )
    x = np.zeros((50_000, 64), np.float32)
    labels = np.zeros(len(x), np.intp)
    failures = []
    started = threading.Barrier(3)

    def train():
        started.wait()
        try:
            trainer.run_epoch(x, labels, None, 0.1)
        except RuntimeError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=train) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 2
    assert "in use by another thread" in failures[0]
    assert trainer.step == len(x) // 8
