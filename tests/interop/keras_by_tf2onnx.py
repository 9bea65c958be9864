"""Write Keras models as ONNX by tf2onnx: ``python keras_by_tf2onnx.py FOLDER``.

Needs tensorflow (tensorflow-cpu is enough) and tf2onnx, which pins an old protobuf and installs
with ``--no-deps`` beside a newer one. Each model is a file, with its predictions of ``ROWS`` in
``predictions.npz``. Those in ``tests/data/tf2onnx`` were written by tf2onnx 1.17.0, Keras 3.15.1
and TensorFlow 2.21.0.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import keras
import numpy as np
import tensorflow as tf
import tf2onnx

ROWS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
#: Names of Keras, but for the last.
ACTIVATIONS = (
    *("relu", "tanh", "sigmoid", "elu", "selu", "silu", "softplus", "softsign", "mish"),
    "gelu_tanh",
)


def models() -> dict[str, keras.Model]:
    """Chains with dropout, and a layer without bias; one with batch normalisation."""
    keras.utils.set_random_seed(0)
    layers, found = keras.layers, {}
    for name in ACTIVATIONS:
        function = (
            (lambda z: keras.activations.gelu(z, approximate=True)) if "gelu" in name else name
        )
        chain = [layers.Input((4,)), layers.Dense(6, function), layers.Dropout(0.5)]
        chain += [layers.Dense(5, function, use_bias=False), layers.Dense(3, "softmax")]
        found[name] = keras.Sequential(chain)
    chain = [layers.Input((4,)), layers.Dense(6, "relu"), layers.BatchNormalization()]
    return found | {"batch_normalization": keras.Sequential([*chain, layers.Dense(3)])}


def write(folder: Path) -> None:
    """All models, and what they predict."""
    predictions = {"rows": ROWS}
    for name, model in models().items():
        for layer in model.layers:
            given = [np.random.default_rng(1).uniform(0.1, 1, w.shape) for w in layer.get_weights()]
            layer.set_weights(given)
        row = tf.TensorSpec([None, 4], tf.float32, name="x")
        call = tf.function(lambda x, model=model: model(x, training=False), input_signature=[row])
        graph, _ = tf2onnx.convert.from_function(call, input_signature=[row], opset=17)
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
        predictions[name] = np.asarray(model(ROWS))
    np.savez_compressed(folder / "predictions.npz", **predictions)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
