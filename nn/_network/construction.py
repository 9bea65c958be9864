"""Interprets the constructor arguments of a network."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, CustomActivation
from numpy.typing import DTypeLike

from .. import _naming
from .._inputs.numbers import count, integer
from .network import Network


def architecture(sizes: Sequence[int], activation: Any, output: str) -> Architecture:
    """Layers and activations, of one activation for all hidden layers or one for each."""
    if isinstance(sizes, str) or not isinstance(sizes, Iterable):
        raise TypeError(f"sizes must be a sequence of integers, got {sizes!r}")
    layers = tuple(integer("a layer's size", size) for size in sizes)
    if isinstance(activation, str):
        # Checked also where there is no hidden layer to apply it to.
        activation = _activation(activation)
    if isinstance(activation, str) or not isinstance(activation, Iterable):
        activation = (activation,) * max(len(layers) - 2, 0)
    if isinstance(output, str):
        output = _naming.find("output", output, kernels.OUTPUTS)
    if output == "softmax" and layers and layers[-1] == 1:
        raise ValueError(
            "softmax of a single output is always 1: for two classes use output='sigmoid' with one "
            f"output, or output='softmax' with two, got sizes {list(layers)}"
        )
    names = tuple(map(_activation, activation))
    custom = any(isinstance(name, CustomActivation) for name in names)
    return (Architecture if custom else _shared)(layers, names, output)


@functools.lru_cache(maxsize=256)
def _shared(sizes: tuple[int, ...], activations: tuple[Any, ...], output: str) -> Architecture:
    """One record for all networks that are alike."""
    return Architecture(sizes, activations, output)


def _activation(activation: Any) -> str | CustomActivation:
    """What the kernels take for an activation."""
    if isinstance(activation, str):
        return _naming.find("activation", activation, kernels.ACTIVATIONS, "fastmlp.activations")
    if isinstance(activation, CustomActivation):
        return activation
    from .. import activations

    found = activations.get(activation)
    return found if isinstance(found, CustomActivation) else found.name


def float_type(dtype: DTypeLike) -> np.dtype[Any]:
    """One of the two that everything can be computed in."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be float32 or float64, got {dtype!r}") from None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {found}")
    return found


def generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    """The network's own; a given one is not copied."""
    if random_state is None or isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state)
    if isinstance(random_state, bool) or not isinstance(random_state, (int, np.integer)):
        raise TypeError(
            "random_state must be an integer, a numpy.random.Generator or None, "
            f"got {type(random_state).__name__}"
        )
    return np.random.default_rng(count("random_state", random_state, 0))


def initialise(network: Network, init: Any) -> None:
    """Write the first weights and biases into the network, whose parameters are zero."""
    from .. import initializers

    start = initializers.of_layers(init, network.architecture)
    layers = network.architecture.views(network.parameters)
    for initializer, w, b in zip(start, *layers, strict=True):
        if isinstance(initializer, initializers.Initializer):
            w[...] = initializer.draw(network._generator, *w.shape)
        else:
            w[...], b[...] = initializer
