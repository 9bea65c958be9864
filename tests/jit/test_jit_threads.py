"""Threads of the Numba backend: limits, callers at the same time, forks, and how many are used."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from fastmlp import kernels
from fresh import run_with_numba

pytest.importorskip("numba")
jit = pytest.importorskip("fastmlp.kernels.jit")

from fastmlp.kernels.jit.engine import prepared_calls  # noqa: E402
from fastmlp.kernels.jit.threads import limit, team, tuner  # noqa: E402


class TestChoice:
    """The number of threads that comes out where steps take times that the test makes up."""

    @staticmethod
    def run(choice, seconds_of_a_step, total):
        """Simulate steps for so many seconds; seconds spent with each number of threads."""
        spent = {}
        while sum(spent.values()) < total:
            threads = choice.threads
            seconds = seconds_of_a_step(threads)
            choice.note(1, seconds)
            spent[threads] = spent.get(threads, 0.0) + seconds
        return spent

    @pytest.mark.parametrize("operations", [3e5, 1e7, 1e9])
    @pytest.mark.parametrize("fastest", [1, 2, 4, 6])
    def test_finds_the_fastest(self, operations, fastest):
        """From any first guess, and little time is lost with the others."""

        def seconds(threads):
            return 1e-4 * (1 + abs(np.log2(threads / fastest)))

        choice = tuner.Choice(6, operations)
        self.run(choice, seconds, 0.5)
        spent = self.run(choice, seconds, 3.0)
        assert spent[fastest] > 0.95 * sum(spent.values())

    def test_follows_a_change(self):
        """A neighbour takes the other CPU away, and gives it back."""
        choice = tuner.Choice(2, 1e7)
        for fastest in (2, 1, 2):
            self.run(choice, lambda t, best=fastest: 1e-4 if t == best else 1.5e-4, 2.0)
            spent = self.run(choice, lambda t, best=fastest: 1e-4 if t == best else 1.5e-4, 1.0)
            assert max(spent, key=spent.get) == fastest

    def test_a_disturbed_start_is_soon_forgotten(self):
        """Another library's threads, say, wait for work on the second CPU."""
        choice = tuner.Choice(2, 1e7)
        self.run(choice, lambda t: 4.5e-4 if t == 2 else 1.5e-4, 0.02)
        spent = self.run(choice, lambda t: 1e-4 if t == 2 else 1.5e-4, 0.5)
        assert spent[2] > 0.6 * sum(spent.values())

    def test_equal_costs_stay(self):
        choice = tuner.Choice(2, 1e6)
        before = choice.threads
        spent = self.run(choice, lambda t: 1e-4, 1.0)
        assert spent[before] > 0.5

    def test_small_steps_are_not_even_tried(self):
        choice = tuner.Choice(8, 1e5)
        assert choice.most == 1
        assert set(self.run(choice, lambda t: 1e-5, 0.1)) == {1}

    @pytest.mark.parametrize(("n", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6])])
    def test_counts(self, n, counts):
        assert tuner.Choice(n, 1e9)._counts == counts


@pytest.fixture
def members(monkeypatch):
    """Numbers of threads that parallel regions are started with."""
    team._start_pool()  # once a process, with as many as there may be
    started = []
    together = team._together
    monkeypatch.setattr(team, "_together", lambda n, steps: (started.append(n), together(n, steps)))
    return started


def product(n_threads):
    """A product that is large enough for several threads; nobody has found out yet how many."""
    prepared_calls.shelves.reset()
    x = np.linspace(-1, 1, 600 * 300, dtype=np.float32).reshape(600, 300)
    w = np.linspace(-1, 1, 300 * 257, dtype=np.float32).reshape(300, 257)
    return jit.dense_forward(x, w, w[0], "tanh", n_threads=n_threads)


@pytest.fixture
def two_cpus():
    if limit.limit.n_threads < 2:
        pytest.skip("Numba has one thread here")


class TestLimits:
    def test_argument(self, members, two_cpus):
        one = product(1)
        assert members == []
        np.testing.assert_array_equal(product(2), one)
        assert members == [2]

    def test_threadpoolctl(self, members, two_cpus):
        threadpoolctl = pytest.importorskip("threadpoolctl")

        def listed():
            found = [
                pool
                for pool in threadpoolctl.threadpool_info()
                if pool["internal_api"] == "fastmlp-numba"
            ]
            assert len(found) == 1
            return found[0]["num_threads"]

        before = listed()
        one = product(1)
        with threadpoolctl.threadpool_limits(1):
            assert listed() == 1
            np.testing.assert_array_equal(product(2), one)
            assert members == []
        assert listed() == before
        product(2)
        assert members == [2]

    def test_numbas_own(self, members, two_cpus):
        """numba.set_num_threads limits it too, and is left as it was."""
        import numba

        before = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            one = product(2)
            assert numba.get_num_threads() == 1
            assert 2 not in members
        finally:
            numba.set_num_threads(before)
        np.testing.assert_array_equal(product(2), one)
        assert numba.get_num_threads() == before


# Threads of one process in trainers and kernels, and children of it, all against one thread.
CALLERS = """
import json, os, sys, threading
import numpy as np
from fastmlp import kernels
kernels.use_backend("numba")
rng = np.random.default_rng(1)
x = rng.standard_normal((400, 120)).astype("f4")
labels = rng.integers(0, 10, 400)
net = kernels.Architecture((120, 90, 10), ("relu",), "softmax")
flat = (0.1 * rng.standard_normal(net.n_parameters)).astype("f4")

def results(n_threads):
    trainer = kernels.trainer(net, "f4", "cross_entropy", kernels.UpdateRule("sgd"),
                              batch_size=200, n_threads=n_threads)
    trainer.load(flat)
    trained = np.empty_like(flat)
    losses = [trainer.run_epoch(x, labels, None, 0.1) for _ in range(20)]
    trainer.store(trained)
    network = kernels.network(net, "f4", n_threads=n_threads)
    return [losses, trained, network.predict(flat, x),
            *network.loss_and_gradient(flat, x, labels, "cross_entropy"),
            kernels.weight_gradient(x, x, n_threads=n_threads)]

def same(a, b):
    return all(np.array_equal(i, j) for i, j in zip(a, b, strict=True))

expected = results(1)
answers = []
def caller():
    answers.append(same(results(2), expected))
for _ in range(2):
    threads = [threading.Thread(target=caller) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
answers.append(same(results(2), expected))
import numba
layer = numba.threading_layer()
if hasattr(os, "fork"):
    for _ in range(2):
        child = os.fork()
        if child == 0:
            ok = same(results(2), expected)
            threads = [threading.Thread(target=caller) for _ in range(3)]
            for t in threads: t.start()
            for t in threads: t.join()
            os._exit(0 if ok and all(answers) else 1)
        answers.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0)
    answers.append(same(results(2), expected))
print(json.dumps([layer, answers]))
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="one system is enough")
@pytest.mark.parametrize("layer", ["workqueue", "omp"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_callers_and_forks(layer, two_cpus):
    """Numba's workqueue aborts where two threads enter it, and omp hangs after a fork."""
    done = run_with_numba(CALLERS, NUMBA_THREADING_LAYER=layer)
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip(f"Numba has no {layer} here")
    assert done.returncode == 0, done.stderr
    used, answers = json.loads(done.stdout)
    assert used == layer
    assert len(answers) == 12
    assert all(answers)


def test_a_child_of_multiprocessing_uses_one_thread(monkeypatch):
    """Whatever team its parent had left in it."""
    import multiprocessing

    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: "fork")
    assert team._Entrance().forked
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: "spawn")
    assert not team._Entrance().forked


def test_default_comes_from_the_environment():
    code = (
        "from fastmlp import kernels\n"
        "kernels.use_backend('numba')\n"
        "from fastmlp.kernels.jit.threads import tuner\n"
        "print(tuner.Choice.of(None, 1e9).most, tuner.Choice.of(2, 1e9).most)\n"
    )
    assert run_with_numba(code, FASTMLP_NUM_THREADS="1").stdout.split() == ["1", "2"]
    assert run_with_numba(code, FASTMLP_NUM_THREADS="3").stdout.split() == ["3", "2"]


def test_a_trainer_tries_both(members, two_cpus):
    """Whatever it tries, the result is that of one thread, to the bit."""
    net = kernels.Architecture((64, 100, 10), ("relu",), "softmax")
    rng = np.random.default_rng(2)
    x = rng.random((2000, 64), dtype=np.float32)
    labels = rng.integers(0, 10, len(x))
    results = []
    for n_threads in (1, 2):
        trainer = jit.Trainer(
            net,
            np.float32,
            "cross_entropy",
            kernels.UpdateRule("sgd"),
            kernels.TrainingOptions(batch_size=200, n_threads=n_threads),
        )
        trainer.load(np.linspace(-0.1, 0.1, net.n_parameters, dtype=np.float32))
        losses = []
        for epoch in range(40):
            if n_threads == 2:  # as if it had found out
                trainer._choice.threads = 1 + epoch % 2
            losses.append(trainer.run_epoch(x, labels, None, 0.1))
        results.append(losses)
    assert results[0] == results[1]
    assert 2 in members


OPTIONS = {
    "norm": {"track_gradient_norm": True},
    "clip_norm": {"clip_norm": 0.1, "l2": 1e-3},
    "clip": {"clip_norm": 0.1, "clip_value": 0.02, "l1": 1e-3},
    "penalties": {"l1": 1e-3, "l2": 1e-2, "l2_over_batch": True},
    "max_norm": {"max_norm": 0.5, "dropout": (0.1, 0.2)},
    "frozen": {"clip_norm": 0.1, "trainable": (False, True)},
}


class TestSums:
    """No sum depends on how a step is cut, whatever number of threads it is cut for."""

    @pytest.fixture
    def as_many_as_asked(self, monkeypatch):
        """Cut for all threads at once, and never for fewer."""
        monkeypatch.setattr(tuner, "EACH_ALONE", 0.0)
        monkeypatch.setattr(tuner, "WORTH_SHARING", 0.0)
        monkeypatch.setattr(tuner.Choice, "note", lambda choice, steps, seconds: None)

    @staticmethod
    def train(n_threads, options, dtype, sparse, sizes=(260, 71, 10)):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(333, sizes[0])).astype(dtype)
        if sparse:
            scipy_sparse = pytest.importorskip("scipy.sparse")
            m = scipy_sparse.csr_matrix(x * (rng.random(x.shape) < 0.2))
            x = kernels.CSR(m.data, m.indices, m.indptr, m.shape)
        labels = rng.integers(0, sizes[-1], 333)
        weights = rng.random(333).astype(dtype)
        net = kernels.Architecture(sizes, ("tanh",), "softmax")
        flat = (0.1 * rng.normal(size=net.n_parameters)).astype(dtype)
        options = kernels.TrainingOptions(batch_size=100, n_threads=n_threads, **options)
        trainer = jit.Trainer(net, dtype, "cross_entropy", kernels.UpdateRule("sgd"), options)
        trainer.load(flat)
        found = []
        for _ in range(3):
            found.append(trainer.run_epoch(x, labels, None, 0.1, sample_weight=weights))
            found.append(trainer.gradient_norm)
        trainer.store(flat)
        return found, flat.tobytes()

    @pytest.mark.covers("name sparse", "name dtype")
    @pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
    @pytest.mark.parametrize("name", OPTIONS)
    def test_training(self, as_many_as_asked, name, dtype, sparse):
        one = self.train(1, OPTIONS[name], dtype, sparse)
        for n_threads in (2, 3, 5, 16):
            assert self.train(n_threads, OPTIONS[name], dtype, sparse) == one, n_threads

    def test_norm(self, as_many_as_asked):
        """It is the length of the gradient, with padding left out."""
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(64, 19)), rng.normal(size=(64, 3))
        net = kernels.Architecture((19, 37, 3), ("tanh",), "identity")
        flat = 0.1 * rng.normal(size=net.n_parameters)
        options = kernels.TrainingOptions(batch_size=64, n_threads=3, track_gradient_norm=True)
        trainer = jit.Trainer(net, "f8", "squared_error", kernels.UpdateRule("sgd"), options)
        trainer.load(flat)
        trainer.run_epoch(x, y, None, 0.1)
        gradient = kernels.reference.Network(net, "f8").loss_and_gradient(
            flat, x, y, "squared_error"
        )[1]
        assert trainer.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-12)


# One seed, more threads than there are CPUs, chosen by the clock.
REPEATED = """
import numpy as np
from fastmlp import MLP, kernels
kernels.use_backend("numba")
g = np.random.default_rng(0); x = g.normal(size=(512, 256)); y = g.integers(0, 10, 512)
def run(threads):
    net = MLP([256, 128, 10], output="softmax", dtype="f8", random_state=0, n_threads=threads)
    net.fit(x, y, epochs=2, batch_size=128, clip_norm=0.1, track_gradient_norm=True)
    return net.parameters.tobytes()
print(len({run(threads) for threads in (1, 2, 3, 4, 4, 4)}))
"""


def test_one_seed_has_one_result():
    done = run_with_numba(REPEATED, NUMBA_NUM_THREADS="4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1"]
