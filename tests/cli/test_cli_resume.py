"""``fastmlp train --resume``: the bits of a run that nobody interrupted, or a refusal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import rows, table
from fastmlp import kernels, load_model
from fastmlp.cli import _progress, _resume, main

pytest.importorskip("safetensors")

TABLE = rows(lambda i: f"{i / 8},{'uv'[i % 2]},{(i * i) % 17}.5")
SHORT = ["--target", "y", "--quiet", "--layers", "4", "--threads", "1", "--batch-size", "7"]


@pytest.fixture(autouse=True)
def a_table(in_own_folder):
    table(TABLE)


def run(folder, epochs, *words, data="t.csv", code=0):
    arguments = ["train", data, *SHORT, "--out", folder, "--epochs", str(epochs), *words]
    assert main(arguments) == code


def found(folder):
    """All that a run leaves but its times: parameters, losses, metrics."""
    history = json.loads(Path(folder, "history.json").read_text())
    curves = {k: v for k, v in history["history"].items() if k != "seconds"}
    return load_model(folder).network.parameters.tobytes(), curves, history["test"]


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.mark.parametrize(
    "words",
    [
        ["--dropout", "0.2"],
        ["--optimizer", "sgd", "--momentum", "0.9", "--schedule", "inverse_time"],
        ["--patience", "50", "--clip-norm", "1"],
        ["--optimizer", "lbfgs", "--l2", "0.01"],
        ["--validation", "0", "--dtype", "float64"],
    ],
)
def test_a_finished_run_goes_on_to_the_bit(words):
    run("whole", 5, *words)
    run("m", 2, *words)
    first = found("m")
    run("m", 4, *words, "--resume")
    again = [] if "--patience" in words else ["--cv", "2"]  # which would be refused together
    run("m", 5, *words, "--resume", "--threads", "2", *again)
    assert found("m") == found("whole")
    assert found("m")[0] != first[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, SystemError])
def test_an_interrupted_run_goes_on_to_the_bit(error, monkeypatch):
    """By Ctrl-C, a failure that is told, and one that ends the process (files: those on disk)."""
    run("whole", 6, "--schedule", "cosine", "--dropout", "0.1")
    ends = _progress.Monitor.on_epoch_end

    def fails(self, network, history):
        ends(self, network, history)
        if history.epochs == 4:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(_progress.Monitor, "on_epoch_end", fails)
        words = ["train", "t.csv", *SHORT, "--schedule", "cosine", "--dropout", "0.1"]
        words += ["--out", "m", "--epochs", "6"]
        if error is KeyboardInterrupt:
            assert main(words) == 130
        else:
            patch.setattr(_resume, "PAUSE", -1.0)  # a file after every epoch
            if error is SystemError:
                with pytest.raises(SystemError):
                    main(words)
            else:
                assert main(words) == 1
            assert list(files("m")) == ["run.safetensors"]
    assert _resume.read(Path("m"))["epochs"] == 3
    run("m", 6, "--schedule", "cosine", "--dropout", "0.1", "--resume")
    assert found("m") == found("whole")


def test_ctrl_c_in_the_first_epoch_leaves_no_run_to_go_on_with(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_progress.Monitor, "on_epoch_end", interrupted)
        run("m", 3, code=130)
    run("m", 3, "--resume", code=2)
    assert "m holds no run.safetensors to go on with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dropout", "0.3"], "--dropout must be that of the run in m, 0.0, got 0.3"),
        (["--layers", "4,3"], "--layers must be that of the run in m, 4, got 4,3"),
        (["--learning-rate", "0.5"], "--learning-rate must be that of the run in m, 0.001"),
        (["--optimizer", "nadam"], "--optimizer must be that of the run in m, adam, got nadam"),
        (["--patience", "9"], "--patience must be that of the run in m, not given, got 9"),
        (["--seed", "1"], "--seed must be"),
        (["--test", "0.3"], "--test must be"),
        (["--backend", "reference"], "--backend must be"),
        (["--drop", "b"], "--drop must be that of the run in m, none, got b"),
        (["--epochs", "2"], "--epochs must be more than the 2 that the run in m has done, got 2"),
    ],
)
def test_other_options_are_refused_by_name(words, message, capsys):
    if "reference" in words and kernels.info()["backend"] == "reference":
        pytest.skip("it is the live one")
    run("m", 2)
    before = files("m")
    run("m", 4, "--resume", *words, code=2)
    assert message in capsys.readouterr().err
    assert files("m") == before


def test_what_was_a_default_may_be_said():
    run("m", 1)
    said = ["--learning-rate", "0.001", "--loss", "squared_error", "--test", "0.2"]
    run("m", 2, "--resume", *said, "--output", "identity")
    assert _resume.read(Path("m"))["epochs"] == 2


def test_another_table_is_refused_and_a_moved_one_is_not(capsys):
    run("m", 1)
    before = files("m")
    for change, what in (
        (("0.0,u,0.5", "0.0,u,0.25"), "differ"),
        (("a,b,y", "c,b,y"), "columns differ"),
        ((",u,", ",w,"), "columns differ"),
    ):
        table(TABLE.replace(*change), "other.csv")
        run("m", 2, "--resume", data="other.csv", code=2)
        said = capsys.readouterr().err
        assert "--resume: the data are not those of the run in m: " in said
        assert what in said
    assert files("m") == before
    Path("t.csv").rename("moved.csv")
    run("m", 2, "--resume", data="moved.csv")
    table(TABLE)
    run("whole", 2)
    assert found("m") == found("whole")


def test_schedules_of_a_length_keep_it(capsys):
    run("m", 2, "--schedule", "cosine")
    run("m", 4, "--schedule", "cosine", "--resume", code=2)
    assert "--epochs must be that of the run in m, 2, got 4" in capsys.readouterr().err


def test_a_run_that_has_ended_by_itself_stays_ended(capsys):
    words = ["--patience", "1", "--learning-rate", "3"]
    run("m", 200, *words)
    best = load_model("m").network.parameters
    run("m", 300, *words, "--resume", code=2)
    assert "has ended by itself: the validation loss has not improved" in capsys.readouterr().err
    assert np.array_equal(load_model("m").network.parameters, best)


def test_files_of_others_are_refused_in_a_sentence(capsys):
    from fastmlp import MLP
    from fastmlp.callbacks import Checkpoint

    run("m", 1)
    path = Path("m/run.safetensors")
    whole = path.read_bytes()
    for content, message in (
        (whole[:50], "is not a safetensors file"),
        (Path("m/model.safetensors").read_bytes(), "holds no training run"),
    ):
        path.write_bytes(content)
        run("m", 2, "--resume", code=1)
        assert message in capsys.readouterr().err
    X = np.zeros((4, 1))
    MLP([1, 2, 1]).fit(X, X, epochs=1, callbacks=[Checkpoint(path)])
    run("m", 2, "--resume", code=1)
    assert "m/run.safetensors was not written by fastmlp train" in capsys.readouterr().err
