"""Runs that are cut within an epoch, and gone on with: the same bits as one that nobody cut."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from communicator import on_ranks
from fastmlp import MLP, data, optimizers, schedules, stopping
from fastmlp.callbacks import Checkpoint
from fastmlp.data._source import Source
from numpy.testing import assert_array_equal

pytest.importorskip("safetensors")

RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(101, 3)).astype("f"), RNG.normal(size=(101, 1)).astype("f")
WEIGHT = RNG.uniform(0.5, 2, 101).astype("f")
VALIDATION = (X[:9], Y[:9])


class Blocks(Source):
    """Blocks of other sizes, two of them empty, that do not say how many rows they have."""

    buffer = 2
    cuts = (0, 13, 13, 13, 40, 41, 70, 101)

    def __init__(self, one_pass=False):
        self.one_pass = one_pass

    def __len__(self):
        return len(self.cuts) - 1

    def __getitem__(self, i):
        rows = slice(self.cuts[i], self.cuts[i + 1])
        return X[rows], Y[rows], WEIGHT[rows]


class OnePass(Blocks):
    one_pass = True

    def __init__(self):
        pass


def sparse():
    rows = pytest.importorskip("scipy.sparse").csr_array(X * (X > 0))
    return data.arrays(rows, Y, block_rows=15, buffer=2)


SOURCES = {
    "array": lambda: (X, Y),
    "in order": lambda: (data.arrays(X, Y, block_rows=17, buffer=1),),
    "blocks": lambda: (data.arrays(X, Y, WEIGHT, block_rows=11, buffer=2),),
    "rows": lambda: (data.arrays(X, Y, block_rows=11, buffer=2),),
    "uneven": lambda: (Blocks(),),
    "one pass": lambda: (OnePass(),),
    "sparse": lambda: (sparse(),),
}
OPTIONS = {
    "array": {"optimizer": "adam", "dropout": 0.2, "learning_rate": "cosine"},
    "in order": {"shuffle": False, "optimizer": "sgd"},
    "blocks": {"learning_rate": schedules.Step(1), "stop": "early_stopping",
               "validation_data": VALIDATION},
    "rows": {"shuffle": "rows", "optimizer": optimizers.SGD(0.1, momentum=0.9), "metrics": "r2"},
    "uneven": {"track_gradient_norm": True, "stop": stopping.TimeLimit(1000.0)},
    "one pass": {"optimizer": "rmsprop"},
    "sparse": {"optimizer": "adagrad", "batch_size": 6},
}  # fmt: skip


class Kept(Checkpoint):
    """Keeps all files."""

    def on_steps(self, history, step):
        super().on_steps(history, step)
        shutil.copy(self.path, f"{self.path}-{history.epochs}-{step}")


def network(seed=0):
    return MLP([3, 5, 1], random_state=seed, n_threads=1)


def known(history):
    return {name: value for name, value in history.to_dict().items() if name != "seconds"}


@pytest.mark.covers("name", "fast_backend")
@pytest.mark.parametrize("name", SOURCES)
def test_a_file_of_any_step_leads_to_the_bits_of_the_whole_run(fast_backend, name, tmp_path):
    options = {"batch_size": 7, "epochs": 3, **OPTIONS[name]}
    plain, whole = network(), network()
    losses = plain.fit(*SOURCES[name](), **options).loss
    path = str(tmp_path / "run")
    history = whole.fit(*SOURCES[name](), callbacks=Kept(path, every_steps=4), **options)
    # Nothing but the rounding of the mean loss depends on who keeps what.
    assert_array_equal(whole.parameters, plain.parameters)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-6)
    files = sorted(tmp_path.glob("run-*"))
    assert len(files) in (9, 10, 12)
    for file in (files[0], files[4], files[-1]):
        resumed = network(seed=5)  # all comes from the file
        keeper = Checkpoint(path, every_steps=4)
        again = resumed.fit(*SOURCES[name](), callbacks=keeper, resume=file, **options)
        assert_array_equal(resumed.parameters, whole.parameters, err_msg=file.name)
        if name != "uneven":  # its clock cuts epochs into pieces as they come
            assert known(again) == known(history)
        assert min(again.seconds) >= 0
        assert resumed._generator.bit_generator.state == whole._generator.bit_generator.state


def test_ranks_go_on_within_an_epoch(tmp_path):
    source = data.arrays(X, Y, block_rows=20, buffer=2)
    path = tmp_path / "run"

    def train(comm, **options):
        net = network()
        history = net.fit(source, comm=comm, batch_size=8, epochs=2, dropout=0.2, **options)
        return net.parameters, history.loss

    whole = on_ranks(2, lambda comm: train(comm, callbacks=Kept(path, every_steps=5)))
    resumed = on_ranks(4, lambda comm: train(comm, resume=f"{path}-1-5"))
    for parameters, losses in resumed:
        assert_array_equal(parameters, whole[0][0])
        np.testing.assert_allclose(losses, whole[1][1])


def test_a_trainer_goes_on_within_an_epoch(tmp_path):
    path = tmp_path / "run"
    whole, resumed = network(), network(seed=3)
    options = {"optimizer": "adam", "batch_size": 10}
    trainer = whole.trainer(callbacks=Kept(path, every_steps=3), **options)
    trainer.run(X, Y, epochs=2)
    other = resumed.trainer(**options)
    other.load(f"{path}-1-9")
    assert other.state["within"]["step"] == 9
    other.run(X, Y)
    assert_array_equal(resumed.parameters, whole.parameters)
    assert other.state["within"] is None
    assert other.steps == trainer.steps == 22


def test_what_does_not_fit_a_cut_epoch_is_refused(tmp_path):
    path = str(tmp_path / "run")
    source = data.arrays(X, Y, block_rows=10, buffer=2)
    network().fit(source, epochs=1, batch_size=7, callbacks=Kept(path, every_steps=4))
    net = network()
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="cut within an epoch with batch_size=7, got 8"):
        net.fit(source, epochs=1, batch_size=8, resume=f"{path}-0-8")
    assert_array_equal(net.parameters, before)
    other = data.arrays(X, Y, block_rows=10, buffer=3)
    with pytest.raises(ValueError, match="buffers of 2 blocks, got 3"):
        net.fit(other, epochs=1, batch_size=7, resume=f"{path}-0-8")
    with pytest.raises(ValueError, match="every_steps must be at least 1, got 0"):
        Checkpoint(path, every_steps=0)
    trainer = net.trainer(batch_size=7)
    trainer.load(f"{path}-0-8")
    state = trainer.state
    for name, wrong in {"step": -1, "summed": "a", "where": None, "batch_size": 0}.items():
        broken = {**state, "within": {**state["within"], name: wrong}}
        with pytest.raises(ValueError, match=name):
            trainer.state = broken
    left = {**state["within"]["where"]["left"], "target": np.zeros(2, "f")}
    where = {**state["within"]["where"], "left": left}
    with pytest.raises(ValueError, match="left has rows, targets and weights that do not fit"):
        trainer.state = {**state, "within": {**state["within"], "where": where}}


PROGRAM = """
    import os, signal, sys
    import numpy as np
    from fastmlp import MLP, data, kernels
    from fastmlp.callbacks import Checkpoint
    kernels.use_backend(sys.argv[3])
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(200, 3)), rng.normal(size=(200, 1))
    path, kill = sys.argv[1], int(sys.argv[2])
    read = 0

    def reading(X, y):
        global read
        read += 1
        if read == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return X, y

    source = data.arrays(X, y, block_rows=20, buffer=2).map(reading)
    net = MLP([3, 5, 1], random_state=0, n_threads=1)
    history = net.fit(source, epochs=4, batch_size=9, dropout=0.2, callbacks=[
        Checkpoint(path, every_steps=2)], resume=path if os.path.exists(path) else None)
    print(net.parameters.tobytes().hex(), history.loss)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize(
    "backend",
    ["compiled", *(pytest.param(name, marks=pytest.mark.sweep) for name in ("numba", "reference"))],
)
def test_a_run_killed_while_it_reads_goes_on(backend, tmp_path):
    """Also one that is killed twice, in the middle of an epoch."""
    found = []
    for path, kills in ((tmp_path / "whole", ()), (tmp_path / "cut", (17, 9))):
        for kill in (*kills, 0):
            done = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(PROGRAM), path, str(kill), backend],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr
        found.append(done.stdout)
    assert found[0] == found[1]
