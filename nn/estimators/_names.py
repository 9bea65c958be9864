"""The estimators' way to the kernels: names, and the backend that an estimator asks for."""

from __future__ import annotations

import functools
from typing import Any

from fastmlp.kernels import Architecture, _chooser

from .. import activations as _activations

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


def backend(name: str | None) -> Any:
    """The module of the backend of this name, or of the live one for ``None``."""
    return _chooser.active() if name is None else _module(name)


@functools.cache
def _module(name: str) -> Any:
    return _chooser._load(name)


def network(estimator: Any, architecture: Architecture, dtype: Any) -> Any:
    """A network object on the estimator's backend."""
    module = backend(estimator.backend)
    return module.Network(architecture, dtype, n_threads=estimator.n_threads)


def trainer(
    name: str | None, architecture: Architecture, dtype: Any, loss: Any, rule: Any, **options: Any
) -> Any:
    """A trainer on the backend of this name."""
    trainer: Any = backend(name).Trainer(architecture, dtype, loss, rule, **options)
    return trainer
