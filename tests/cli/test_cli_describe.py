"""``fastmlp describe``, ``export`` and ``completion``."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from fastmlp import MLP, load_model
from fastmlp.cli import main

HOUSES = [("id", "size", "garden", "built", "price")]
for i in range(60):
    size = "" if i % 10 == 3 else f"{40 + i},5"
    HOUSES.append((f"h{i:03d}", size, "yes" if i % 3 else "no", f"{i % 28 + 1}.2.2001", str(7 * i)))


@pytest.fixture
def houses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Path("houses.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows(HOUSES)


def test_describe_says_what_each_column_is(houses, capsys):
    assert main(["describe", "houses.csv"]) == 0
    out = capsys.readouterr().out
    kinds = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith(
        ("id ", "size ", "garden ", "built ", "price "))}  # fmt: skip
    assert kinds["id"][1:3] == ["left", "out"]
    assert kinds["size"][1:4] == ["number", "54", "6"]
    assert kinds["size"][4:7] == ["40.5", "to", "99.5,"]
    assert kinds["garden"][1:5] == ["category", "2", "-", "yes"]
    assert kinds["built"][1:] == ["date", "d.m.y", "28", "-", "2001-02-01", "to", "2001-02-28"]
    assert "60 rows, 5 columns" in out
    assert "--target 'price'" in out


def test_describe_refuses_what_is_no_table(capsys):
    assert main(["describe", "digits"]) == 2
    assert "no table" in capsys.readouterr().err


def test_export_takes_the_scaling_along(houses, capsys):
    pytest.importorskip("safetensors")
    words = "train houses.csv --target price --missing impute --epochs 5 --out model --decimal ,"
    assert main(words.split()) == 0
    capsys.readouterr()
    assert main(["export", "model", "--c", "houses.h"]) == 0
    out = capsys.readouterr().out
    assert "values of price" in out
    assert "size is missing" in out
    model = load_model("model")
    network = model.raw_network()
    X = np.random.default_rng(0).uniform(0, 100, (20, model.preprocessing.n_features))
    wanted = model.preprocessing.values(model.outputs(X))
    assert np.ptp(wanted) > 10
    np.testing.assert_allclose(network.predict(X), wanted, rtol=2e-3, atol=2e-3 * np.ptp(wanted))
    assert Path("houses.h").read_text() == network.to_c(name="houses").text


def test_raw_network_of_classes_keeps_probabilities(tmp_path, monkeypatch, capsys):
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits", "--epochs", "2", "--out", "digits"]) == 0
    model = load_model("digits")
    X = np.random.default_rng(0).integers(0, 17, (9, 64)).astype(np.float32)
    network = model.raw_network()
    assert isinstance(network, MLP)
    np.testing.assert_allclose(network.predict(X), model.outputs(X), atol=1e-5)
    assert model.network.weights[0].max() > 8 * network.weights[0].max()


def test_export_into_onnx(houses, capsys):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("safetensors")
    words = "train houses.csv --target price --missing impute --epochs 5 --out model --decimal ,"
    assert main(words.split()) == 0
    assert main(["export", "model", "--onnx", "houses.onnx"]) == 0
    session = runtime.InferenceSession("houses.onnx", providers=["CPUExecutionProvider"])
    model = load_model("model")
    X = np.random.default_rng(0).uniform(0, 100, (5, model.preprocessing.n_features))
    (values,) = session.run(None, {"X": X.astype(np.float32)})
    wanted = model.preprocessing.values(model.outputs(X))
    np.testing.assert_allclose(values, wanted, rtol=2e-3, atol=2e-3 * np.ptp(wanted))


def test_export_asks_into_what(capsys):
    assert main(["export", "nowhere"]) == 2
    assert "--onnx FILE" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(shell, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "describe" in out
    assert "--probabilities" in out


def test_completion_says_what_it_needs(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert "fastmlp[completion]" in capsys.readouterr().err
