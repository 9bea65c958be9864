"""Estimators in files without pickle, of this version and of earlier ones."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from fastmlp import (
    MLP,
    MLPClassifier,
    MLPRegressor,
    activations,
    initializers,
    load_model,
    losses,
    optimizers,
    schedules,
    stopping,
)
from fastmlp.estimators import _storage

safetensors = pytest.importorskip("safetensors")
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")

LABELS = {
    "text": np.array(list("abc") * 10),
    "objects": np.array(list("abc") * 10, object),
    "integers": np.array([2, 5] * 15),
    "small": np.array([2, 5, 9] * 10, np.uint8),
    "truth": np.array([True, False, True] * 10),
    "floats": np.array([0.0, 2.0, 1.0] * 10),
    "one": np.array([3] * 30),
    "several": np.tile([[0, 1], [1, 1], [1, 0]], (10, 1)),
}


def same(found, expected, x):
    assert type(found) is type(expected)
    assert found.get_params() == expected.get_params()
    for name in ("predict", "predict_proba", "decision_function"):
        if hasattr(expected, name):
            one, other = getattr(found, name)(x), getattr(expected, name)(x)
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
    for name in ("n_iter_", "loss_", "loss_curve_", "out_activation_", "n_features_in_", "t_"):
        if hasattr(expected, name):
            assert getattr(found, name) == getattr(expected, name), name


@pytest.mark.parametrize("kind", LABELS)
def test_classifiers(kind, rng, tmp_path):
    x, y = rng.normal(size=(30, 4)), LABELS[kind]
    model = MLPClassifier((5, 4), "tanh", max_iter=2, random_state=0).fit(x, y)
    model.save(tmp_path / "model.safetensors")
    back = MLPClassifier.load(tmp_path / "model.safetensors")
    same(back, model, x)
    assert np.array_equal(back.classes_, model.classes_)
    assert np.array_equal(MLP.load(tmp_path / "model.safetensors").predict(x), model._outputs(x))
    assert back.partial_fit(x, y).score(x, y) >= 0
    same(pickle.loads(pickle.dumps(back)), back, x)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_regressors(n_outputs, dtype, rng, tmp_path):
    x = rng.normal(size=(30, 4)).astype(dtype)
    y = x[:, :n_outputs] if n_outputs > 1 else x[:, 0]
    model = MLPRegressor(hidden_layer_sizes=[5], max_iter=2, random_state=0).fit(x, y)
    model.save(str(tmp_path / "model"))
    same(MLPRegressor.load(str(tmp_path / "model")), model, x)


def test_parameters_of_every_kind(rng, tmp_path):
    x, y = rng.normal(size=(30, 4)), np.array(list("ab") * 15)
    named = activations.custom(lambda z: z * np.tanh(z), name="made for files")
    options = [
        {"activation": ["relu", "tanh"], "hidden_layer_sizes": (4, 3), "class_weight": {"a": 2.0}},
        {"optimizer": optimizers.AdamW(weight_decay=0.1), "schedule": schedules.Cosine()},
        {"loss": losses.Hinge(), "init": initializers.get("he_normal"), "dtype": "float32"},
        {"stop": [stopping.EarlyStopping("loss", patience=np.int64(3))], "dropout": [0.1, 0.2]},
        {"activation": named, "max_time": np.float32(1.5), "n_threads": 1},
    ]
    for chosen in options:
        model = MLPClassifier(**{"hidden_layer_sizes": (4,), "max_iter": 2, **chosen}).fit(x, y)
        model.save(tmp_path / "model")
        same(MLPClassifier.load(tmp_path / "model"), model, x)


def test_names_of_features(rng, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rng.normal(size=(30, 2)), columns=["first", "second"])
    model = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2).fit(frame, frame["first"])
    model.save(tmp_path / "model")
    back = MLPRegressor.load(tmp_path / "model")
    assert back.feature_names_in_.tolist() == ["first", "second"]
    assert np.array_equal(back.predict(frame), model.predict(frame))


def test_what_cannot_be_saved_is_named(rng, tmp_path):
    x, y = rng.normal(size=(30, 4)), np.array([0, 1] * 15)
    with pytest.raises(ValueError, match="save needs a fitted MLPClassifier"):
        MLPClassifier().save(tmp_path / "model")
    model = MLPClassifier((3,), max_iter=1, callbacks=[print]).fit(x, y)
    with pytest.raises(ValueError, match="callbacks cannot be saved: builtin_function"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def changed(path, change):
    """The file with another entry of metadata."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    entry = json.loads(header["__metadata__"][_storage.ENTRY])
    change(entry)
    header["__metadata__"][_storage.ENTRY] = json.dumps(entry)
    new = json.dumps(header).encode()
    path.write_bytes(len(new).to_bytes(8, "little") + new + content[8 + length :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.update(version=2), "reads version 1"),
        (
            lambda e: e.update({"class": "MLPRegressor"}),
            "holds a MLPRegressor, not a",
        ),
        (lambda e: e["parameters"].update(more=1), "no parameter 'more'"),
        (lambda e: e["parameters"].update(alpha="x"), "'alpha' parameter"),
        (lambda e: e["parameters"].update(activation="tanh"), "do not fit each other"),
        (lambda e: e["fitted"].update(coefs_=1), "coefs_ must not be"),
        (lambda e: e["fitted"].update(predict="x"), "predict must not be"),
        (lambda e: e["fitted"].update(n_iter_="x"), "n_iter_ must not be"),
        (lambda e: e["classes"].update(array=[1, 2, 3], shape=[3]), "do not fit 3 classes"),
        (lambda e: e["classes"].update(kind="O"), "must hold such values|numbers or text"),
        (lambda e: e.update(labels="odd"), "kind of labels"),
        (lambda e: e.pop("classes"), "it has no 'classes'"),
        (
            lambda e: e["parameters"].update(init={"object": ["os", "system"], "fields": {}}),
            "there is no object",
        ),
        (
            lambda e: e["parameters"].update(init={"object": ["losses", "os"], "fields": {}}),
            "there is no object",
        ),
        (lambda e: e["parameters"].update(init={"pickle": "x"}), "not understood"),
    ],
)
def test_wrong_entries_are_named(change, message, rng, tmp_path):
    x, y = rng.normal(size=(30, 4)), np.array([0, 1] * 15)
    MLPClassifier((3,), max_iter=1).fit(x, y).save(tmp_path / "model")
    changed(tmp_path / "model", change)
    with pytest.raises(ValueError, match=f"model is not a fastmlp estimator: .*({message})"):
        MLPClassifier.load(tmp_path / "model")


def test_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        MLPClassifier.load(tmp_path / "nowhere")
    MLP([2, 2]).save(tmp_path / "net")
    with pytest.raises(ValueError, match=r"it holds a network alone: MLP\.load reads it"):
        MLPClassifier.load(tmp_path / "net")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="not a safetensors file"):
        MLPClassifier.load(tmp_path / "text")


# Files of earlier versions

FOLDER = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("version", sorted(p.name for p in FOLDER.glob("[0-9]*")))
def test_files_of_every_version_load(version):
    """Networks, estimators, models of the command: what they predicted when they were written."""
    folder = FOLDER / version
    expected = np.load(folder / "predictions.npz")
    table = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    kinds = {"network": MLP, "classifier": MLPClassifier, "regressor": MLPRegressor}
    seen = set()
    for path in sorted(folder.glob("*.safetensors")):
        kind = path.stem.split("_")[0]
        if kind == "model":
            found = load_model(path).predict(table)
        else:
            x = expected["x_of_networks" if kind == "network" else "x"]
            found = kinds[kind].load(path).predict(x)
        seen.add(kind)
        if found.dtype.kind == "f":
            scale = np.finfo(expected[path.stem].dtype).eps * np.abs(found).max()
            assert np.abs(found - expected[path.stem]).max() <= 64 * scale
        else:
            assert found.tolist() == expected[path.stem].tolist()
    assert seen == {*kinds, "model"}


def test_files_of_skops_are_trusted(rng):
    skops = pytest.importorskip("skops.io")
    from fastmlp.interop.skops import TRUSTED

    x, y = rng.normal(size=(30, 4)), np.array(list("ab") * 15)
    models = [
        MLPClassifier((3,), max_iter=2).fit(x, y),
        MLPClassifier((3,), max_iter=2, optimizer=optimizers.AdamW(), schedule="cosine").fit(x, y),
        MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, loss=losses.Huber()).fit(x, x[:, 0]),
    ]
    for model in models:
        content = skops.dumps(model)
        assert set(skops.get_untrusted_types(data=content)) <= set(TRUSTED)
        same(skops.loads(content, trusted=TRUSTED), model, x)
