"""Keras: chains of ``Dense`` layers, out and in, with any of its backends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .._typing import Array
from ._chain import Layer, recognise, to_network
from ._libraries import Library
from ._steps import steps_of

keras: Any = Library("keras", "fastmlp.interop.keras")

__all__ = ["from_model", "gelu_tanh", "to_model"]


def gelu_tanh(z: Any) -> Any:
    """GELU in its form with tanh, which Keras has no name for."""
    return keras.activations.gelu(z, approximate=True)


def leaky_relu(z: Any) -> Any:
    """Leaky ReLU with the slope 0.01; Keras's is 0.2."""
    return keras.activations.leaky_relu(z, negative_slope=0.01)


_ACTIVATIONS: dict[str, Any] = {
    **{"identity": "linear", "sigmoid": "sigmoid", "tanh": "tanh", "hardtanh": "hard_tanh"},
    **{"relu": "relu", "leaky_relu": leaky_relu, "elu": "elu", "selu": "selu"},
    **{"softplus": "softplus", "silu": "silu", "gelu": "gelu", "gelu_tanh": gelu_tanh},
    **{"mish": "mish", "softsign": "softsign", "exp": "exponential", "softmax": "softmax"},
}
#: Whose activation is that of the layer before.
_AFTER = ("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "PReLU")
_PASSED = ("InputLayer", "Dropout", "AlphaDropout", "GaussianNoise", "GaussianDropout", "Flatten")


def _register() -> None:
    """Let files hold the activations that Keras has no name for."""
    for function in (gelu_tanh, leaky_relu):
        keras.saving.register_keras_serializable(package="fastmlp")(function)


def to_model(net: Any) -> Any:
    """See :meth:`fastmlp.MLP.to_keras`."""
    _register()
    sizes, dtype = net.architecture.sizes, net.dtype.name
    layers = [keras.Input((sizes[0],), dtype=dtype)]
    for activation, size in zip(
        (*net.architecture.activations, net.architecture.output), sizes[1:], strict=True
    ):
        known = isinstance(activation, str) and activation in _ACTIVATIONS
        found = _ACTIVATIONS[activation] if known else _expression(activation)
        layers.append(keras.layers.Dense(size, activation=found, dtype=dtype))
    model = keras.Sequential(layers)
    model.set_weights(
        [a for pair in zip(net.weights, net.biases, strict=True) for a in map(np.array, pair)]
    )
    return model


def _expression(activation: Any) -> Any:
    """An activation step by step; such a model can be trained, but not saved as ``.keras``."""
    program = steps_of(activation, "Keras")

    def apply(z: Any) -> Any:
        values = [z]
        for step in program.steps:
            if step.operation == "constant":
                values.append(keras.ops.cast(step.values[0], z.dtype))
                continue
            operands = [values[i] for i in step.operands]
            values.append(getattr(keras.ops, step.operation)(*operands))
        return values[program.outputs[0]] + 0 * z

    return apply


def from_model(model: Any, dtype: Any = None) -> Any:
    """A network from a Keras model of ``Dense`` layers.

    Parameters
    ----------
    model : keras.Model or path
        ``Sequential`` or a chain of the functional interface, or its file, ``.keras`` or ``.h5``.
        Dropout, noise and ``Flatten`` are passed over.
    dtype : numpy.float32 or numpy.float64, optional
        By default that of the weights.

    Returns
    -------
    MLP

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For anything but a chain of dense layers, with the name of the layer.

    Notes
    -----
    Files are read by Keras in its safe mode, which runs no code that a file brings along.
    """
    _register()
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {os.fspath(path)!r}")
        try:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # of many classes
            raise ValueError(f"{os.fspath(path)!r} cannot be read by Keras: {error}") from error
    if not isinstance(model, keras.Model):
        raise TypeError(f"from_keras takes a keras.Model or a path, got {type(model).__name__}")
    layers: list[Layer] = []
    for part in model.layers:
        kind, where = type(part).__name__, f"layer {part.name!r}"
        if kind in _PASSED:
            continue
        if kind == "Dense":
            bias = np.array(part.get_weights()[1]) if part.use_bias else None
            layers.append(Layer(np.array(part.get_weights()[0]), bias, where=where))
            layers[-1].activation = _name(part.activation, where)
        elif kind in _AFTER and layers and layers[-1].activation == "identity":
            layers[-1].activation = (
                "softmax" if kind == "Softmax" else _name(getattr(part, "activation", part), where)
            )
        else:
            raise ValueError(f"the model cannot be read as a network: {where} is a {kind}")
    _check_chain(model)
    try:
        return to_network(layers, dtype)
    except ValueError as error:
        raise ValueError(f"the model cannot be read as a network: {error}") from error


def _check_chain(model: Any) -> None:
    """A layer that is used twice, or whose result goes two ways, is none of a chain."""
    if not isinstance(model, keras.Sequential):
        for part in model.layers:
            nodes = getattr(part, "_inbound_nodes", [None])
            if len(nodes) > 1 or any(n is not None and len(n.parent_nodes) > 1 for n in nodes):
                raise ValueError(
                    f"the model cannot be read as a network: layer {part.name!r} is no chain's"
                )


def _name(activation: Any, where: str) -> str:
    if getattr(activation, "__name__", "") == "softmax":
        return "softmax"

    def values(z: Array) -> Array:
        result = activation(keras.ops.convert_to_tensor(z[None], dtype="float64"))
        array: Array = np.asarray(keras.ops.convert_to_numpy(result))[0]
        return array

    found = recognise(values, 1e-5)  # some backends compute in float32
    if found is None:
        raise ValueError(
            f"the model cannot be read as a network: the activation of {where} is none of this "
            "package"
        )
    return found
