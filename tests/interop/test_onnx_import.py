"""Networks from ONNX models that other programs have written, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, MLPClassifier, MLPRegressor, from_onnx, kernels

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

#: A few epochs are enough here.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_our_own_files_come_back_to_the_bit(activation, dtype, tmp_path, rng):
    for output in kernels.OUTPUTS:
        net = MLP([4, 6, 5, 2], activation, output, dtype=dtype, random_state=0)
        net.biases = [rng.normal(size=b.shape) for b in net.biases]
        net.to_onnx(tmp_path / "net.onnx", opset=17)
        back = from_onnx(tmp_path / "net.onnx")
        assert back.architecture == net.architecture
        assert back.dtype == net.dtype
        assert np.array_equal(back.parameters, net.parameters)
    wide = from_onnx(str(tmp_path / "net.onnx"), dtype=np.float64)
    assert wide.dtype == np.float64
    assert np.array_equal(wide.weights[1], net.weights[1])


def test_our_own_classifiers_and_regressors(rng):
    x = rng.normal(size=(40, 4))
    for y in (rng.integers(3, size=40), rng.integers(2, size=40), np.array(list("ab") * 20)):
        model = MLPClassifier((6,), max_iter=2, solver="sgd", random_state=0).fit(x, y)
        net = from_onnx(model.to_onnx())
        assert np.array_equal(net.predict(x)[:, -1], model.predict_proba(x)[:, -1])
    model = MLPRegressor(hidden_layer_sizes=(6,), max_iter=2, solver="sgd", random_state=0).fit(
        x, x[:, 0]
    )
    assert np.array_equal(from_onnx(model.to_onnx()).predict(x)[:, 0], model.predict(x))


# scikit-learn's estimators by skl2onnx, torch's modules by torch.onnx


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifiers_of_skl2onnx(activation, n_classes, rng):
    skl2onnx = pytest.importorskip("skl2onnx")
    neural = pytest.importorskip("sklearn.neural_network")
    x = rng.normal(size=(60, 4)).astype(np.float32)
    y = rng.integers(n_classes, size=60)
    theirs = neural.MLPClassifier((6, 5), activation=activation, solver="lbfgs", max_iter=5)
    theirs.fit(x, y)
    for options in ({"zipmap": False}, {}):
        model = skl2onnx.to_onnx(theirs, x[:1], options={id(theirs): options})
        net = from_onnx(model)
        assert net.architecture.sizes == (4, 6, 5, 1 if n_classes == 2 else 3)
        assert np.allclose(net.predict(x)[:, -1], theirs.predict_proba(x)[:, -1], atol=1e-5)


def test_regressors_of_skl2onnx(rng):
    skl2onnx = pytest.importorskip("skl2onnx")
    neural = pytest.importorskip("sklearn.neural_network")
    x = rng.normal(size=(60, 4))
    theirs = neural.MLPRegressor(hidden_layer_sizes=(6, 5), max_iter=2, solver="sgd")
    theirs.fit(x, x[:, 0])
    net = from_onnx(skl2onnx.to_onnx(theirs, x[:1]))
    assert net.dtype == np.float64
    assert np.allclose(net.predict(x)[:, 0], theirs.predict(x), rtol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_modules_of_torch(rng):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    kinds = {
        **{"relu": nn.ReLU(), "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(), "elu": nn.ELU()},
        **{"selu": nn.SELU(), "gelu": nn.GELU(), "gelu_tanh": nn.GELU("tanh"), "silu": nn.SiLU()},
        **{"mish": nn.Mish(), "softplus": nn.Softplus(), "leaky_relu": nn.LeakyReLU()},
        **{"hardtanh": nn.Hardtanh()},
    }
    import io

    x = rng.normal(size=(20, 4)).astype(np.float32)
    for name, kind in kinds.items():
        first, second, last = nn.Linear(4, 8), nn.Linear(8, 5, bias=False), nn.Linear(5, 3)
        module = nn.Sequential(first, kind, nn.Dropout(0.5), second, kind, last, nn.Softmax(dim=1))
        file = io.BytesIO()
        rows = torch.from_numpy(x)
        torch.onnx.export(module.eval(), (rows,), file, opset_version=17, dynamo=False)
        net = from_onnx(file.getvalue())
        assert net.architecture.activations == (name, name)
        assert net.architecture.output == "softmax"
        assert np.allclose(net.predict(x), module(rows).detach().numpy(), atol=1e-6)


# What is refused


def model_of(nodes, tensors, n_in=3, name="x"):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", n_in])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


W, V = np.eye(3, 4, dtype=np.float32), np.eye(4, 2, dtype=np.float32)
node = helper.make_node


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Conv", ["x", "W"], ["y"], name="first")], r"'first' \(Conv\) is no dense layer"),
        ([node("Relu", ["x"], ["y"], name="r")], "at least one dense layer|before the first"),
        (
            [node("MatMul", ["x", "W"], ["z"]), node("LayerNormalization", ["z", "b"], ["y"])],
            r"'y' \(LayerNormalization\)",
        ),
        (
            [
                node("Gemm", ["x", "W"], ["z"]),
                node("LeakyRelu", ["z"], ["a"], name="leak", alpha=0.2),
                node("Gemm", ["a", "V"], ["y"]),
            ],
            r"'leak' \(LeakyRelu\): no activation of this package",
        ),
        (
            [node("Gemm", ["x", "W"], ["z"]), node("Tanh", ["z"], ["y"])],
            "'tanh' after .* output layer",
        ),
        ([node("Gemm", ["x", "W"], ["y"], transA=1)], "transposes the rows"),
        ([node("MatMul", ["W", "x"], ["y"])], "rows as its first operand"),
        ([node("MatMul", ["x", "x"], ["y"])], "constant matrix"),
        (
            [node("Gemm", ["x", "V"], ["z"]), node("Gemm", ["z", "V"], ["y"])],
            "takes 4 values, but 2",
        ),
        (
            [
                node("MatMul", ["x", "W"], ["a"]),
                node("MatMul", ["x", "W"], ["b"]),
                node("Add", ["a", "b"], ["y"]),
            ],
            "second branch",
        ),
        (
            [
                node("Gemm", ["x", "W"], ["z"]),
                node("Cast", ["z"], ["i"], name="cut", to=TensorProto.INT64),
                node("Cast", ["i"], ["a"], to=TensorProto.FLOAT),
                node("Gemm", ["a", "V"], ["y"]),
            ],
            r"'cut' \(Cast\) is no dense layer",
        ),
        (
            [
                node("Gemm", ["x", "W"], ["z"]),
                node("Softmax", ["z"], ["a"]),
                node("Gemm", ["a", "V"], ["y"]),
            ],
            "before a hidden layer",
        ),
        (
            [node("Gemm", ["x", "W"], ["z"]), node("Softmax", ["z"], ["y"], axis=0)],
            "softmax over a row",
        ),
        ([node("Add", ["x", "b"], ["z"]), node("Gemm", ["z", "W"], ["y"])], "Add|dense layer"),
    ],
)
def test_what_is_no_chain_is_refused_by_its_node(nodes, message):
    tensors = {"W": W, "V": V, "b": np.ones(3, np.float32)}
    with pytest.raises(ValueError, match=f"the model cannot be read as a network: .*({message})"):
        from_onnx(model_of(nodes, tensors))


def test_casts_between_floats_stand_where_exporters_put_them():
    """Keras has one before every sum."""
    nodes = [node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE), node("MatMul", ["d", "W"], ["z"])]
    nodes += [node("Cast", ["z"], ["f"], to=TensorProto.FLOAT), node("Add", ["f", "b"], ["y"])]
    net = from_onnx(model_of(nodes, {"W": W, "b": np.arange(4, dtype=np.float32)}))
    assert np.array_equal(net.weights[0], W)
    assert np.array_equal(net.biases[0], np.arange(4))


def test_wrong_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx"):
        from_onnx(tmp_path / "nowhere.onnx")
    with pytest.raises(TypeError, match="path, bytes or a ModelProto"):
        from_onnx(3)
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.onnx' is no ONNX model"):
        from_onnx(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match="no nodes"):
        from_onnx(b"")


def test_tensors_outside_of_the_file_are_not_read(tmp_path):
    model = MLP([3, 2]).to_onnx()
    (tmp_path / "secret").write_bytes(bytes(24))
    tensor = model.graph.initializer[0]
    del tensor.external_data[:]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret"
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="lies outside of the file"):
        from_onnx(tmp_path / "net.onnx")
