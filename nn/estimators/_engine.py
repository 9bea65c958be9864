"""The estimators' way to the kernels: names, and the backend that an estimator asks for."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, _chooser, _support

from .. import activations as _activations

Array = np.ndarray[Any, Any]

#: The estimators' names of output activations, and the engine's.
OUTPUTS = {"identity": "identity", "logistic": "sigmoid", "softmax": "softmax", "exp": "exp"}


def activation_name(activation: Any) -> Any:
    """The engine's name of a hidden activation, or a custom one itself.

    scikit-learn says logistic for sigmoid.
    """
    if isinstance(activation, str):
        return "sigmoid" if activation == "logistic" else activation
    return activation.name if isinstance(activation, _activations.Activation) else activation


def activations(activation: Any, layers: int) -> tuple[Any, ...]:
    """One activation for each hidden layer, from one name for all or one for each."""
    if isinstance(activation, (list, tuple)):
        if len(activation) != layers:
            raise ValueError(
                f"activation must be one name or one for each of the {layers} hidden layers, "
                f"got {activation!r}"
            )
        return tuple(activation_name(name) for name in activation)
    return (activation_name(activation),) * layers


def backend(name: str | None, *wanted: Any) -> Any:
    """The module of the backend of this name, or of the live one for ``None``.

    Where the live one lacks something of ``wanted`` (names, architecture, loss, update rule), the
    next one that has it all takes its place: whatever scikit-learn computes works everywhere.
    """
    if name is not None:
        return _module(name)
    live = _chooser.active()
    features = {feature for value in wanted for feature in _support.features_of(value)}
    features &= _support.FEATURES
    if all(kernels.supports(name) for name in features):
        return live
    for other in _chooser.available():
        if all(kernels.supports(name, other) for name in features):
            return _module(other)
    return live  # which says what it lacks


@functools.cache
def _module(name: str) -> Any:
    return _chooser._load(name)


def network(estimator: Any, architecture: Architecture, dtype: Any, *wanted: Any) -> Any:
    """A network object for an estimator; ``wanted`` are more features, see :func:`backend`."""
    module = backend(estimator.backend, architecture, *wanted)
    return module.Network(architecture, dtype, n_threads=estimator.n_threads)


def trainer(
    place: tuple[str | None, int | None],
    architecture: Architecture,
    dtype: Any,
    loss: Any,
    rule: Any,
    *wanted: Any,
    **options: Any,
) -> Any:
    """A trainer on ``place``, a backend and a number of threads."""
    name, n_threads = place
    given = {name: value for name, value in options.items() if not _is_off(value)}
    module = backend(name, architecture, loss, rule, *given, *wanted)
    return module.Trainer(architecture, dtype, loss, rule, n_threads=n_threads, **given)


def _is_off(value: Any) -> bool:
    return not any(value) if isinstance(value, Iterable) else not value
