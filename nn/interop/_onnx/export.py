"""Networks and estimators as ONNX models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp.kernels import Architecture

from ... import _files
from ..._typing import Array
from . import activations
from .writer import OnnxGraph, Value, opset_of

#: What a network's model can put out: the methods of the same name.
NETWORK_OUTPUTS = ("predict", "scores", "log_probabilities", "predict_classes", "predict_labels")


def layers(x: Value, architecture: Architecture, weights: Any, biases: Any) -> Value:
    """The scores of a network: all but the output layer's activation."""
    graph, last = x.graph, len(architecture.activations)
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        matrix = graph.constant(np.ascontiguousarray(w, graph.dtype), f"weights.{i}")
        bias = graph.constant(np.ascontiguousarray(b, graph.dtype), f"biases.{i}")
        x = graph.node("Gemm", x, matrix, bias)
        if i < last:
            x = activations.apply(x, architecture.activations[i])
    return x


def network(
    net: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int | None = None,
    output: str | Sequence[str] = "predict",
) -> Any:
    """See :meth:`fastmlp.MLP.to_onnx`."""
    names = (output,) if isinstance(output, str) else tuple(output)
    _check_outputs(names, net.architecture)
    graph = OnnxGraph(net.dtype, opset_of(opset))
    x = graph.value(graph.unique("X"))
    z = layers(x, net.architecture, net.weights, net.biases)
    n_out = net.architecture.sizes[-1]
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for name in names:
        found = _network_output(z, net.architecture.output, n_out, name)
        found.apply("Identity", name=name)
        whole = name in ("predict_classes", "predict_labels")
        shape = () if name == "predict_classes" else (n_out,)
        shapes[name] = (np.int64 if whole else net.dtype, shape)
    model = graph.model({x.name: net.architecture.sizes[0]}, shapes)
    _write(model, path)
    return model


def _write(model: Any, path: str | os.PathLike[str] | None) -> None:
    """Write a model's bytes, all of them or nothing."""
    if path is not None:
        _files.write(path, model.SerializeToString())


def _check_outputs(names: tuple[str, ...], architecture: Architecture) -> None:
    for name in names:
        if name not in NETWORK_OUTPUTS:
            raise ValueError(f"output must be one of {NETWORK_OUTPUTS}, or several, got {name!r}")
        if name == "log_probabilities" and architecture.output not in ("softmax", "sigmoid"):
            raise ValueError(
                f"probabilities need output 'softmax' or 'sigmoid', got {architecture.output!r}"
            )
    if not names or len(set(names)) != len(names):
        raise ValueError(f"output must name different outputs, got {names}")


def _network_output(z: Value, output: str, n_out: int, name: str) -> Value:
    if name == "scores":
        return z
    if name == "log_probabilities":
        return z.apply("LogSoftmax", axis=1) if output == "softmax" else -softplus(-z)
    a = activations.apply(z, output)
    if name == "predict":
        return a
    bound = 0.5 if output in ("sigmoid", "softmax") else 0.0
    if name == "predict_labels" or n_out == 1:
        return reaches(a, bound, n_out, flat=name == "predict_classes")
    return a.apply("ArgMax", axis=1, keepdims=0)


def softplus(z: Value) -> Value:
    """``log(1 + exp(z))``."""
    return activations.apply(z, "softplus")


def reaches(a: Value, bound: float, n_out: int, flat: bool) -> Value:
    """1 where an output is not below a bound, else 0, as integers."""
    graph = a.graph
    # NaN reaches no bound: `Not(Less)` would say it does.
    at_least = a.apply(
        "Greater", float(np.nextafter(graph.dtype.type(bound), graph.dtype.type(-1)))
    )
    whole = at_least.apply("Cast", to=7)
    return whole.apply("Reshape", np.array([-1], np.int64)) if flat and n_out == 1 else whole


# Estimators


def estimator(
    model: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int | None = None,
) -> Any:
    """See :meth:`fastmlp.MLPClassifier.to_onnx`."""
    if not hasattr(model, "coefs_"):
        raise ValueError(f"to_onnx needs a fitted {type(model).__name__}: call fit before")
    flat = model._packed()
    graph = OnnxGraph(flat.dtype, opset_of(opset))
    x = graph.value(graph.unique("X"))
    if hasattr(model, "classes_"):
        label, values = classifier(x, model)
        text = class_array(model.classes_)
        kind = str if text.dtype.kind in "OU" else text.dtype
        labels = model._labels()
        many = labels.y_type_ == "multilabel-indicator"
        n = values_width(model)
        second = value_name(model)
        label.apply("Identity", name="label")
        values.apply("Identity", name=second)
        shapes = {"label": (np.dtype(np.int64), (n,)) if many else (kind, ())}
        shapes[second] = (graph.dtype, (n,))
    else:
        scores(x, model).apply("Identity", name="variable")
        shapes = {"variable": (graph.dtype, (len(model.intercepts_[-1]),))}
    made = graph.model({x.name: model.n_features_in_}, shapes)
    _write(made, path)
    return made


def scores(x: Value, model: Any, raw: bool = False) -> Value:
    """Values of an estimator's output layer, or those before its activation."""
    architecture = model._architecture()
    z = layers(x, architecture, model.coefs_, model.intercepts_)
    return z if raw else activations.apply(z, architecture.output)


def value_name(model: Any) -> str:
    """What the second output of a classifier is: probabilities or margins."""
    return "scores" if model.out_activation_ == "identity" else "probabilities"


def values_width(model: Any) -> int:
    """Columns of the second output."""
    n = len(model.intercepts_[-1])
    return 2 if n == 1 and value_name(model) == "probabilities" else n


def classifier(x: Value, model: Any, raw: bool = False) -> tuple[Value, Value]:
    """Labels and probabilities (margins where the loss has none; with ``raw`` the scores)."""
    graph = x.graph
    z = scores(x, model, raw=True)
    a = activations.apply(z, model._architecture().output)
    labels, n = model._labels(), len(model.intercepts_[-1])
    bound = 0.0 if model.out_activation_ == "identity" else 0.5
    if labels.y_type_ == "multilabel-indicator":
        label = a.apply("Greater", bound).apply("Cast", to=7)
    else:
        classes = graph.constant(class_array(model.classes_), "classes")
        if n > 1:
            position = a.apply("ArgMax", axis=1, keepdims=0)
        else:
            position = a.apply("Greater", bound).apply("Cast", to=7)
            position = position.apply("Reshape", np.array([-1], np.int64))
            if len(model.classes_) == 1:  # there is nothing else to predict
                position = position.apply("Mul", np.array(0, np.int64))
        label = graph.node("Gather", classes, position, axis=0)
    if raw:
        return label, z
    if n == 1 and bound:
        a = graph.node("Concat", 1.0 - a, a, axis=1)
    return label, a


def class_array(classes: Any) -> Array:
    """Classes as ONNX holds them: numbers, truth values, or else their text."""
    array = np.asarray(classes)
    if array.dtype.kind == "O":
        kinds = {type(c) for c in array.tolist()}
        if kinds <= {bool}:
            array = array.astype(bool)
        elif kinds <= {int} and all(-(2**63) <= c < 2**63 for c in array.tolist()):
            array = array.astype(np.int64)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind == "i" or (array.dtype.kind == "u" and array.max(initial=0) < 2**63):
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        return array.astype(array.dtype.newbyteorder("="))
    text = array.tolist() if array.dtype.kind != "M" else array.astype(str).tolist()
    decoded = [c.decode() if isinstance(c, bytes) else str(c) for c in text]
    return np.array(decoded, dtype=object)
