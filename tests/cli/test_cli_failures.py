"""Wrong command lines and failures: an exit code, a sentence, and nothing half written."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from data_files import houses, idx
from fastmlp import MLP
from fastmlp.cli import _train, main

USAGE = [
    ([], "arguments are required: COMMAND"),
    (["train", "letters"], "unknown data 'letters': expected digits, mnist"),
    (["train", "mnist"], "mnist needs --data-dir"),
    (["train", "t.csv"], "--target COLUMN"),
    (["train", "t.csv", "--target", "y", "--data-dir", "d"], "--data-dir is for mnist"),
    (["train", "digits", "--target", "y"], "are for tables"),
    (["train", "digits", "--data-dir", "d"], "takes no --data-dir"),
    (["train", "mnist", "--data-dir", "d", "--test", "0.1"], "its own test images"),
    (["train", "digits", "--layers", "10,x"], "--layers: expected sizes"),
    (["train", "digits", "--layers", "0"], "--layers: expected sizes"),
    (["train", "digits", "--epochs", "0"], "--epochs: expected a whole number"),
    (["train", "digits", "--validation", "1"], "--validation: expected at least 0 and below 1"),
    (["train", "digits", "--test", "0"], "--test: expected a share"),
    (["train", "digits", "--seed", "-1"], "--seed: expected"),
    (["train", "digits", "--learning-rate", "nan"], "--learning-rate: expected a number above 0"),
    (["train", "digits", "--momentum", "0.9"], "for --optimizer sgd"),
    (["train", "digits", "--optimizer", "sgd", "--nesterov"], "needs --momentum"),
    (["train", "digits", "--loss", "cross_entropy", "--output", "sigmoid"], "needs --output soft"),
    (["train", "digits", "--optimizer", "tiger"], "got 'tiger'"),
    (["train", "digits", "--schedule", "linear"], "got 'linear'"),
    (["train", "digits", "--optimizer", "lbfgs", "--weight-decay", "1"], "no --weight-decay"),
    (["train", "digits", "--patience", "3", "--validation", "0"], "--validation is 0"),
    (["train", "digits", "--l2", "-1"], "--l2: expected a number of at least 0"),
    (["predict", "m"], "arguments are required: DATA"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE)
def test_a_wrong_command_line_is_2_and_writes_nothing(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert "Try: fastmlp" in err
    assert out == ""
    assert list(Path().iterdir()) == []


def test_softmax_of_real_targets_is_a_wrong_command_line(capsys):
    houses()
    assert main(["train", "houses.csv", "--target", "price", "--output", "softmax"]) == 2
    assert "softmax outputs are for classes" in capsys.readouterr().err


def test_failures_are_1_with_a_sentence(capsys):
    houses()
    Path("file").write_text("")
    np.savez("wrong.npz", X=np.zeros((2, 2)))
    MLP([5, 1]).save("bare.safetensors")
    for arguments, message in [
        (["train", "houses.csv", "--target", "cost"], "no column 'cost'; it has 'size', 'distr"),
        (["train", "nowhere.csv", "--target", "y"], "there is no file nowhere.csv"),
        (["train", "mnist", "--data-dir", "nowhere"], "there is no folder nowhere; it should hold"),
        (["train", "mnist", "--data-dir", "."], "train-images-idx3-ubyte, train-labels-idx1"),
        (["train", "digits", "--out", "file"], "file: it is a file, not a folder"),
        (["train", "digits", "--out", "file/sub"], "cannot write into the folder file/sub"),
        (["predict", "nowhere", "digits"], "no such file"),
        (["predict", ".", "digits"], "holds no model.safetensors"),
        (["predict", "houses.csv", "digits"], "not a safetensors file"),
        (["predict", "bare.safetensors", "houses.csv"], "not how to prepare data"),
    ]:
        assert main(arguments) == 1, arguments
        err = capsys.readouterr().err
        assert message in err
        assert err.startswith("fastmlp: ")
        assert "Traceback" not in err


def test_predict_refuses_a_table_that_is_not_like_the_first(capsys):
    houses()
    main(["train", "houses.csv", "--target", "price", "--epochs", "1", "--out", "m"])
    Path("new.csv").write_text("size,kind\n80,small\n")
    capsys.readouterr()
    assert main(["predict", "m", "new.csv"]) == 1
    assert "new.csv has no column 'district'" in capsys.readouterr().err
    Path("image").write_bytes(idx(np.zeros((2, 1, 5))))
    assert main(["predict", "m", "image"]) == 1
    assert "takes 5 features" in capsys.readouterr().err


def test_divergence_is_said_and_nothing_is_written(capsys):
    houses()
    descent = ["--optimizer", "sgd", "--learning-rate", "1e9"]
    assert main(["train", "houses.csv", "--target", "price", "--out", "m", *descent]) == 1
    assert "Try a lower --learning-rate than 1e+09" in capsys.readouterr().err
    assert not Path("m").exists()


def test_without_the_extras_training_goes_on_and_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(_train, "can_save", lambda: False)
    assert main(["train", "digits", "--epochs", "1"]) == 0
    out, err = capsys.readouterr()
    assert "pip install 'fastmlp[io]'" in err
    assert "pip install 'fastmlp[plot]'" in out
    assert [path.name for path in Path("fastmlp-digits").iterdir()] == ["history.json"]


@pytest.mark.usefixtures("interrupts_arrive")  # a child inherits whether they do
def test_ctrl_c_keeps_the_last_finished_step(capsys):
    command = [sys.executable, "-m", "fastmlp", "train", "digits", "--epochs", "1000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch") and "20/" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    watchdog.cancel()
    assert process.returncode == 130
    assert "interrupted after" in rest
    run = json.loads(Path("fastmlp-digits/history.json").read_text())
    assert run["interrupted"] is True
    assert len(run["history"]["loss"]) >= 20
    assert main(["predict", "fastmlp-digits", "digits"]) == 0


def test_a_reader_that_leaves_early_is_no_failure():
    main(["train", "digits", "--epochs", "1", "--quiet", "--out", "m"])
    command = [sys.executable, "-m", "fastmlp", "predict", "m", "digits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaints = process.stderr.read()
    assert process.returncode == 0
    assert complaints == b""
