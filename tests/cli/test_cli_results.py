"""What the command predicts, measures and leaves behind, and what it refuses."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import QUICK, predict, rows, table, train
from fastmlp import MLP, load_model, losses
from fastmlp._model import Preprocessing, stored
from fastmlp.cli import main
from fastmlp.datasets import Column
from fastmlp.kernels import Architecture

pytest.importorskip("safetensors")


# What predictions look like


def test_predictions_have_all_digits_and_all_probabilities(capsys):
    path = table(rows(lambda i: f"{i},{i % 7},{('a', 'b', 'c')[i % 3]}"))
    train(path, "--target", "y", capsys=capsys)
    header, lines, _ = predict(path, "--probabilities", capsys=capsys)
    assert header == ["prediction", "probability_a", "probability_b", "probability_c"]
    found = np.array([line[1:] for line in lines], np.float32)
    model = load_model("m")
    raw = [[i, i % 7] for i in range(60)]
    assert np.array_equal(found, model.predict_proba(raw))
    assert [line[0] for line in lines] == model.predict(raw).tolist()
    path = table(rows(lambda i: f"{i},{i % 7},{i / 7}"))
    train(path, "--target", "y", capsys=capsys)
    _, lines, _ = predict(path, capsys=capsys)
    assert np.array_equal([float(line[0]) for line in lines], load_model("m").predict(raw))
    capsys.readouterr()
    assert main(["predict", "m", path, "--probabilities"]) == 2
    assert "no probabilities" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (("--loss", "gaussian_nll"), ["std"]),
        (("--quantiles", "0.1,0.5,0.75"), ["q0.1", "q0.5", "q0.75"]),
    ],
)
def test_predictions_of_distributions(words, columns, capsys):
    """In the unit of the targets, from the outputs of the network and the loss's own values."""
    path = table("a,y,w\n" + "".join(f"{i},{100 + 20 * (i % 7)},{i * i}\n" for i in range(60)))
    train(path, "--target", "y,w", *words, capsys=capsys)
    header, lines, _ = predict(path, capsys=capsys)
    names = ["y", "w", *(f"{target}_{name}" for name in columns for target in ("y", "w"))]
    found, model = np.array(lines, float), load_model("m")
    assert header == names
    prepare, loss = model.preprocessing, model.preprocessing.loss
    outputs = model.outputs(np.arange(60.0)[:, None]).astype(float)
    offset, scale = prepare.target_offset, prepare.target_scale
    np.testing.assert_allclose(found[:, :2], loss.point(outputs) * scale + offset)
    assert np.array_equal(found[:, :2], model.predict([[i] for i in range(60)]))
    if columns == ["std"]:
        np.testing.assert_allclose(found[:, 2:], loss.distribution(outputs)[1] * scale)
    else:
        values = loss.values(outputs) * np.asarray(scale)[:, None] + np.asarray(offset)[:, None]
        np.testing.assert_allclose(found[:, 2:].reshape(60, 3, 2), values.transpose(0, 2, 1))
        assert np.array_equal(found[:, :2], found[:, 4:6])  # the median
    assert json.loads(Path("m/history.json").read_text())["loss"] in (words[1], " ".join(words)[2:])
    with pytest.raises(ValueError, match="describe a distribution"):
        model.raw_network()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--quantiles", "0.5,0.1"), "rising levels"),
        (("--quantiles", "0.5,1"), "between 0 and 1"),
        (("--quantiles", "0.5", "--loss", "huber"), "for --loss quantile, not huber"),
        (("--loss", "gaussian_nll", "--output", "exp"), "needs --output identity"),
        (("--loss", "gaussian_nll", "--task", "classification"), "the target has classes"),
    ],
)
def test_distributions_that_there_are_not(words, message, capsys):
    path = table(rows(lambda i: f"{i},{i % 7},{i % 2}"))
    assert main(["train", path, "--target", "y", "--out", "m", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "loss",
    ["huber", 1, {"quantiles": 0.5, "ordered": True}, {"quantiles": [0.9, 0.1], "ordered": 1}],
)
def test_a_file_with_another_loss_is_refused(loss):
    prepare = Preprocessing("t", "regression", ("y",), (Column("a"),), target_columns=("y",))
    good, net = (
        replace(prepare, loss=losses.Quantile([0.1, 0.9], True)),
        Architecture((1, 2), (), "identity"),
    )
    text = stored.to_text(good)
    assert stored.from_text(text, net).loss == good.loss
    with pytest.raises(ValueError, match="preprocessing cannot be used"):
        stored.from_text(json.dumps({**json.loads(text), "loss": loss}), net)
    with pytest.raises(ValueError, match="names for 2 outputs"):
        stored.from_text(stored.to_text(prepare), net)


def test_a_loaded_model_predicts_on_frames_and_dictionaries(capsys):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    path = table(rows(lambda i: f"{i / 8},{'uv'[i % 2]},{i}.5"))
    train(path, "--target", "y", capsys=capsys)
    model = load_model("m", n_threads=1)
    expected = [float(line[0]) for line in predict(path, capsys=capsys)[1]]
    data = {"b": ["u", "v"] * 30, "a": [i / 8 for i in range(60)]}
    listed = [{"a": a, "b": b} for a, b in zip(data["a"], data["b"], strict=True)]
    for given in (data, pandas.DataFrame(data), polars.DataFrame(data), listed):
        assert model.predict(given).tolist() == expected
    with pytest.raises(ValueError, match="no column 'a'"):
        model.predict({"b": ["u"]})
    with pytest.raises(ValueError, match="expected a number, found 'x'"):
        model.predict([["x", "u"]])
    with pytest.warns(UserWarning, match="none of the categories"):
        model.predict([[1, "w"]])
    with pytest.raises(ValueError, match="no probabilities"):
        model.predict_proba([[1, "u"]])
    with pytest.warns(UserWarning, match="load_model"):
        MLP.load("m/model.safetensors")


def test_predictions_do_not_take_the_place_of_an_input(capsys):
    path = table(rows(lambda i: f"{i},{i % 7},{i}.5"))
    train(path, "--target", "y", capsys=capsys)
    before = Path(path).read_bytes(), Path("m/model.safetensors").read_bytes()
    os.link("m/model.safetensors", "link")
    Path("soft").symlink_to(path)
    for out in (path, "./t.csv", "m/model.safetensors", "link", "soft", "m", "nowhere/p.csv", ""):
        assert main(["predict", "m", path, "--out", out]) == 2, out
    assert (Path(path).read_bytes(), Path("m/model.safetensors").read_bytes()) == before


# Measuring


def test_evaluate_and_what_train_prints(capsys):
    path = table(rows(lambda i: f"{i % 10},{i % 7},{'rare' if i % 10 == 9 else 'common'}", 200))
    said = train(path, "--target", "y", capsys=capsys).out
    assert "baseline accuracy 90.00 % by always naming the commonest class" in said
    assert "AUC      " in said
    assert "class   precision  recall     F1   rows" in said
    assert "true class (down) and prediction (across)" in said
    run = json.loads(Path("m/history.json").read_text())
    assert run["baseline"]["accuracy"] == 0.9
    assert main(["evaluate", "m", path]) == 0
    said = capsys.readouterr().out
    assert "rows     200" in said
    assert "commonest class" in said
    strange = table("a,b,y\n1,2,common\n3,4,other\n5,6,\n", "strange.csv")
    assert main(["evaluate", "m", strange]) == 3
    out, err = capsys.readouterr()
    assert "rows     1" in out
    assert "line 3, column 'y': 'other' is none of the classes 'common', 'rare'" in err


def test_evaluate_real_targets_and_numbered_classes(capsys):
    path = table(rows(lambda i: f"{i},{i % 7},{i}.5"))
    train(path, "--target", "y", capsys=capsys)
    assert main(["evaluate", "m", path]) == 0
    assert "RMSE" in capsys.readouterr().out
    path = table(rows(lambda i: f"{i},{i % 7},{i % 2}"))
    train(path, "--target", "y", capsys=capsys)
    assert main(["evaluate", "m", table(rows(lambda i: f"{i},{i % 7},{i % 2}.0"), "f.csv")]) == 0
    x = np.arange(80.0).reshape(40, 2)
    np.savez("t.npz", X=x, y=np.arange(40) % 2, two=x)
    for target in ("y", "two"):
        train("t.npz", "--target", target, capsys=capsys)
        assert main(["evaluate", "m", "t.npz"]) == 0


def test_cross_validation(capsys):
    path = table(rows(lambda i: f"{i % 10},{i % 7},{'xy'[i % 2]}", 100))
    said = train(path, "--target", "y", "--cv", "4", capsys=capsys).out
    assert said.count("fold ") == 4
    assert "4 folds  accuracy" in said
    assert train(path, "--target", "y", "--cv", "1", capsys=capsys, code=2)
    assert "too few" in train(path, "--target", "y", "--cv", "50", capsys=capsys, code=2).err


def test_validation_rows_from_a_file(capsys):
    path = table(rows(lambda i: f"{i},{'uv'[i % 2]},{i}.5"))
    other = table(rows(lambda i: f"{i}.25,{'uv'[i % 2]},{i}.75", 11), "v.csv")
    said = train(path, "--target", "y", "--validation", other, capsys=capsys).out
    assert "48 + 11 + 12 rows" in said
    said = train(path, "--target", "y", "--validation", "letters", capsys=capsys, code=2).err
    assert "takes a share such as 0.1, or for a table another table" in said


# Files and words


def test_two_runs_into_one_folder_leave_the_model_of_one(capsys):
    """Weights and preprocessing are one file, and are read together."""
    path = table(rows(lambda i: f"{i},{i % 7},{i}.5"))
    train(path, "--target", "y", capsys=capsys)
    models = []
    for k in range(2):
        model = load_model("m", n_threads=1)
        model.network.parameters[:] = k
        models.append(replace(model, preprocessing=replace(model.preprocessing, name=str(k))))

    def save(model):
        for _ in range(30):
            model.save("m/model.safetensors")

    writers = [threading.Thread(target=save, args=(model,)) for model in models]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        found = load_model("m")
        if found.preprocessing.name != path:
            assert (found.network.parameters == int(found.preprocessing.name)).all()
    assert sorted(p.name for p in Path("m").iterdir()) == [
        "history.json",
        "model.safetensors",
        "run.safetensors",
    ]


def test_files_of_different_names_have_different_outputs(capsys):
    text = rows(lambda i: f"{i},{i % 7},{i}.5")
    table(text, "houses.csv")
    Path("houses.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("houses.csv", "houses.csv.gz"):
        assert main(["train", name, "--target", "y", *QUICK[:-2]]) == 0
    assert sorted(p.name for p in Path().iterdir() if p.is_dir()) == [
        "fastmlp-houses",
        "fastmlp-houses.csv.gz",
    ]


@pytest.mark.usefixtures("pictures")
def test_strange_names_of_files_and_columns(capsys):
    for raw in (b"cost$_{x$.csv", b"\xff\xfe.csv", b"a\x1b[31m.csv"):
        name = os.fsdecode(raw)
        Path(name).write_text(rows(lambda i: f"{i},{i % 7},{i}.5", header="a\x1b[1m,b,y"))
        said = train(name, "--target", "y", capsys=capsys).out
        assert "\x1b" not in said
        json.loads(Path("m/history.json").read_text())
        assert Path("m/learning_curve.png").exists()
        assert len(predict(name, capsys=capsys)[1]) == 60


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch-size", "1" * 31], "--batch-size: expected a whole number"),
        (["--batch-size", "3000000000"], "--batch-size: expected at most 2147483647"),
        (["--epochs", "²"], "--epochs: expected a whole number"),
        (["--drop", "0.2", "--sep", "::"], "--sep: expected one character"),
        (["--decimal", ",", "--thousands", ","], "not the decimal sign"),
        (["--encoding", "klingon"], "no encoding 'klingon'"),
        (["--dropou", "0.2"], "unrecognized arguments"),
        (["--thousands", "x"], "thousands separator must be"),
    ],
)
def test_options_are_checked_before_data_are_read(words, message, capsys):
    assert main(["train", "t.csv", "--target", "y", *words]) == 2
    assert message in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_huge_values_are_measured_or_refused(capsys):
    path = table(rows(lambda i: f"{i}e300,{i % 7},{i}e300"))
    assert main(["train", path, "--target", "y", "--quiet", "--epochs", "40", "--out", "m"]) == 0
    run = json.loads(Path("m/history.json").read_text())
    assert 1e299 < run["test"]["rmse"] < 1e302
    assert run["test"]["r2"] > 0


def test_a_failed_run_leaves_no_folder(monkeypatch, capsys):
    from fastmlp import _files

    table(rows(lambda i: f"{i},{i % 7},{i}.5"))
    assert main(["train", "t.csv", "--target", "cost", *QUICK]) == 1
    assert not Path("m").exists()

    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("fastmlp.serialization.write", full)
    assert main(["train", "t.csv", "--target", "y", *QUICK]) == 1
    assert "model.safetensors: No space left on device" in capsys.readouterr().err
    assert not Path("m").exists()
    assert _files.write is not full


def test_a_reader_that_leaves_does_not_end_a_training(monkeypatch):
    table(rows(lambda i: f"{i},{i % 7},{i}.5"))
    command = [sys.executable, "-m", "fastmlp", "train", "t.csv", "--target", "y", "--out", "m"]
    with subprocess.Popen(
        [*command, "--epochs", "30"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaints = process.stderr.read()
    assert process.returncode == 0
    assert complaints == b""
    assert Path("m/model.safetensors").exists()
