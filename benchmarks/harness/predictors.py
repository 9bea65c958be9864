"""Ways to predict with one network, each a function of one batch of rows.

Every function takes the architecture, parameters and a batch, and returns a call without arguments
that gives the output layer's values for that batch, or ``None`` where the library is missing.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from fastmlp import MLP
from fastmlp.kernels import Architecture

from .contenders.numpy_loop import ACTIVATIONS
from .problem import Array

Call = Callable[[], Any]
_threads = 1


def use_threads(count: int) -> None:
    """Let the calls that are made from now on use so many threads."""
    global _threads
    _threads = count


def mlp(architecture: Architecture, parameters: Array, x: Array) -> Call:
    """``fastmlp.MLP.predict``."""
    net = _network(architecture, parameters, x)
    return lambda: net.predict(x)


def predictor(architecture: Architecture, parameters: Array, x: Array) -> Call:
    """``fastmlp.MLP.predictor``, of the backend that is live now, with ``out=``."""
    predict = _network(architecture, parameters, x).predictor()
    out = np.empty((len(x), architecture.sizes[-1]), x.dtype)
    return lambda: predict(x, out=out)


def _network(architecture: Architecture, parameters: Array, x: Array) -> MLP:
    net = MLP(
        architecture.sizes,
        architecture.activations[0],
        architecture.output,
        dtype=x.dtype,
        n_threads=_threads,
    )
    net.weights, net.biases = architecture.views(parameters)
    return net


def numpy(architecture: Architecture, parameters: Array, x: Array) -> Call:
    """The formula, an expression a layer."""
    weights, biases = architecture.views(parameters)
    forward = ACTIVATIONS[architecture.activations[0]][0]
    layers = list(zip(weights, biases, strict=True))

    def call() -> Array:
        a = x
        for w, b in layers[:-1]:
            a = a @ w
            a += b
            forward(a)
        w, b = layers[-1]
        z = a @ w
        z += b
        if architecture.output == "softmax":
            z -= z.max(axis=1, keepdims=True)
            np.exp(z, out=z)
            z /= z.sum(axis=1, keepdims=True)
        return z

    return call


def sklearn(architecture: Architecture, parameters: Array, x: Array) -> Call | None:
    """``predict`` of a regressor, ``predict_proba`` of a classifier."""
    if importlib.util.find_spec("sklearn") is None:
        return None
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from .contenders.sklearn_loop import ACTIVATIONS as NAMES

    classes = architecture.output == "softmax"
    model = (MLPClassifier if classes else MLPRegressor)(
        hidden_layer_sizes=architecture.sizes[1:-1],
        activation=NAMES[architecture.activations[0]],
        batch_size=10,
        max_iter=1,
    )
    n_out = architecture.sizes[-1]
    few = np.zeros((10 * n_out, architecture.sizes[0]), x.dtype)
    target = np.arange(len(few)) % n_out if classes else np.zeros((len(few), n_out), x.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(few, target if n_out > 1 else target.ravel())
    for mine, w in zip(model.coefs_, architecture.views(parameters)[0], strict=True):
        mine[...] = w
    for mine, b in zip(model.intercepts_, architecture.views(parameters)[1], strict=True):
        mine[...] = b
    method = model.predict_proba if classes else model.predict
    return lambda: method(x).reshape(len(x), n_out)


def torch(architecture: Architecture, parameters: Array, x: Array) -> Call | None:
    """``torch.nn.Sequential`` in inference mode, from a NumPy array to a NumPy array."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    from .contenders.torch_loop import ACTIVATIONS as LAYERS

    torch.set_num_threads(_threads)
    layers: list[torch.nn.Module] = []
    for w, b in zip(*architecture.views(parameters), strict=True):
        linear = torch.nn.Linear(*w.shape, dtype=torch.from_numpy(b.copy()).dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(w.T.copy()))
            linear.bias.copy_(torch.from_numpy(b.copy()))
        layers += [linear, LAYERS[architecture.activations[0]]()]
    layers.pop()
    if architecture.output == "softmax":
        layers.append(torch.nn.Softmax(dim=1))
    model = torch.nn.Sequential(*layers).eval()

    def call() -> Array:
        with torch.inference_mode():
            result: Array = model(torch.from_numpy(x)).numpy()
        return result

    return call


def onnxruntime(architecture: Architecture, parameters: Array, x: Array) -> Call | None:
    """A session with as many threads; the model is written with ``onnx``."""
    if not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        return None
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.FLOAT if x.dtype == np.float32 else TensorProto.DOUBLE
    operators = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
    nodes, constants, value = [], [], "x"
    views = architecture.views(parameters)
    for layer, (w, b) in enumerate(zip(*views, strict=True)):
        constants += [
            numpy_helper.from_array(w.copy(), f"w{layer}"),
            numpy_helper.from_array(b.copy(), f"b{layer}"),
        ]
        nodes.append(helper.make_node("Gemm", [value, f"w{layer}", f"b{layer}"], [f"z{layer}"]))
        value = f"z{layer}"
        if layer < len(architecture.activations):
            name = operators[architecture.activations[layer]]
            nodes.append(helper.make_node(name, [value], [f"a{layer}"]))
            value = f"a{layer}"
    if architecture.output == "softmax":
        nodes.append(helper.make_node("Softmax", [value], ["y"], axis=1))
        value = "y"
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", kind, ["n", n_in])],
        [helper.make_tensor_value_info(value, kind, ["n", n_out])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = _threads, 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": x})[0]


#: Name, as in ``contenders.TITLES`` → how to predict.
PREDICTORS: dict[str, Callable[[Architecture, Array, Array], Call | None]] = {
    "numpy": numpy,
    "sklearn": sklearn,
    "torch": torch,
    "onnxruntime": onnxruntime,
}
