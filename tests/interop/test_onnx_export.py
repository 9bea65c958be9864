"""Networks and estimators as ONNX models, beside onnxruntime."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fastmlp import MLP, MLPClassifier, MLPRegressor, activations, kernels

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

#: A few epochs are enough here.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")

#: Largest difference, as a share of the largest value.
BOUND = {"float32": 2e-6, "float64": 1e-14}


def run(model, x, names=None):
    session = ort.InferenceSession(model.SerializeToString())
    return session.run(names, {"X": x})


def network(activation, output, dtype, rng, sizes=(5, 9, 7, 3)):
    net = MLP(sizes, activation, output, dtype=dtype, random_state=1)
    net.biases = [rng.normal(size=b.shape) for b in net.biases]
    return net


def difference(found, expected):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_every_activation_and_output(activation, dtype, rng):
    # Every activation with one output and version of ONNX, every one of these with several.
    place = kernels.ACTIVATIONS.index(activation) + (dtype == np.float64)
    output, opset = kernels.OUTPUTS[place % 4], (9, None, 20)[place % 3]
    net = network(activation, output, dtype, rng)
    x = rng.normal(size=(20, 5)).astype(dtype)
    names = ["predict", "scores", "predict_classes", "predict_labels"]
    if output in ("sigmoid", "softmax"):
        names.append("log_probabilities")
    model = net.to_onnx(opset=opset, output=names)
    assert model.opset_import[0].version == (opset or 17)
    for name, found in zip(names, run(model, x, names), strict=True):
        expected = getattr(net, name)(x)
        if found.dtype == np.int64:
            assert np.array_equal(found, expected)
        else:
            assert difference(found, expected) <= BOUND[dtype.name]


@pytest.mark.parametrize("n", [1, 3, 200])
def test_any_number_of_rows(n, rng):
    net = network("tanh", "softmax", np.float32, rng)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    assert run(net.to_onnx(), x)[0].shape == (n, 3)


@pytest.mark.parametrize("opset", [9, 17])
def test_custom_activations_go_out_as_their_expression(opset, dtype, rng):
    functions = [
        lambda z: z * np.tanh(np.log1p(np.exp(z))),
        lambda z: np.where(z > 0, np.sqrt(np.abs(z)), np.expm1(z)),
        lambda z: np.clip(np.sin(z) * np.square(z), -2, 3) + np.maximum(z, 0.1) ** 2,
        lambda z: np.rint(z) + np.trunc(z) - np.floor(z) + np.logaddexp(z, 1.0),
        lambda z: np.exp2(z) / (1 + np.abs(z)) + np.where(z == 0, 2.0, z),
        lambda z: 0 * z + 1.5,
    ]
    x = rng.normal(size=(20, 5)).astype(dtype)
    for function in functions:
        custom = activations.custom(function, lambda z: z, name="custom")
        net = network(custom, "identity", dtype, rng)
        with kernels.use_backend("reference"):
            expected = net.predict(x)
        assert difference(run(net.to_onnx(opset=opset), x)[0], expected) <= BOUND[dtype.name]


def test_custom_activations_without_an_expression_are_named(rng):
    tanh = np.frompyfunc(math.tanh, 1, 1)
    untraceable = activations.custom(
        lambda z: np.asarray(tanh(z), float), lambda z: np.ones_like(z), name="odd"
    )
    with pytest.raises(ValueError, match=r"'odd' cannot go to ONNX"):
        network(untraceable, "identity", np.float32, rng).to_onnx()


def test_files_are_written_whole(tmp_path, rng):
    net = network("relu", "identity", np.float32, rng)
    path = tmp_path / "net.onnx"
    model = net.to_onnx(path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    assert path.read_bytes() == model.SerializeToString()
    with pytest.raises(FileNotFoundError):
        net.to_onnx(tmp_path / "nowhere" / "net.onnx")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"opset": 8}, ValueError, r"opset must lie between 9 and \d+, got 8"),
        ({"opset": 999}, ValueError, "got 999"),
        ({"opset": "17"}, TypeError, "opset must be an integer"),
        ({"opset": True}, TypeError, "opset must be an integer"),
        ({"output": "probabilities"}, ValueError, "output must be one of"),
        ({"output": ()}, ValueError, "different outputs"),
        ({"output": ["predict", "predict"]}, ValueError, "different outputs"),
        ({"output": "log_probabilities"}, ValueError, "probabilities need output"),
    ],
)
def test_wrong_options_are_named(options, error, message, rng):
    with pytest.raises(error, match=message):
        network("relu", "identity", np.float32, rng).to_onnx(**options)


# Estimators


def labels(kind, rng):
    classes = {
        "two integers": [3, 7],
        "integers": [-5, 2, 10],
        "text": ["ant", "bee", "über"],
        "objects of text": np.array(["a", "b"], object),
        "truth values": [False, True],
        "floats": [0.0, 1.0, 4.0],
        "small unsigned": np.array([1, 2, 9], np.uint8),
        "one": [4],
    }[kind]
    return np.asarray(classes)[rng.integers(len(classes), size=60)]


KINDS = ("two integers", "integers", "text", "objects of text", "truth values", "floats")


@pytest.mark.parametrize("kind", [*KINDS, "small unsigned", "one"])
def test_classes_of_any_type(kind, rng):
    x = rng.normal(size=(60, 4))
    model = MLPClassifier((6,), max_iter=3, random_state=0, solver="sgd").fit(x, labels(kind, rng))
    label, probabilities = run(model.to_onnx(), x, ["label", "probabilities"])
    assert label.tolist() == model.predict(x).tolist()
    assert difference(probabilities, model.predict_proba(x)) <= BOUND["float64"]


@pytest.mark.parametrize("loss", ["hinge", "multiclass_hinge"])
@pytest.mark.parametrize("n", [2, 3])
def test_margins(loss, n, rng):
    x, y = rng.normal(size=(60, 4)), rng.integers(n, size=60)
    model = MLPClassifier((6,), max_iter=3, random_state=0, solver="sgd", loss=loss).fit(x, y)
    label, scores = run(model.to_onnx(), x, ["label", "scores"])
    assert np.array_equal(label, model.predict(x))
    assert difference(scores, model._outputs(x)) <= BOUND["float64"]


def test_several_labels_a_row(rng):
    x, y = rng.normal(size=(60, 4)), rng.integers(2, size=(60, 3))
    model = MLPClassifier((6,), max_iter=3, random_state=0, solver="sgd").fit(x, y)
    label, probabilities = run(model.to_onnx(), x, ["label", "probabilities"])
    assert np.array_equal(label, model.predict(x))
    assert difference(probabilities, model.predict_proba(x)) <= BOUND["float64"]


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regressors(loss, n_outputs, dtype, rng):
    x = rng.normal(size=(60, 4)).astype(dtype)
    y = rng.random((60, n_outputs)).astype(dtype)
    model = MLPRegressor(
        hidden_layer_sizes=(6,), max_iter=3, random_state=0, solver="sgd", loss=loss
    )
    model.fit(x, y if n_outputs > 1 else y[:, 0])
    (found,) = run(model.to_onnx(), x)
    assert difference(found, model.predict(x).reshape(60, -1)) <= BOUND[dtype.name]


def test_estimators_before_fit():
    with pytest.raises(ValueError, match="needs a fitted MLPClassifier"):
        MLPClassifier().to_onnx()
