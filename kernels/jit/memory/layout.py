"""Where weights, activations and errors of each layer lie: offsets, then addresses.

A store holds parameters, a gradient or a vector of state: for every layer its weights, in panels,
then its bias (``records``). Everything else of a layer belongs to a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..vector.host import LINE
from .arena import Arena, ceil
from .records import Layer

#: The offset of what a layer does not have.
NOWHERE = -1


def make_layers(sizes: Sequence[int], itemsize: int) -> Any:
    """An array of :class:`Layer` with their shapes."""
    panel = LINE // itemsize
    layers = (Layer * (len(sizes) - 1))()
    for layer, (n_in, n_out) in zip(layers, pairwise(sizes), strict=True):
        layer.n_in, layer.n_out = n_in, n_out
        layer.panels_in, layer.panels_out = ceil(n_in, panel), ceil(n_out, panel)
    return layers


def lay_out_store(layers: Any, itemsize: int) -> int:
    """Offsets of weights and biases in a store and in a flat vector; the bytes of a store."""
    store, flat, panel = Arena(), 0, LINE // itemsize
    for layer in layers:
        layer.weight_step_bytes = layer.panels_in * panel * LINE
        layer.transposed_step_bytes = layer.panels_out * panel * LINE
        layer.weights_bytes = store.take(layer.panels_out * layer.weight_step_bytes)
        layer.bias_bytes = store.take(layer.panels_out * LINE)
        layer.flat_weights_bytes = flat
        flat += layer.n_in * layer.n_out * itemsize
    for layer in layers:
        layer.flat_bias_bytes = flat
        flat += layer.n_out * itemsize
    return store.size


def lay_out_batch(layers: Any, arena: Arena, row_step_bytes: int, with_errors: bool) -> None:
    """Reserve memory for activations, for slopes where ``slope`` is not :data:`NOWHERE`, and
    ``with_errors`` for errors and transposed weights."""
    a = arena.take(layers[0].panels_in * row_step_bytes)
    for level, layer in enumerate(layers):
        layer.a = a
        layer.z = layer.kept = a = arena.take(layer.panels_out * row_step_bytes)
        if layer.slope != NOWHERE:
            layer.slope = layer.kept = arena.take(layer.panels_out * row_step_bytes)
        layer.d = layer.transposed = NOWHERE
        if with_errors:
            layer.d = arena.take(layer.panels_out * row_step_bytes)
            if level:
                layer.transposed = arena.take(layer.panels_in * layer.transposed_step_bytes)


def to_addresses(layers: Any, base: int) -> None:
    """Turn the offsets of a batch into addresses, 0 for what is not there."""
    for layer in layers:
        for name in ("a", "z", "d", "transposed", "slope", "kept"):
            offset = getattr(layer, name)
            setattr(layer, name, 0 if offset == NOWHERE else base + offset)
