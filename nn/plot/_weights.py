"""Weights as images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._inputs.numbers import count
from . import _models, _style


def weight_images(
    network: Any,
    shape: tuple[int, int] | None = None,
    *,
    layer: int = 0,
    n_images: int = 40,
    ax: _style.Axes | None = None,
) -> _style.Axes:
    """Draw the incoming weights of each neuron of a layer as an image, most active ones first.

    All images have one scale: blue is negative, white zero, red positive. The neurons with the
    largest weights (Euclidean norm) come first.

    Parameters
    ----------
    network : MLP, or fitted estimator
        What has been trained.
    shape : (height, width), optional
        Of an image; by default a square.
    layer : int, default 0
        Which layer's neurons, from 0.
    n_images : int, default 40
        Neurons to draw at most.
    ax : matplotlib.axes.Axes, optional
        Draw here; by default in a new figure.

    Returns
    -------
    Axes
        With the drawing.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    ValueError
        Where there is no such layer, or its inputs do not fill such an image.

    Examples
    --------
    >>> from fastmlp import MLP, plot
    >>> net = MLP([64, 8, 10], random_state=0)
    >>> axes = plot.weight_images(net, (8, 8))
    """
    count("n_images", n_images, 1)
    network = _models.subject(network).network
    if count("layer", layer, 0) >= len(network.weights):
        raise ValueError(f"layer must lie in 0…{len(network.weights) - 1}, got {layer}")
    weights = np.asarray(network.weights[layer], np.float64)
    n_in, n_out = weights.shape
    if shape is None:
        side = math.isqrt(n_in)
        shape = side, side
    height, width = (count("shape", side, 1) for side in shape)
    if height * width != n_in:
        raise ValueError(
            f"{n_in} inputs do not fill images of {height} × {width}; give shape=(height, width)"
        )
    order = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")[:n_images]
    columns = _columns(len(order))
    rows = math.ceil(len(order) / columns)
    gap = 1 if max(shape) <= 16 else 2
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for place, neuron in enumerate(order):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        canvas[top : top + height, left : left + width] = weights[:, neuron].reshape(shape)
    ratio = canvas.shape[0] / canvas.shape[1]
    ax = _style.axes(ax, (8.0, 8.0 * ratio * 0.86 + 0.5))
    # One outlier would make all other images pale.
    limit = float(np.quantile(np.abs(weights[:, order]), 0.995)) or 1.0
    image = ax.imshow(canvas, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_axis_off()
    shown = f"{len(order)} of {n_out}" if len(order) < n_out else f"{n_out}"
    _style.entitle(ax, f"weights of layer {layer + 1}, {shown} neurons")
    _style.colour_bar(ax, image, "weight", shrink=0.8)
    return ax


def _columns(n: int) -> int:
    """About twice as many columns as rows, at most 10, with few places left over."""
    wanted = min(10, math.ceil(math.sqrt(2 * n)))
    return min(range(wanted, min(n, 10) + 1), key=lambda columns: -n % columns)
