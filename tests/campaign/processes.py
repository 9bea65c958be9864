"""Writers that are killed, forks of a busy process, exceptions out of signal handlers, no memory.

Writers are forked children, killed with SIGKILL at a random moment: under the good name there has
to be the file of before or a whole new one, and nothing else that counts.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastmlp
import numpy as np
from fastmlp import MLP, GroupedMLP, MLPEnsemble, callbacks, kernels, load_model
from fastmlp.cli import main
from fresh import run_python

RNG = np.random.default_rng(1)
X, Y = RNG.random((500, 20)), RNG.integers(0, 3, 500)


def small_network() -> MLP:
    return MLP([20, 30, 3], output="softmax", random_state=0, n_threads=1)


# Killed writers


def kill(write: Callable[[], Any], after: float) -> None:
    """Let a child write again and again, and kill it so many seconds after it has begun."""
    pid = os.fork()
    if pid == 0:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            while True:
                write()
        finally:
            os._exit(3)
    time.sleep(after)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0), "the writer has ended by itself"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def with_value(net: MLP, value: int) -> MLP:
    net.parameters[:] = value
    return net


NETS = [with_value(MLP([200, 300, 10], random_state=0), value) for value in (0, 1)]


def check_values(parameters: Any) -> None:
    assert np.unique(parameters).tolist() in ([0], [1]), "half of one network, half of another"


def saved_network(path: Path) -> tuple[Callable[[], Any], Callable[[], None]]:
    NETS[0].save(path)
    return (
        lambda: [net.save(path) for net in NETS],
        lambda: check_values(MLP.load(path).parameters),
    )


def saved_ensemble(path: Path) -> tuple[Callable[[], Any], Callable[[], None]]:
    models = [MLPEnsemble([200, 300, 10], 2), MLPEnsemble([200, 300, 10], 2)]
    for value, model in enumerate(models):
        model.networks = [with_value(MLP([200, 300, 10]), value) for _ in range(2)]
        model.counts = np.ones(2, np.intp)
    models[0].save(path)

    def check() -> None:
        check_values([net.parameters for net in MLPEnsemble.load(path).networks])

    return lambda: [model.save(path) for model in models], check


def saved_groups(path: Path) -> tuple[Callable[[], Any], Callable[[], None]]:
    models = [GroupedMLP([200, 300, 10]), GroupedMLP([200, 300, 10])]
    for value, model in enumerate(models):
        model.labels = ["a", "b"]
        model.networks = {name: with_value(MLP([200, 300, 10]), value) for name in "ab"}
    models[0].save(path)

    def check() -> None:
        check_values([net.parameters for net in GroupedMLP.load(path).networks.values()])

    return lambda: [model.save(path) for model in models], check


def saved_estimator(path: Path) -> tuple[Callable[[], Any], Callable[[], None]]:
    model = fastmlp.MLPClassifier((300, 30), max_iter=1, random_state=0, warm_start=True)
    model.partial_fit(X, Y, classes=[0, 1, 2])
    model.save(path)
    want = model.predict(X)
    return lambda: model.save(path), lambda: np.testing.assert_array_equal(
        fastmlp.MLPClassifier.load(path).predict(X), want
    )


def checkpoints(path: Path) -> tuple[Callable[[], Any], Callable[[], None]]:
    """A killed run goes on from its checkpoint to the bits of one that nobody killed."""
    whole = small_network()
    whole.fit(X, Y, epochs=4, batch_size=50)

    def write() -> None:
        net = small_network()
        net.fit(X, Y, epochs=3, batch_size=50, callbacks=callbacks.Checkpoint(path))

    write()

    def check() -> None:
        net = small_network()
        net.fit(X, Y, epochs=4, batch_size=50, resume=path)
        np.testing.assert_array_equal(net.parameters, whole.parameters)

    return write, check


def command(path: Path) -> tuple[Callable[[], Any], Callable[[], None]]:
    """Model, history, picture and run of ``fastmlp train``."""
    arguments = ["train", "digits", "--epochs", "1", "--layers", "3", "--quiet", "--out"]
    arguments.append(str(path))
    assert main(arguments) == 0

    def check() -> None:
        assert len(load_model(path / "model.safetensors").network.weights) == 2
        assert json.loads((path / "history.json").read_text())["loss"]
        if importlib.util.find_spec("matplotlib"):
            picture = (path / "learning_curve.png").read_bytes()
            assert picture.startswith(b"\x89PNG")
            assert b"IEND" in picture[-12:]
        assert main([*arguments[:2], "--resume", *arguments[2:4], *arguments[6:]]) in (0, 1, 2)

    return lambda: main(arguments), check


WRITERS = {
    writer.__name__: writer
    for writer in (
        *(saved_network, saved_ensemble, saved_groups, saved_estimator, checkpoints, command),
    )
}


def kills(seed: int, folder: Path) -> dict[str, int]:
    """Kill one writer, look at its files, let the next one write, and see what is left over."""
    rng = np.random.default_rng(seed)
    name = list(WRITERS)[seed % len(WRITERS)]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "file"
        write, check = WRITERS[name](path)
        kill(write, rng.uniform(0, 0.3 if name == "command" else 0.05))
        check()
        write()
        check()
        kept = Path(place) if path.is_file() else path
        left = [one.name for one in kept.iterdir() if one.name.endswith(".part")]
        assert len(left) <= 3, f"left over: {left}"
    return {"kills": 1}


CACHE = """
import sys
import numpy as np
from fastmlp import MLP, kernels
kernels.use_backend("numba")
net = MLP([3, 2], random_state=0, n_threads=1)
print("ready", flush=True)
net.loss(np.ones((4, 3), "f4"), np.ones((4, 2), "f4"))
print(repr(float(net.predict(np.ones((4, 3), "f4")).sum())))
"""


def killed_caches(seed: int, folder: Path) -> dict[str, int]:
    """Kill what compiles into a new cache; the next process computes the same, and fills it."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        environment = os.environ | {"FASTMLP_CACHE_DIR": place}
        command = [sys.executable, "-c", CACHE]
        child = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(np.random.default_rng(seed).uniform(0, 4))
        child.kill()
        child.wait()
        child.stdout.close()
        said = [
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            for _ in range(2)
        ]
        assert said[0].stdout == said[1].stdout
        assert not any(one.stderr for one in said), said[0].stderr + said[1].stderr
    return {"kills": 1, "cold caches": 1}


# Forks


FORKS = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from fastmlp import MLP, kernels, losses
kernels.use_backend({backend!r})
X = np.random.default_rng(0).random((300, 8), "f4")
y = X[:, :1].copy()

def trained(constant=None):
    net = MLP([8, 40, 1], random_state=0)
    loss = "squared_error"
    if constant is not None:
        loss = losses.custom(lambda z, t: constant * (z - t) ** 2, name=f"c{{constant}}")
    net.fit(X, y, loss=loss, epochs=2)
    return net.parameters.tobytes()

expected = trained()
trained({constant})  # a fork in the middle of Python's own imports would leave their locks behind
stop = False

def busy():
    i = 0
    while not stop:
        i += 1
        trained(1.0 + i if {compiling} else None)

thread = threading.Thread(target=busy, daemon=True)
thread.start()
rng = np.random.default_rng({seed})
for _ in range({forks}):
    time.sleep(rng.uniform(0, 0.05))
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # kills a child that hangs
        os._exit(0 if trained() == expected and trained({constant}) else 3)
    status = os.waitpid(pid, 0)[1]
    if status:
        sys.exit(f"a child ended with {{status}}: {{os.waitstatus_to_exitcode(status)}}")
stop = True
thread.join()
"""


def forks(seed: int, folder: Path) -> dict[str, int]:
    """Fork while another thread trains, or compiles: a child computes the same and ends."""
    fast = [name for name in kernels.available() if name != "reference"]
    backend, compiling = fast[seed % len(fast)], bool(seed // len(fast) % 2)
    some = 3 if compiling else 10
    code = FORKS.format(
        backend=backend, compiling=compiling, constant=0.5 if compiling else None, seed=seed,
        forks=some,
    )  # fmt: skip
    done = run_python(code)
    assert done.returncode == 0, f"{backend}: {done.stdout}{done.stderr}"
    return {"forks": some}


# Signals


class Interrupted(Exception):
    """What the handler of the alarm raises."""


def _interrupt(number: int, frame: Any) -> None:
    raise Interrupted


def _steps_of(epochs: int) -> set[bytes]:
    """Parameters after each step of a fit."""
    steps = {small_network().parameters.tobytes()}

    class Record(callbacks.Callback):
        def on_batch_end(self, network: Any, history: Any, batch: int, loss: float) -> None:
            steps.add(network.parameters.tobytes())

    small_network().fit(X, Y, epochs=epochs, batch_size=10, shuffle=False, callbacks=Record())
    return steps


_KNOWN: dict[str, set[bytes]] = {}


def signals(seed: int, folder: Path) -> dict[str, int]:
    """An exception out of a signal handler ends a fit between two steps, never within one."""
    assert threading.current_thread() is threading.main_thread()
    names = kernels.available()
    with kernels.use_backend(names[seed % len(names)]):
        steps = _KNOWN.setdefault(names[seed % len(names)], _steps_of(3))
        net = small_network()
        after = np.random.default_rng(seed).uniform(1e-4, 0.02)
        before = signal.signal(signal.SIGALRM, _interrupt)
        try:
            with contextlib.suppress(Interrupted):
                signal.setitimer(signal.ITIMER_REAL, after)
                net.fit(X, Y, epochs=3, batch_size=10, shuffle=False)
                signal.setitimer(signal.ITIMER_REAL, 0)  # within: it may be ringing just now
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert net.parameters.tobytes() in steps, f"not a finished step, after {after} s"
        net.fit(X, Y, epochs=1, batch_size=10)  # and it goes on
    return {"signals": 1}
