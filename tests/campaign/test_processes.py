"""Processes that are killed while they write, that fork, and that are interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from fastmlp import MLP, callbacks, load_model
from support import run_python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

WRITER = """
import sys
from fastmlp import MLP
nets = [MLP([200, 300, 10], random_state=0) for _ in range(2)]
for number, net in enumerate(nets):
    net.parameters[:] = number
print("ready", flush=True)
while True:
    for net in nets:
        net.save(sys.argv[1])
"""


def killed(code, *arguments, after):
    """Run code, and kill it so many seconds after it says that it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(after)
    child.kill()
    child.wait()
    child.stdout.close()


def test_save_is_all_or_nothing(tmp_path, trials):
    """A writer that is killed leaves the network of before or after, never half of one."""
    pytest.importorskip("safetensors")
    path = tmp_path / "net.safetensors"
    for seed in trials(3):
        after = np.random.default_rng(seed).uniform(0.001, 0.05)
        killed(WRITER, str(path), after=after)
        if path.exists():
            values = np.unique(MLP.load(path).parameters)
            assert values.tolist() in ([0], [1]), f"seed {seed}, killed after {after} s"


COMMAND = """
import sys
from fastmlp.cli import main
sys.stdout, out = open("/dev/null", "w"), sys.stdout
arguments = ["train", "digits", "--epochs", "1", "--layers", "3", "--quiet", "--out", sys.argv[1]]
assert main(arguments) == 0
print("ready", file=out, flush=True)
while True:
    main(arguments)
"""


def test_files_of_the_command_are_all_or_nothing(tmp_path, trials):
    """Model, history and picture of an earlier run stay whole until the new ones are there."""
    for package in ("safetensors", "matplotlib"):
        pytest.importorskip(package)
    for seed in trials(2):
        after = np.random.default_rng(seed).uniform(0, 0.5)
        killed(COMMAND, str(tmp_path), after=after)
        what = f"seed {seed}, killed after {after} s"
        assert len(load_model(tmp_path / "model.safetensors").network.weights) == 2, what
        assert json.loads((tmp_path / "history.json").read_text())["loss"], what
        picture = (tmp_path / "learning_curve.png").read_bytes()
        assert picture.startswith(b"\x89PNG"), what
        assert b"IEND" in picture[-12:], what


FORKS = """
import os, signal, sys, threading, time
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


@pytest.mark.parametrize("compiling", [False, True], ids=["training", "compiling"])
def test_children_of_a_busy_process(fast_backend, compiling, trials):
    """Forked while another thread trains or compiles, a child computes the same and ends."""
    for seed in trials(1):
        constant = 0.5 if compiling else None
        code = FORKS.format(
            backend=fast_backend, compiling=compiling, constant=constant, seed=seed, forks=3
        )
        done = run_python("import warnings; warnings.simplefilter('ignore')\n" + code)
        assert done.returncode == 0, f"seed {seed}: {done.stderr}"


class Interrupted(Exception):
    """What the handler of the alarm raises."""


def _interrupt(number, frame):
    raise Interrupted


def test_interrupts_leave_a_finished_step(backend, trials):
    """An exception out of a signal handler ends a fit between two steps, never within one."""
    rng = np.random.default_rng(1)
    X, y = rng.random((500, 20)), rng.integers(0, 3, 500)

    def fit(net, **options):
        net.fit(X, y, epochs=3, batch_size=10, shuffle=False, **options)

    steps: set[bytes] = set()

    class Record(callbacks.Callback):
        def on_batch_end(self, network, history, batch, loss):
            steps.add(network.parameters.tobytes())

    steps.add(small_network().parameters.tobytes())
    fit(small_network(), callbacks=Record())
    before = signal.signal(signal.SIGALRM, _interrupt)
    try:
        for seed in trials(8):
            net = small_network()
            after = np.random.default_rng(seed).uniform(1e-4, 0.02)
            try:
                signal.setitimer(signal.ITIMER_REAL, after)
                fit(net)
            except Interrupted:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert net.parameters.tobytes() in steps, f"seed {seed}, after {after} s"
            fit(net)  # and it goes on
    finally:
        signal.signal(signal.SIGALRM, before)


def small_network():
    return MLP([20, 30, 3], output="softmax", random_state=0, n_threads=1)
