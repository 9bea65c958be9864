"""What every importer ends in: a chain of dense layers, which becomes a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastmlp.kernels import ACTIVATIONS, OUTPUTS, Architecture, activate

from .._network import construction
from .._typing import Array

#: Parameters that a model from a file may have: 1 GiB of float32.
MOST_PARAMETERS = 2**28


@dataclass
class Layer:
    """One dense layer and what follows it.

    Attributes
    ----------
    weights : (n_in, n_out) array
    bias : (n_out,) array or None
    activation : str
        A name of this package.
    where : str
        What it is called where it comes from, for messages.
    """

    weights: Array
    bias: Array | None
    activation: str = "identity"
    where: str = ""


def to_network(layers: Sequence[Layer], dtype: Any = None) -> Any:
    """The network of a chain.

    Parameters
    ----------
    layers : sequence of Layer
    dtype : numpy.float32 or numpy.float64, optional
        By default float64 where any array is, else float32.

    Raises
    ------
    ValueError
        Where layers do not fit each other, or the last activation is none of an output layer.
    """
    if not layers:
        raise ValueError("a network needs at least one dense layer, found none")
    sizes = [layers[0].weights.shape[0]]
    for layer in layers:
        n_in, n_out = layer.weights.shape
        if n_in != sizes[-1]:
            raise ValueError(f"{layer.where} takes {n_in} values, but {sizes[-1]} come in")
        if layer.bias is not None and layer.bias.shape != (n_out,):
            raise ValueError(
                f"the bias of {layer.where} must have shape ({n_out},), got {layer.bias.shape}"
            )
        sizes.append(n_out)
    for layer in layers[:-1]:
        if layer.activation not in ACTIVATIONS:
            raise ValueError(
                f"{layer.activation!r} after {layer.where} is no activation of a hidden layer: "
                f"those are {ACTIVATIONS}"
            )
    last = layers[-1]
    if last.activation not in OUTPUTS:
        raise ValueError(
            f"{last.activation!r} after {last.where} is no activation of an output layer: those "
            f"are {OUTPUTS}"
        )
    if dtype is None:
        wide = any(layer.weights.dtype == np.float64 for layer in layers)
        dtype = np.float64 if wide else np.float32
    hidden = [layer.activation for layer in layers[:-1]]
    architecture = construction.architecture(sizes, hidden, last.activation)
    weights = [layer.weights for layer in layers]
    biases = [
        np.zeros(layer.weights.shape[1]) if layer.bias is None else layer.bias for layer in layers
    ]
    return _network(architecture, weights, biases, construction.float_type(dtype))


def of_estimator(model: Any) -> Any:
    """The network of a fitted estimator, with copies of its parameters."""
    flat = model._packed()
    return _network(model._architecture(), model.coefs_, model.intercepts_, flat.dtype)


def _network(architecture: Architecture, weights: Any, biases: Any, dtype: Any) -> Any:
    from ..mlp import MLP

    net = MLP.__new__(MLP)
    parameters = architecture.zeros(dtype)
    net._setup(architecture, parameters, construction.generator(None), None)
    net.weights, net.biases = weights, biases
    return net


#: Where activations are compared: about 0, in the bends, and far out.
_GRID = np.concatenate(
    [np.linspace(-6, 6, 241), [-40.0, -25.0, -15.0, -9.0, 9.0, 15.0, 25.0, 40.0]]
)


def recognise(function: Callable[[Array], Array], tolerance: float = 2e-6) -> str | None:
    """The activation that a function equals on a grid of values, or ``None``.

    Parameters
    ----------
    function : callable
        From a float64 array to one of its shape.
    tolerance : float
        Largest difference, relative where values are above 1. Two activations of this package
        differ by 4e-4 at least, GELU and its form with tanh.
    """
    with np.errstate(all="ignore"):
        found = np.asarray(function(_GRID.copy()), np.float64)
    if found.shape != _GRID.shape:
        return None
    for name in (*ACTIVATIONS, "exp"):
        known = activate(_GRID[None], name)[0]
        bound = tolerance * np.maximum(1.0, np.abs(known))
        if np.all(np.abs(found - known) <= bound):
            return name
    return None
