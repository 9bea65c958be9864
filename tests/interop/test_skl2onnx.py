"""Pipelines with our estimators, converted by skl2onnx."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.interop import skl2onnx as ours

theirs = pytest.importorskip("skl2onnx")
ort = pytest.importorskip("onnxruntime")
pipeline = pytest.importorskip("sklearn.pipeline")
preprocessing = pytest.importorskip("sklearn.preprocessing")

#: A few epochs are enough here.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


@pytest.fixture(autouse=True)
def registered():
    ours.register()
    ours.register()


def run(model, x, names=None):
    session = ort.InferenceSession(model.SerializeToString())
    return session.run(names, {session.get_inputs()[0].name: x})


@pytest.mark.parametrize("classes", [[0, 1], [2, 5, 9], ["a", "b", "c"], ["no", "yes"]])
@pytest.mark.parametrize("opset", [12, 18])
def test_scaled_classifiers(classes, opset, dtype, rng):
    x = (100 * rng.normal(size=(80, 4))).astype(dtype)
    y = np.array(classes)[rng.integers(len(classes), size=80)]
    model = pipeline.make_pipeline(
        preprocessing.StandardScaler(),
        MLPClassifier((7,), "elu", max_iter=4, solver="sgd", random_state=0),
    ).fit(x, y)
    made = theirs.to_onnx(
        model, x[:1], target_opset=opset, options={MLPClassifier: {"zipmap": False}}
    )
    label, probabilities = run(made, x)
    assert label.tolist() == model.predict(x).tolist()
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    assert np.abs(probabilities - model.predict_proba(x)).max() <= tolerance


def test_options_of_classifiers(rng):
    x, y = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(3, size=50)
    model = MLPClassifier((5,), max_iter=3, solver="sgd", random_state=0).fit(x, y)
    _, maps = run(theirs.to_onnx(model, x[:1]), x)
    assert sorted(maps[0]) == [0, 1, 2]
    options = {id(model): {"raw_scores": True, "zipmap": False}}
    _, scores = run(theirs.to_onnx(model, x[:1], options=options), x)
    assert np.allclose(scores, model._outputs(x, "identity"), atol=1e-5)


def test_integers_as_rows(rng):
    x, y = rng.integers(-3, 4, size=(50, 3)), rng.integers(2, size=50)
    model = MLPClassifier((5,), max_iter=3, solver="sgd", random_state=0).fit(x, y)
    made = theirs.to_onnx(model, x[:1], options={id(model): {"zipmap": False}})
    label, probabilities = run(made, x)
    assert np.array_equal(label, model.predict(x))
    assert np.allclose(probabilities, model.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regressors(n_outputs, dtype, rng):
    x = rng.normal(size=(50, 3)).astype(dtype)
    y = x[:, :n_outputs] if n_outputs > 1 else x[:, 0]
    model = MLPRegressor(
        hidden_layer_sizes=(5,), activation="tanh", max_iter=3, solver="sgd", random_state=0
    ).fit(x, y)
    (found,) = run(theirs.to_onnx(model, x[:1]), x)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    assert np.allclose(found.reshape(50, -1), model.predict(x).reshape(50, -1), atol=tolerance)


CLONE = os.environ.get("FASTMLP_SKLEARN_ONNX", "")


@pytest.mark.skipif(not CLONE, reason="needs a clone of sklearn-onnx: FASTMLP_SKLEARN_ONNX")
def test_its_own_module_of_tests_on_our_estimators(tmp_path):
    program, tests = Path(__file__).with_name("sklearn_onnx.py").resolve(), Path(CLONE, "tests")
    run = subprocess.run(
        [sys.executable, program, tests.resolve()], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.splitlines()[-1].split()[0]) >= 17
