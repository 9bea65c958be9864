"""Keras: chains of dense layers, out and in, and its files."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
from fastmlp import MLP, activations, from_keras, from_onnx, kernels  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
#: Keras casts the rows of a model to float32, whatever its layers compute in.
BOUND = {"float32": 2e-6, "float64": 2e-6}


def network(activation, output, dtype, rng, sizes=(5, 9, 7, 3)):
    net = MLP(sizes, activation, output, dtype=dtype, random_state=1)
    net.biases = [rng.normal(size=b.shape) for b in net.biases]
    return net


def values(model, x):
    tensor = keras.ops.convert_to_tensor(x, dtype=x.dtype.name)
    return keras.ops.convert_to_numpy(model(tensor))


@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_out_and_in(activation, dtype, rng):
    place = kernels.ACTIVATIONS.index(activation) + (dtype == np.float64)
    net = network(activation, kernels.OUTPUTS[place % 4], dtype, rng)
    model = net.to_keras()
    x = rng.normal(size=(20, 5)).astype(dtype)
    found, expected = values(model, x), net.predict(x)
    assert found.dtype == dtype
    assert np.abs(found - expected).max() / np.abs(expected).max() <= BOUND[dtype.name]
    back = from_keras(model)
    assert back.architecture == net.architecture
    assert back.dtype == dtype
    assert np.array_equal(back.parameters, net.parameters)


def test_custom_activations(rng):
    custom = activations.custom(lambda z: np.where(z > 0, np.sin(z), np.expm1(z)), name="odd")
    net = network(custom, "softmax", np.float32, rng)
    x = rng.normal(size=(20, 5)).astype(np.float32)
    with kernels.use_backend("reference"):
        assert np.allclose(values(net.to_keras(), x), net.predict(x), atol=1e-6)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "leaky_relu", "mish"])
def test_files(suffix, activation, tmp_path, rng):
    if suffix == "h5":
        pytest.importorskip("h5py")
    net = network(activation, "softmax", np.float32, rng)
    path = tmp_path / f"net.{suffix}"
    net.to_keras().save(path)
    back = from_keras(path)
    assert back.architecture == net.architecture
    assert np.array_equal(back.parameters, net.parameters)


def test_layers_of_activations_and_without_bias(rng):
    layers = keras.layers
    parts = [keras.Input((4,)), layers.Flatten(), layers.Dense(6), layers.ReLU()]
    parts += [layers.Dropout(0.5), layers.Dense(5, use_bias=False), layers.Activation("swish")]
    parts += [layers.Dense(4), layers.LeakyReLU(negative_slope=0.01)]
    parts += [layers.Dense(2), layers.Softmax()]
    model = keras.Sequential(parts)
    net, x = from_keras(model), rng.normal(size=(7, 4)).astype(np.float32)
    assert net.architecture.activations == ("relu", "silu", "leaky_relu")
    assert net.architecture.output == "softmax"
    assert np.allclose(net.predict(x), values(model, x), atol=1e-6)


def test_models_of_the_functional_interface():
    layers, inputs = keras.layers, keras.Input((4,))
    hidden = layers.Dense(5, "tanh")(inputs)
    chain = keras.Model(inputs, layers.Dense(2)(hidden))
    assert from_keras(chain).architecture.activations == ("tanh",)
    dense = layers.Dense(4)
    for model in (
        keras.Model(inputs, layers.Add()([layers.Dense(2)(inputs), layers.Dense(2)(hidden)])),
        keras.Model(inputs, dense(dense(inputs))),
    ):
        with pytest.raises(ValueError, match="cannot be read as a network: layer"):
            from_keras(model)


def test_onnx_files_of_keras(tmp_path, rng):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    if keras.backend.backend() != "torch":
        pytest.skip("another backend's exporter")
    net = network("gelu", "softmax", np.float32, rng)
    model = net.to_keras()
    values(model, np.zeros((2, 5), np.float32))
    model.export(tmp_path / "net.onnx", format="onnx", verbose=False)
    back = from_onnx(tmp_path / "net.onnx")
    assert back.architecture == net.architecture
    assert np.array_equal(back.parameters, net.parameters)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: keras.layers.Dense(2, lambda z: z * z), "activation of layer"),
        (lambda: keras.layers.LayerNormalization(), "is a LayerNormalization"),
        (lambda: keras.layers.Dense(2, "tanh"), "'tanh' after layer .* output layer"),
    ],
)
def test_what_is_no_chain_is_refused(layer, message):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, "relu"), layer()])
    with pytest.raises(ValueError, match=f"cannot be read as a network: .*{message}"):
        from_keras(model)


def test_wrong_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.keras"):
        from_keras(tmp_path / "nowhere.keras")
    with pytest.raises(TypeError, match=r"keras\.Model or a path, got int"):
        from_keras(3)
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.keras' cannot be read by Keras"):
        from_keras(tmp_path / "text.keras")
