"""The command as a person uses it: what it writes, what it says, and its exit codes."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_files import houses, write_idx_folder
from fastmlp import MLP, datasets
from fastmlp.cli import main

pytest.importorskip("safetensors")

PNG = b"\x89PNG"


def rows_of(text):
    return list(csv.reader(text.splitlines()))


# What it does


def test_kernels_are_those_of_the_option(backend, capsys):
    assert main(["train", "digits", "--backend", backend, "--epochs", "1"]) == 0
    assert f"kernels  {backend}" in capsys.readouterr().out


def test_train_digits_reaches_97_percent_and_leaves_its_files(capsys):
    assert main(["train", "digits", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "64-100-10, relu, softmax; cross_entropy, adam 0.001, batches of 32" in out
    assert out.count("epoch ") == 60
    run = json.loads(Path("fastmlp-digits/history.json").read_text())
    assert run["test"]["accuracy"] >= 0.97
    assert len(run["history"]["loss"]) == len(run["history"]["validation_loss"]) == 60
    assert run["history"]["validation_metrics"][-1]["accuracy"] > 0.95
    assert run["data"]["rows"] + run["data"]["validation_rows"] + run["data"]["test_rows"] == 1797
    assert run["interrupted"] is False
    assert f"test     accuracy {100 * run['test']['accuracy']:.2f} %" in out
    with pytest.warns(UserWarning, match="load_model"):
        network = MLP.load("fastmlp-digits/model.safetensors")
    assert network.architecture.sizes == (64, 100, 10)


@pytest.mark.usefixtures("pictures")
def test_learning_curve_is_a_picture(capsys):
    arguments = ["train", "digits", "--epochs", "2", "--quiet"]
    for out, more in (("a", []), ("b", ["--validation", "0"]), ("c", ["--layers", "none"])):
        assert main([*arguments, "--out", out, *more]) == 0
        assert Path(out, "learning_curve.png").read_bytes().startswith(PNG)
    assert "epoch" not in capsys.readouterr().out.replace("2 epochs", "")


def test_same_seed_same_run(capsys):
    losses = []
    for seed in ("3", "3", "4"):
        assert main(["train", "digits", "--epochs", "2", "--seed", seed, "--quiet"]) == 0
        losses.append(
            json.loads(Path("fastmlp-digits/history.json").read_text())["history"]["loss"]
        )
    assert losses[0] == losses[1] != losses[2]


def test_predict_digits(capsys):
    main(["train", "digits", "--epochs", "20", "--quiet", "--out", "model"])
    capsys.readouterr()
    assert main(["predict", "model", "digits"]) == 0
    header, *rows = rows_of(capsys.readouterr().out)
    assert header == ["prediction", "probability"]
    predicted = np.array([int(row[0]) for row in rows])
    assert np.mean(predicted == datasets.load_digits().y) > 0.95
    assert all(0 < float(row[1]) <= 1 for row in rows)
    assert main(["predict", "model/model.safetensors", "digits", "--out", "p.csv"]) == 0
    assert rows_of(Path("p.csv").read_text()) == [header, *rows]
    assert "wrote 1,797 predictions to p.csv" in capsys.readouterr().out


def test_regression_on_a_table_and_back_in_its_own_unit(capsys):
    houses()
    assert main(["train", "houses.csv", "--target", "price", "--out", "m"]) == 0
    out = capsys.readouterr().out
    assert "real values of price" in out
    run = json.loads(Path("m/history.json").read_text())
    assert run["network"]["sizes"] == [5, 100, 1]  # size, two districts, two kinds
    assert run["test"]["r2"] > 0.95
    assert "RMSE" in out
    assert "R²" in out
    assert main(["predict", "m", "houses.csv"]) == 0
    header, *rows = rows_of(capsys.readouterr().out)
    assert header == ["price"]
    truth = datasets.load_table("houses.csv", "price").y
    predicted = np.array([float(row[0]) for row in rows])
    assert np.corrcoef(predicted, truth)[0, 1] > 0.97
    assert abs(predicted.mean() / truth.mean() - 1) < 0.05


def test_several_targets(capsys):
    Path("t.csv").write_text("a,b,c\n" + "".join(f"{i / 9},{i},{-3 * i}.5\n" for i in range(60)))
    assert main(["train", "t.csv", "--target", "b, c", "--epochs", "30", "--out", "m"]) == 0
    capsys.readouterr()
    assert main(["predict", "m", "t.csv"]) == 0
    header, *rows = rows_of(capsys.readouterr().out)
    assert header == ["b", "c"]
    assert len(rows) == 60


@pytest.mark.parametrize("options", [[], ["--output", "sigmoid"], ["--loss", "squared_error"]])
def test_two_classes(options, capsys):
    houses()
    assert main(["train", "houses.csv", "--target", "kind", *options, "--out", "m"]) == 0
    run = json.loads(Path("m/history.json").read_text())
    assert run["test"]["accuracy"] > 0.85
    assert run["network"]["sizes"][-1] == (1 if "sigmoid" in options else 2)
    capsys.readouterr()
    assert main(["predict", "m", "houses.csv"]) == 0
    rows = rows_of(capsys.readouterr().out)[1:]
    assert {row[0] for row in rows} == {"big", "small"}
    assert all(0.5 <= float(row[1]) <= 1 for row in rows)


def test_npz_table(capsys):
    x = np.random.default_rng(0).normal(size=(80, 3))
    np.savez("t.npz", X=x, label=(x[:, 0] > 0).astype(int))
    assert main(["train", "t.npz", "--target", "label", "--out", "m"]) == 0
    capsys.readouterr()
    assert main(["predict", "m", "t.npz"]) == 0
    assert rows_of(capsys.readouterr().out)[1][0] in {"0", "1"}


def test_images_in_idx_files(capsys):
    folder = Path("data")
    folder.mkdir()
    write_idx_folder(folder, n_train=120, n_test=30)
    arguments = ["train", "fashion-mnist", "--data-dir", "data", "--layers", "8", "--epochs", "2"]
    nielsen = ["--activation", "sigmoid", "--output", "sigmoid", "--loss", "squared_error"]
    descent = ["--optimizer", "sgd", "--learning-rate", "3.0", "--batch-size", "10"]
    assert main([*arguments, *nielsen, *descent, "--out", "m"]) == 0
    out = capsys.readouterr().out
    assert "20 features, 10 classes; 108 + 12 + 30 rows" in out
    assert "squared_error, sgd 3, batches of 10" in out
    images = folder / "t10k-images-idx3-ubyte"
    assert main(["predict", "m", str(images)]) == 0
    by_file = capsys.readouterr().out
    assert main(["predict", "m", "fashion-mnist", "--data-dir", "data"]) == 0
    assert capsys.readouterr().out == by_file
    assert by_file.startswith("prediction,score\n")
    assert main(["predict", "m", "digits"]) == 1
    assert "takes 20 features, digits has 64 pixels" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constant_and_huge_columns_do_not_upset_the_scaling(dtype, capsys):
    rows = "".join(f"0.1,{1e9 + i},{i / 10}\n" for i in range(50))
    Path("t.csv").write_text("constant,huge,y\n" + rows)
    assert main(["train", "t.csv", "--target", "y", "--out", "m", "--dtype", dtype]) == 0
    assert json.loads(Path("m/history.json").read_text())["test"]["r2"] > 0.95


def test_optimizer_schedule_and_regularisation(capsys):
    arguments = ["train", "digits", "--epochs", "6", "--out", "run"]
    options = {
        **{"optimizer": "nadam", "learning-rate": "0.003", "schedule": "cosine"},
        **{"l1": "1e-5", "l2": "1e-4", "weight-decay": "0.01", "dropout": "0.1"},
        **{"clip-norm": "5", "label-smoothing": "0.05"},
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert main([*arguments, *words, "--balanced", "--quiet"]) == 0
    run = json.loads(Path("run/history.json").read_text())
    assert run["optimizer"]["name"] == "nadam"
    assert run["optimizer"]["weight_decay"] == 0.01
    assert run["regularisation"]["dropout"] == 0.1
    assert run["regularisation"]["balanced"] is True
    rates = run["history"]["learning_rate"]
    assert rates == pytest.approx([0.0015 * (1 + np.cos(np.pi * e / 6)) for e in range(6)])
    assert len(run["history"]["gradient_norm"]) == 6
    assert run["test"]["accuracy"] > 0.85


def test_patience_stops_and_keeps_the_best_weights(capsys):
    words = ["--layers", "none", "--learning-rate", "0.5", "--patience", "3", "--out", "run"]
    assert (
        main(["train", "digits", "--optimizer", "sgd", "--epochs", "500", *words, "--quiet"]) == 0
    )
    out = capsys.readouterr().out
    assert "stopped  the validation loss has not improved for 3 epochs" in out
    history = json.loads(Path("run/history.json").read_text())["history"]
    best = int(np.argmin(history["validation_loss"])) + 1
    assert history["stop_reason"] == "early_stopping"
    assert history["best_epoch"] == best == history["epochs"] - 3


def test_time_limit_stops(capsys):
    words = ["--epochs", "1000000", "--time-limit", "0.2", "--quiet"]
    assert main(["train", "digits", *words]) == 0
    assert "stopped  the time limit of 0.2 s was reached" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["huber", "hinge", "lbfgs"])
def test_losses_find_their_outputs(what, capsys):
    words = ["--quiet", "--out", "run"]
    if what == "huber":
        arguments = ["train", houses(), "--target", "price", "--loss", "huber", "--epochs", "60"]
    elif what == "hinge":
        arguments = ["train", "digits", "--loss", "multiclass_hinge", "--epochs", "10"]
    else:
        arguments = ["train", "digits", "--optimizer", "lbfgs", "--l2", "1e-3", "--epochs", "60"]
    assert main([*arguments, *words]) == 0
    run = json.loads(Path("run/history.json").read_text())
    assert run["network"]["output"] == ("softmax" if what == "lbfgs" else "identity")
    good = run["test"]["r2"] if what == "huber" else run["test"]["accuracy"]
    assert good > 0.9


def test_names_in_the_help_are_those_that_exist():
    from fastmlp import optimizers, schedules
    from fastmlp.cli import _usage

    assert tuple(schedules.Schedule.registry) == _usage.SCHEDULES
    known = {*optimizers.Optimizer.registry, *optimizers._FULL_BATCH}
    assert known == set(_usage.OPTIMIZERS)


def test_info(capsys):
    assert main(["info", "--backend", "reference"]) == 0
    out = capsys.readouterr().out
    for word in ("fastmlp ", "backend          reference", "threads", "safetensors", "rich"):
        assert word in out


def test_module_can_be_run():
    command = [sys.executable, "-m", "fastmlp", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fastmlp 0.")


# When something is wrong
