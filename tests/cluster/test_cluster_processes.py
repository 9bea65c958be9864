"""One network over the processes of an MPI job: equal bits, and a quick end when one fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastmlp import MLP, load_model
from fastmlp.kernels import info
from numpy.testing import assert_array_equal

pytest.importorskip("mpi4py")
#: Open MPI's launcher refuses more ranks than cores, and a container's root, unless it is told.
OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
#: In a program of its own, as a cluster runs it. Arguments: what to do, and a file.
PROGRAM = """
import os, signal, sys, threading, time
import numpy as np
from mpi4py import MPI
from fastmlp import (
    MLP, MLPClassifier, MLPEnsembleClassifier, MLPRegressor, callbacks, data, fit_many
)
from fastmlp.model_selection import MLPSearchCV
comm, (what, path) = MPI.COMM_WORLD, sys.argv[1:]
rng = np.random.default_rng(0)
X = rng.normal(size=(101, 30)).astype(np.float32)
y = X[:, :1] > 0

def network(*sizes):
    return MLP(sizes, output="sigmoid", random_state=0, n_threads=1)

if what == "train":
    nets = {}
    for name, options in {
        "adam": dict(dropout=0.2, clip_norm=0.1, epochs=3, stop="early_stopping",
                     validation_data=(X, y)),
        "lbfgs": dict(optimizer="lbfgs", epochs=3),
        "damped": dict(optimizer="levenberg_marquardt", epochs=2),
    }.items():
        nets[name] = net = network(30, 400 if name == "adam" else 4, 1)
        nets[name + " history"] = net.fit(X, y, comm=comm, **options)
    found = {k: getattr(v, "parameters", None) if k in ("adam", "lbfgs", "damped") else v.loss
             for k, v in nets.items()}
    np.random.seed(5 * comm.rank)  # without random_state rank 0's generator draws
    model = MLPClassifier((9,), max_iter=2, n_threads=1).fit(X, y.ravel(), comm=comm)
    model.set_params(random_state=1)
    many = [network(30, 4, 1) for _ in range(3)]
    fit_many(many, X, y, epochs=2, n_threads=1, comm=comm)
    found |= {"estimator": model.coefs_[0], "many": [net.parameters for net in many]}
    step = MLPRegressor(hidden_layer_sizes=(5,), random_state=1, n_threads=1)
    for part in (slice(0, 60), slice(60, 101)):
        step.partial_fit(X[part], X[part, 0], comm=comm)
    ensemble = MLPEnsembleClassifier(
        MLPClassifier((5,), max_iter=2, random_state=0, n_threads=1), n_estimators=3
    )
    ensemble.fit(X, y.ravel(), comm=comm)
    search = MLPSearchCV(model, {"alpha": [0.1, 0.001]}, cv=2, refit=False, n_threads=1)
    found["search"] = search.fit(X, y.ravel(), comm=comm).cv_results_["mean_test_score"]
    blocks = data.arrays(X, y, block_rows=13)
    for name in ("lbfgs", "levenberg_marquardt"):
        net = network(30, 4, 1)
        history = net.fit(blocks, comm=comm, optimizer=name, epochs=2)
        found |= {"blocks " + name: net.parameters, "losses " + name: history.loss}
    found |= {"partial_fit": step.coefs_[0], "ensemble": ensemble.predict_proba(X)}
    own = slice(60 * comm.rank, 60 + 60 * comm.rank)
    net = network(30, 4, 1)
    net.fit(X[own] if comm.size == 2 else X, y[own] if comm.size == 2 else y, comm=comm,
            partitioned=True, epochs=2)
    assert len(set(comm.allgather(net.parameters.tobytes()))) == 1
    everywhere = comm.allgather([np.asarray(found[k]).tobytes() for k in sorted(found)])
    assert all(one == everywhere[0] for one in everywhere)
    if comm.rank == 0:
        np.savez(path, **found)
elif what == "widths":
    X = X[:, : 30 - comm.rank]
    network(X.shape[1], 4, 1).fit(X, y, comm=comm)
else:
    def die():
        while not os.path.exists(path):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    class Rows:
        def __len__(self):
            return 1
        def __getitem__(self, block):
            if what == "raise" and comm.rank == 1 and os.path.exists(path):
                raise OSError("the disk is gone")
            return X, y

    if what == "kill" and comm.rank == 1:
        threading.Thread(target=die, daemon=True).start()
    rows, keeper = data.source(Rows()), callbacks.Checkpoint(path)
    network(30, 4, 1).fit(rows, comm=comm, epochs=10**7, callbacks=keeper)
"""
TRAIN = "import sys; from fastmlp.cli import main; sys.exit(main(sys.argv[1:]))"


def with_mpi(ranks, *arguments, program=PROGRAM):
    library = Path(sys.modules["mpi4py"].__file__).parents[4]
    places = [str(library / "bin"), str(Path(sys.executable).parent)]
    command = shutil.which("mpiexec", path=":".join(places)) or shutil.which("mpiexec")
    if command is None:
        pytest.skip("needs mpiexec")
    environment = {"PATH": ":".join([*places, "/usr/bin", "/bin"]), "HOME": "/tmp"} | OPEN_MPI
    environment["LD_LIBRARY_PATH"] = str(library / "lib")
    environment["FASTMLP_BACKEND"] = info()["backend"]
    return subprocess.run(
        [command, "-n", str(ranks), sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.sweep)])
def test_the_same_bits(ranks, tmp_path):
    found = []
    for n in (1, ranks):
        path = tmp_path / f"{n}.npz"
        result = with_mpi(n, "train", path)
        assert result.returncode == 0, result.stderr
        found.append(dict(np.load(path)))
    assert len(found[0]) == 15
    for name, one in found[0].items():
        assert_array_equal(found[1][name], one, err_msg=name)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("kill", "signal 9"),
        pytest.param("raise", "OSError: the disk is gone", marks=pytest.mark.sweep),
        pytest.param("widths", "ranks must train the same network", marks=pytest.mark.sweep),
    ],
)
def test_a_rank_that_fails_ends_all(what, words, tmp_path):
    """With a message, soon, and with a whole checkpoint."""
    path = tmp_path / "run.safetensors"
    result = with_mpi(2, what, path)
    assert result.returncode != 0
    assert words in result.stdout + result.stderr
    if what != "widths":
        rng = np.random.default_rng(0)
        x = rng.normal(size=(101, 30)).astype(np.float32)
        net = MLP((30, 4, 1), output="sigmoid", random_state=0)
        trainer = net.trainer(optimizer="adam")
        trainer.load(path)
        assert trainer.history.epochs >= 1
        assert np.isfinite(trainer.step(x, x[:, :1] > 0))


@pytest.mark.sweep
def test_the_command(tmp_path):
    found = []
    for n in (1, 2):
        words = ("train", "digits", "--layers", "8", "--epochs", "2", "--out", tmp_path / str(n))
        result = with_mpi(n, *words, "--mpi", "--quiet", program=TRAIN)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("wrote ") == 1
        found.append(load_model(tmp_path / str(n)).network.parameters)
    assert_array_equal(*found)
