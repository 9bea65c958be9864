"""Estimators in files: a network's file with parameters, classes and fitted attributes beside it.

The file is what ``MLP.save`` writes, with one more entry of metadata: JSON that holds numbers,
text, lists, arrays of classes, and objects of this package by their names. Nothing in it can run
code. The optimizer's state is not in it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
from typing import Any

import numpy as np
from fastmlp.kernels import CustomActivation

from .. import serialization
from .._files import shown
from .._typing import Array
from ..interop._chain import of_estimator
from ._labels import MULTILABEL, LabelCodes
from ._sklearn.parameters import check_parameters

#: Entry of a file's metadata.
ENTRY = "fastmlp.estimator"
FORMAT_VERSION = 1
#: Modules whose objects may be parameters, and are written by their names.
_MODULES = ("losses", "optimizers", "schedules", "stopping", "initializers", "activations")
#: Fitted attributes of every estimator that has them, and what they must be.
_FITTED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("n_iter_", "n_layers_", "n_outputs_", "t_", "_no_improvement_count"), (int,)),
    **dict.fromkeys(("loss_", "best_loss_", "best_validation_score_"), (float, int, type(None))),
    **dict.fromkeys(("out_activation_", "stop_reason_"), (str,)),
    **dict.fromkeys(("loss_curve_", "validation_scores_"), (list, type(None))),
    **dict.fromkeys(("validation_loss_curve_", "learning_rate_curve_"), (list, type(None))),
}
_NAMES = "feature_names_in_"


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """See :meth:`fastmlp.MLPClassifier.save`."""
    if not hasattr(estimator, "coefs_"):
        raise ValueError(f"save needs a fitted {type(estimator).__name__}: call fit before")
    entry: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "class": _kind(type(estimator)),
        "parameters": {
            name: _encode(name, value) for name, value in estimator.get_params(deep=False).items()
        },
        "fitted": {
            name: _encode(name, vars(estimator)[name])
            for name in _FITTED
            if name in vars(estimator)
        },
    }
    if hasattr(estimator, "classes_"):
        labels = estimator._labels()
        entry["classes"] = _encode("classes_", np.asarray(labels.classes_))
        entry["labels"] = labels.y_type_
        entry["sparse"] = bool(getattr(labels, "sparse_input_", False))
    if _NAMES in vars(estimator):
        entry["features"] = _encode(_NAMES, np.asarray(estimator.feature_names_in_))
    serialization.save(of_estimator(estimator), path, {ENTRY: json.dumps(entry)})


def load(cls: type, path: str | os.PathLike[str]) -> Any:
    """See :meth:`fastmlp.MLPClassifier.load`."""
    stored = serialization.read(path)
    try:
        return _made(cls, stored)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        text = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{shown(path)} is not a fastmlp estimator: {text[:300]}") from error


def _kind(cls: type) -> str:
    """The public name of an estimator or a subclass of it."""
    for base in cls.__mro__:
        if base.__module__.startswith(f"{__package__}."):
            return base.__name__
    raise TypeError(f"{cls.__name__} is no estimator of this package")


def _made(cls: type, stored: serialization.StoredNetwork) -> Any:
    if ENTRY not in stored.metadata:
        raise ValueError("it holds a network alone: MLP.load reads it")
    entry = json.loads(stored.metadata[ENTRY])
    if not isinstance(entry, dict) or entry.get("version") != FORMAT_VERSION:
        raise ValueError(f"this version of fastmlp reads version {FORMAT_VERSION} of estimators")
    if entry["class"] != _kind(cls):
        raise ValueError(f"it holds a {str(entry['class'])[:40]}, not a {_kind(cls)}")
    known = set(inspect.signature(cls).parameters)
    parameters = {name: _decode(value) for name, value in entry["parameters"].items()}
    if unknown := sorted(set(parameters) - known):
        raise ValueError(f"{_kind(cls)} has no parameter {unknown[0][:40]!r}")
    estimator = cls(**parameters)
    check_parameters(estimator)
    for name, value in entry["fitted"].items():
        found = _decode(value)
        if not isinstance(found, _FITTED.get(name, ())) or isinstance(found, bool):
            raise ValueError(f"{name[:40]} must not be {str(found)[:40]!r}")
        if isinstance(found, list) and not all(isinstance(v, (int, float)) for v in found):
            raise ValueError(f"{name} must hold numbers")
        setattr(estimator, name, found)
    sizes = stored.architecture.sizes
    estimator.n_features_in_ = sizes[0]
    layers = range(len(sizes) - 1)
    estimator.coefs_ = [stored.tensors[f"weights.{i}"] for i in layers]
    estimator.intercepts_ = [stored.tensors[f"biases.{i}"] for i in layers]
    if estimator._architecture() != stored.architecture:
        raise ValueError("its parameters and its network do not fit each other")
    if "features" in entry:
        names = _decode(entry["features"])
        if np.shape(names) != (sizes[0],):
            raise ValueError(f"it must name {sizes[0]} features, got shape {np.shape(names)}")
        estimator.feature_names_in_ = names.astype(object)
    if hasattr(cls, "predict_proba"):
        _set_labels(estimator, entry, sizes[-1])
    estimator._adopt(estimator._packed())
    return estimator


def _set_labels(estimator: Any, entry: dict[str, Any], n_out: int) -> None:
    classes = _decode(entry["classes"])
    kinds = ("binary", "multiclass", MULTILABEL)
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or entry["labels"] not in kinds:
        raise ValueError("its classes must be an array and a kind of labels")
    wanted = {"multiclass": (n_out,), MULTILABEL: (n_out,)}.get(entry["labels"], (1, 2))
    if len(classes) not in wanted or n_out > max(wanted):
        raise ValueError(f"{n_out} outputs do not fit {len(classes)} classes")
    estimator.classes_ = classes
    estimator._label_binarizer = LabelCodes(classes, entry["labels"], bool(entry["sparse"]))


# Values as JSON


def _encode(name: str, value: Any) -> Any:
    """A parameter's or attribute's value as JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_encode(name, item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(name, item) for item in value]}
    if isinstance(value, dict):
        pairs = [[_encode(name, k), _encode(name, v)] for k, v in value.items()]
        return {"dict": pairs}
    if isinstance(value, np.ndarray) and (encoded := _encode_array(value)) is not None:
        return encoded
    if isinstance(value, np.dtype) or value in (np.float32, np.float64):
        return {"dtype": np.dtype(value).name}
    if isinstance(value, CustomActivation):
        return {"activation": serialization._name(value)}
    module = type(value).__module__.removeprefix("fastmlp.").split(".")[0]
    if _class_of(module, type(value).__name__) is type(value):
        options = (o for o in inspect.signature(type(value)).parameters if hasattr(value, o))
        fields = {option: _encode(name, getattr(value, option)) for option in options}
        return {"object": [module, type(value).__name__], "fields": fields}
    raise ValueError(
        f"{name} cannot be saved: {type(value).__name__} is neither data nor an object of this "
        "package; set it to its default before, or use pickle among those you trust"
    )


def _encode_array(value: Array) -> dict[str, Any] | None:
    kind = value.dtype.kind
    items = value.ravel().tolist()
    if kind == "O" and all(isinstance(item, str) for item in items):
        kind = "U"
    if kind not in "biufU":
        return None
    return {"array": items, "shape": list(value.shape), "kind": str(value.dtype)}


def _decode(value: Any) -> Any:
    """What :func:`_encode` has written; ``ValueError`` for anything else."""
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"tuple"}:
        return tuple(_decode(item) for item in value["tuple"])
    if set(value) == {"dict"}:
        return {_decode(key): _decode(item) for key, item in value["dict"]}
    if set(value) == {"array", "shape", "kind"}:
        return _decode_array(value)
    if set(value) == {"dtype"} and value["dtype"] in ("float32", "float64"):
        return np.dtype(value["dtype"])
    if set(value) == {"activation"}:
        return serialization._activation(value["activation"])
    if set(value) == {"object", "fields"}:
        found = _class_of(*value["object"])
        if found is None:
            raise ValueError(f"there is no object {str(value['object'])[:60]}")
        return found(**{str(k): _decode(v) for k, v in value["fields"].items()})
    raise ValueError(f"a value with the keys {str(sorted(value))[:60]} is not understood")


def _decode_array(value: dict[str, Any]) -> Array:
    kind, items = str(value["kind"]), value["array"]
    text = kind.startswith(("<U", ">U", "object"))
    if not isinstance(items, list) or any(isinstance(item, str) != text for item in items):
        raise ValueError(f"an array of {kind[:20]} must hold such values")
    if not text and kind.lstrip("<>=|") not in _NUMBERS:
        raise ValueError(f"an array must be of numbers or text, got {kind[:20]}")
    dtype = np.dtype(object if kind == "object" else np.str_ if text else kind)
    array = np.array(items, dtype)
    return array.reshape([int(n) for n in value["shape"]])


_NUMBERS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8"),
)


def _class_of(module: Any, name: Any) -> type | None:
    """A public class of this package, or ``None``: the only ones that a file can name."""
    if module not in _MODULES or not isinstance(name, str):
        return None
    offered = importlib.import_module(f"..{module}", __package__)
    found = getattr(offered, name, None) if name in offered.__all__ else None
    public = isinstance(found, type) and found.__module__.startswith(f"fastmlp.{module}")
    return found if public else None
