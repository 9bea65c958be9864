"""What several threads, signal handlers and forked children may do with one trainer's memory."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import _checks

pytest.importorskip("numba")
jit = pytest.importorskip("fastmlp.kernels.jit")

NET = kernels.Architecture((6, 5, 3), ("relu",), "softmax")
FLAT = np.linspace(-1, 1, NET.n_parameters).astype("f4")
X = np.sin(np.arange(60, dtype="f4")).reshape(10, 6)
LABELS = np.arange(10) % 3


@pytest.fixture
def trainer():
    options = kernels.TrainingOptions(batch_size=2, n_threads=1)
    made = jit.Trainer(NET, np.dtype("f4"), "cross_entropy", kernels.UpdateRule("sgd"), options)
    made.load(FLAT)
    return made


def stored(trainer):
    result = np.empty_like(FLAT)
    trainer.store(result)
    return result


CALLS = {
    "run_epoch": lambda trainer: trainer.run_epoch(X, LABELS, None, 0.1),
    "load": lambda trainer: trainer.load(FLAT),
    "store": stored,
}


def in_the_middle(trainer, monkeypatch, what):
    """Do something between the steps of an epoch, as another thread or a signal handler would."""
    run, seen = trainer._job.run, []

    def run_and(*arguments):
        run(*arguments)
        seen.append(what())

    monkeypatch.setattr(trainer._job, "run", run_and)
    trainer.run_epoch(X, LABELS, None, 0.1)
    monkeypatch.undo()
    return seen


@pytest.mark.parametrize("name", CALLS)
def test_another_thread_gets_an_error(trainer, monkeypatch, name):
    def other():
        errors = []

        def call():
            with pytest.raises(RuntimeError, match="Trainer is in use by another thread") as caught:
                CALLS[name](trainer)
            errors.append(caught.value)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        return len(errors)

    assert set(in_the_middle(trainer, monkeypatch, other)) == {1}
    CALLS[name](trainer)  # and afterwards it is free again


def test_a_handler_of_the_same_thread_may_take_a_snapshot(trainer, monkeypatch):
    """Of the last finished step; it does not disturb the run."""
    seen = in_the_middle(trainer, monkeypatch, lambda: stored(trainer))
    np.testing.assert_array_equal(seen[-1], stored(trainer))
    assert not np.array_equal(seen[-1], FLAT)


@pytest.mark.parametrize(
    ("name", "outer"), [("load", "run_epoch"), ("run_epoch", "run_epoch"), ("store", "load")]
)
def test_what_a_handler_may_not_do_is_refused(trainer, name, outer):
    before = stored(trainer)
    with trainer._use.by(outer), pytest.raises(RuntimeError, match="called in the middle of"):
        CALLS[name](trainer)
    np.testing.assert_array_equal(stored(trainer), before)


def test_a_call_that_could_not_say_that_it_ended(trainer):
    """An exception out of a signal handler may come just before a call lets go of the trainer."""
    kept = []

    def cut_off():
        kept.append(trainer._use.by("store"))
        kept[-1].__enter__()

    cut_off()
    trainer.run_epoch(X, LABELS, None, 0.1)
    cut_off()
    thread = threading.Thread(target=lambda: kept.append(stored(trainer)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(kept[-1], stored(trainer))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_in_the_middle(trainer):
    """What another thread was doing there is not finished in the child: it loads anew."""
    with trainer._use.by("run_epoch"):
        child = os.fork()
        if child == 0:
            message = ""
            try:
                trainer.run_epoch(X, LABELS, None, 0.1)
            except RuntimeError as error:
                message = str(error)
            trainer.load(FLAT)
            trainer.run_epoch(X, LABELS, None, 0.1)
            os._exit(0 if "was in use when the process was forked" in message else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class TestPlacesOfOthers:
    """Row orders, columns and starts that change after they have been checked."""

    @pytest.fixture
    def changed_later(self, monkeypatch):
        """The arrays in this list become nonsense as soon as rows have been checked."""
        arrays = []
        rows = _checks.rows

        def check(*args, **kwargs):
            rows(*args, **kwargs)
            for array in arrays:
                array.fill(2**30)

        monkeypatch.setattr(_checks, "rows", check)
        return arrays

    @staticmethod
    def rows(dtype):
        sparse = pytest.importorskip("scipy.sparse").csr_matrix(X * (X > 0))
        return kernels.CSR(
            sparse.data, sparse.indices.astype(dtype), sparse.indptr.astype(dtype), X.shape
        )

    @pytest.mark.parametrize("places", [np.int32, np.int64], ids=lambda kind: kind.__name__)
    @pytest.mark.parametrize("what", ["train", "predict", "loss", "gradient"])
    def test_sparse_rows(self, trainer, changed_later, what, places):
        network = jit.Network(NET, "f4", n_threads=1)
        target = (LABELS, "cross_entropy")

        def result(x):
            if what == "train":
                trainer.load(FLAT)
                return trainer.run_epoch(x, LABELS, None, 0.1), stored(trainer)
            if what == "predict":
                return (network.predict(FLAT, x),)
            if what == "loss":
                return (network.loss(FLAT, x, *target),)
            return network.loss_and_gradient(FLAT, x, *target)

        expected = result(self.rows(places))
        x = self.rows(places)
        changed_later += [x.indices, x.indptr]
        for actual, wanted in zip(result(x), expected, strict=True):
            np.testing.assert_array_equal(actual, wanted)
        assert x.indices[0] == 2**30

    def test_order(self, trainer, monkeypatch):
        order = np.arange(10)[::-1].astype(np.intp)
        expected = trainer.run_epoch(X, LABELS, order.copy(), 0.1)
        trainer.load(FLAT)
        check = _checks.order

        def check_and_change(value, n):
            check(value, n)
            order.fill(2**40)

        monkeypatch.setattr(_checks, "order", check_and_change)
        assert trainer.run_epoch(X, LABELS, order, 0.1) == expected
        assert order[0] == 2**40

    def test_labels(self, trainer, monkeypatch):
        """Classes that there are not are none: nothing is read or written by their number."""
        labels = LABELS.copy()
        check = _checks.rows

        def check_and_change(*args, **kwargs):
            check(*args, **kwargs)
            labels[:] = 2**60

        monkeypatch.setattr(_checks, "rows", check_and_change)
        assert np.isfinite(trainer.run_epoch(X, labels, None, 0.1))


def test_two_threads_that_first_use_a_function_get_one_code(monkeypatch):
    """A second making would free the code that the first thread is about to run."""
    from fastmlp.kernels.jit.compiling import lazy

    count, begun = [], threading.Event()

    def slowly(name, symbols, write):
        count.append(name)
        begun.wait(0.1)  # long enough for the other thread to find nothing made
        return lazy.Made([len(count)], True, lambda: None)

    monkeypatch.setattr(lazy, "made", slowly)
    monkeypatch.setattr(lazy, "COMPILED", [])

    def function() -> None:
        return None

    shared = lazy.Function(function)
    addresses = []
    threads = [threading.Thread(target=lambda: addresses.append(shared.address)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert addresses == [1, 1, 1]
    assert count == ["function"]
