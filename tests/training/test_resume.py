"""Runs that are cut, saved and gone on with: the same bits as one that nobody interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from fastmlp import MLP, kernels, optimizers, schedules, stopping
from fastmlp._typing import OptimizerName
from fastmlp.callbacks import Checkpoint

pytest.importorskip("safetensors")

RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 2))
VALIDATION = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
EPOCHS = 6
#: The rest of the options is given with each of them.
RUNS = {
    **{name: {"optimizer": name} for name in get_args(OptimizerName)},
    "wolfe": {"optimizer": optimizers.GradientDescent(line_search="wolfe")},
    "armijo": {"optimizer": optimizers.GradientDescent(line_search="armijo")},
    "subset": {"optimizer": optimizers.GradientDescent(subset=20)},
    "dropout": {"dropout": 0.3, "clip_norm": 0.5, "l2": 0.01},
    **{
        f"schedule {name}": {"learning_rate": kind()}
        for name, kind in schedules.Schedule.registry.items()
    },
    "reduced": {"learning_rate": schedules.ReduceOnPlateau(patience=1, factor=0.5, min_delta=1.0)},
    "best": {
        "validation_data": VALIDATION,
        "stop": stopping.EarlyStopping(patience=9),
        "learning_rate": 0.5,
    },
    "stopped": {"stop": stopping.Plateau(tol=10.0, n_iter_no_change=4)},
    "norms": {"stop": [stopping.GradientNorm(1e-9), stopping.StepNorm(1e-9)]},
    "clock": {"stop": stopping.TimeLimit(1000.0)},
    "in order": {"shuffle": False, "batch_size": "full"},
    "metrics": {"metrics": "r2"},
}


def network(seed=0):
    return MLP([3, 5, 2], random_state=seed, dtype="float64")


def known(history):
    """What does not depend on the clock."""
    return {name: value for name, value in history.to_dict().items() if name != "seconds"}


@pytest.mark.covers("name", "fast_backend")
@pytest.mark.parametrize("name", RUNS)
def test_a_file_leads_to_the_bits_of_the_whole_run(fast_backend, name, tmp_path):
    options = {"batch_size": 7, "epochs": EPOCHS, **RUNS[name]}
    whole = network()
    history = whole.fit(X, Y, **options)
    path = tmp_path / "run-{epoch}.safetensors"
    network().fit(X, Y, callbacks=Checkpoint(path, every=2), **options)
    resumed = network(seed=5)  # all comes from the file
    again = resumed.fit(X, Y, resume=str(path).replace("{epoch}", "2"), **options)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    if name != "clock":  # which cuts epochs into pieces, and sums their losses
        assert known(again) == known(history)
    # What is drawn after the run is the same, too.
    assert whole._generator.integers(1 << 30) == resumed._generator.integers(1 << 30)


@pytest.mark.parametrize("name", ["adam", "lbfgs", "dropout", "best", "reduced"])
def test_a_trainer_goes_on_by_itself(name):
    options = {"batch_size": 7, "epochs": EPOCHS, **RUNS[name]}
    whole, parts, fitted = network(), network(), network()
    history = whole.fit(X, Y, **options)
    trainer = parts.trainer(**options)
    for _ in range(EPOCHS):
        trainer.run(X, Y)
    np.testing.assert_array_equal(parts.parameters, whole.parameters)
    assert trainer.history.loss == history.loss
    trainer = fitted.trainer(**options)
    trainer.run(X, Y, 2)
    again = fitted.fit(
        X, Y, trainer=trainer, epochs=EPOCHS, validation_data=options.get("validation_data")
    )
    np.testing.assert_array_equal(fitted.parameters, whole.parameters)
    assert again.loss == history.loss
    assert again is trainer.history


def test_states_can_be_read_and_set():
    net, other = network(), network(1)
    trainer, again = net.trainer(), other.trainer()
    trainer.step(X, Y)
    state = trainer.state
    assert list(state["moments"]) == ["first_moment", "second_moment"]
    assert state["moments"]["first_moment"].shape == net.parameters.shape
    again.state = state
    assert (again.steps, again.step(X, Y)) == (1, trainer.step(X, Y))
    np.testing.assert_array_equal(other.parameters, net.parameters)
    state["moments"]["first_moment"][:] = 0  # a copy
    assert trainer.state["moments"]["first_moment"].any()


def test_a_state_before_the_first_step():
    """There are no moments yet."""
    net, other = network(), network(1)
    trainer, again = net.trainer(), other.trainer()
    again.step(X, Y)
    again.state = trainer.state
    np.testing.assert_array_equal(other.parameters, net.parameters)
    assert (again.steps, again.step(X, Y)) == (0, trainer.step(X, Y))
    np.testing.assert_array_equal(other.parameters, net.parameters)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parameters", np.zeros(3)),
        ("moments", {"first_moment": np.zeros(32)}),
        ("moments", {}),  # after a step
        ("step", -1),
        ("step", "one"),
        ("step", 2**60),
        ("order", np.array([0, 0, 1])),
        ("order", np.array([0, 1, 255])),
        ("order", [0, 1, 2]),
        ("subset", np.array([-1, 3])),
        ("memory", [1]),
        ("learning_rate", {}),
        ("learning_rate", -1.0),
        ("schedule", {"scale": 1.0}),
        ("history", []),
        ("accuracy", {"history": {"metrics": {"accuracy": 3}}}),
        ("loss", {"history": {"loss": ["0.5"]}}),
        ("generator", {"bit_generator": "MT19937"}),
        ("stop", [{}]),
        ("seed", ...),
        ("seed", 0.5),
    ],
)
def test_other_states_are_refused(name, value):
    net = network()
    trainer = net.trainer()
    trainer.step(X, Y)
    before, state = net.parameters.copy(), trainer.state
    if value is ...:
        del state[name]
    elif isinstance(value, dict) and "history" in value:
        state["history"] |= value["history"]
    else:
        state[name] = value
    with pytest.raises(ValueError, match=name):
        trainer.state = state
    assert trainer.steps == 1
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("other", "options", "words"),
    [
        (MLP([3, 6, 2], dtype="float64"), {}, "sizes"),
        (MLP([3, 5, 2], "tanh", dtype="float64"), {}, "activations"),
        (MLP([3, 5, 2], dtype="float32"), {}, "dtype"),
        (network(), {"optimizer": "sgd"}, "optimizer"),
        (network(), {"optimizer": optimizers.Adam(beta_1=0.8)}, "update rule"),
    ],
)
def test_files_of_other_runs_are_refused(other, options, words, tmp_path):
    path = tmp_path / "run.safetensors"
    network().fit(X, Y, epochs=1, callbacks=Checkpoint(path))
    before = other.parameters.copy()
    with pytest.raises(ValueError, match=f"run with {words}"):
        other.fit(X, Y, resume=path, **options)
    with pytest.raises(ValueError, match="30 rows, got 29"):
        network().fit(X[1:], Y[1:], resume=path)
    np.testing.assert_array_equal(other.parameters, before)


@pytest.mark.parametrize("rule", ["lbfgs", "levenberg_marquardt"])
def test_what_a_line_search_remembers_is_looked_at(rule):
    net = network()
    trainer = net.trainer(optimizer=rule)
    for _ in range(2):
        trainer.step(X, Y)
    before, state = net.parameters.copy(), trainer.state
    memory = state["memory"]
    for wrong in ([], {}, {**memory, "here": 3}, {**memory, "here": [0.5, np.zeros(3)]}):
        with pytest.raises(ValueError, match=r"memory|equal trainer"):
            trainer.state = {**state, "memory": wrong}
    np.testing.assert_array_equal(net.parameters, before)
    trainer.state = state


def test_stop_rules_and_schedules_get_back_what_they_remember():
    stop = [stopping.Plateau(), stopping.EarlyStopping("loss"), stopping.TimeLimit(1000)]
    trainer = network().trainer(learning_rate=schedules.ReduceOnPlateau(0.01), stop=stop)
    trainer.run(X, Y, epochs=2)
    state = trainer.state
    for place, name, value in [(0, "best", "low"), (1, "parameters", np.zeros(2)), (2, "left", [])]:
        wrong = [dict(one) for one in state["stop"]]
        wrong[place][name] = value
        with pytest.raises(ValueError, match=f"{name} must be"):
            trainer.state = {**state, "stop": wrong}
    with pytest.raises(ValueError, match="waited must be"):
        trainer.state = {**state, "schedule": {**state["schedule"], "waited": []}}
    trainer.state = state
    assert trainer.run(X, Y, epochs=1).epochs == 3


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    trainer = network().trainer()
    trainer.step(X, Y)
    trainer.save(path)
    whole = path.read_bytes()
    for content in (b"", whole[:50], whole[:-9], whole.replace(b"step", b"stop"), b"x" * 200):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="run"):
            network().fit(X, Y, resume=path)
    network().save(path)
    with pytest.raises(ValueError, match="holds no training run"):
        trainer.load(path)
    with pytest.raises(FileNotFoundError):
        trainer.load(tmp_path / "none")
    assert trainer.steps == 1


def test_checkpoints_are_written_where_they_are_due(tmp_path):
    path = tmp_path / "{epoch}.safetensors"
    network().fit(X, Y, epochs=5, callbacks=Checkpoint(path, every=2))
    assert sorted(file.name[0] for file in tmp_path.iterdir()) == ["2", "4", "5"]
    with pytest.raises(ValueError, match="every must be at least 1"):
        Checkpoint(path, every=0)


PROGRAM = """
    import os, signal, sys
    import numpy as np
    from fastmlp import MLP
    from fastmlp.callbacks import Checkpoint
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    net = MLP([3, 5, 2], random_state=0)
    path, kill = sys.argv[1], int(sys.argv[2])

    def killer(network, history, batch=None, loss=None):
        if history.epochs == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    resume = path if os.path.exists(path) else None
    history = net.fit(X, y, epochs=9, batch_size=6, dropout=0.2, resume=resume,
                      callbacks=[Checkpoint(path, every=2), killer])
    print(net.parameters.tobytes().hex(), history.loss)
"""


def killed_and_resumed(path, kills):
    """What the program prints after it was killed after these epochs, and begun again."""
    program = textwrap.dedent(PROGRAM)
    for kill in (*kills, 0):
        done = subprocess.run(
            [sys.executable, "-c", program, path, str(kill)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr
    return done.stdout


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_killed_run_goes_on(tmp_path):
    whole = killed_and_resumed(tmp_path / "whole", ())
    assert killed_and_resumed(tmp_path / "cut", (5,)) == whole


@pytest.mark.sweep
@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize("kills", [(1,), (3, 8), (2, 4, 6), (7, 8, 9)])
def test_runs_killed_at_other_places_go_on(kills, tmp_path):
    whole = killed_and_resumed(tmp_path / "whole", ())
    assert killed_and_resumed(tmp_path / "cut", kills) == whole


def killed_runs():
    """Kill each of the runs between two checkpoints, go on, and print how it went."""

    def killer(network, history):
        if history.epochs == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    for name, given in RUNS.items():
        options = {"batch_size": 7, "epochs": EPOCHS, **given}
        path = f"{name}.safetensors"
        child = os.fork()
        if child == 0:
            network().fit(X, Y, callbacks=[Checkpoint(path, every=2), killer], **options)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        whole, resumed = network(), network(seed=5)
        history = whole.fit(X, Y, **options)
        again = resumed.fit(X, Y, resume=path, **options)
        same = np.array_equal(resumed.parameters, whole.parameters)
        same &= name == "clock" or known(again) == known(history)
        print(
            "killed" if os.WIFSIGNALED(status) else "not killed", "same" if same else "other", name
        )


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize("backend", ["compiled", pytest.param("numba", marks=pytest.mark.sweep)])
def test_every_optimizer_schedule_and_rule_survives_kill_9(backend, tmp_path):
    if backend not in kernels.available():
        pytest.skip(f"{backend} is not there")
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_resume; "
    )
    done = subprocess.run(
        [sys.executable, "-c", program + "test_resume.killed_runs()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "FASTMLP_BACKEND": backend, "FASTMLP_NUM_THREADS": "1"},
    )
    assert done.stdout.splitlines() == [f"killed same {name}" for name in RUNS], done.stderr


def test_nothing_in_a_file_can_run_code(tmp_path):
    path = tmp_path / "run.safetensors"
    trainer = network().trainer()
    trainer.step(X, Y)
    trainer.save(path)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["state"])["step"] == 1
