"""The loss over a plane through parameter space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._inputs.numbers import count, number
from .._typing import Array
from ..callbacks import ParameterPath
from . import _models, _style
from ._planes import Plane, choose, span_of

if TYPE_CHECKING:
    from ..mlp import MLP


def loss_surface(
    network: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    loss: Any = None,
    directions: Any = "random",
    path: ParameterPath | Sequence[ArrayLike] | None = None,
    span: float | None = None,
    resolution: int = 61,
    levels: int = 18,
    gradients: int = 6,
    filled: bool = True,
    random_state: int | None = 0,
    ax: _style.Axes | None = None,
) -> _style.Axes:
    """Draw contours of the loss over two parameters or directions, and a descent on them.

    The plane goes through the network's present parameters (the end of the path). Both axes have
    one scale, so the gradient, drawn as arrows towards lower loss, is orthogonal to the contours.

    Parameters
    ----------
    network : MLP, or fitted estimator
        What has been trained; it is not changed.
    X, y, loss : arrays, and a loss
        As in ``MLP.loss``; for an estimator as in its ``fit``, with the loss that it was fitted
        for, without the penalty.
    directions : str, pair of int, or pair of (n_parameters,) arrays, default "random"
        ``"random"``: two random directions, each neuron's weights scaled to the length of the
        network's own (filter normalisation); ``"path"``: the two in which the path is longest (its
        principal components); two numbers: parameters by their place in ``network.parameters``.
    path : ParameterPath, or list of (n_parameters,) arrays, optional
        Points of a descent, drawn where they fall on the plane.
    span : float, optional
        Half the width of the picture, in units of the directions; by default around the path.
    resolution : int, default 61
        Points along each axis.
    levels : int, default 18
        Contours.
    gradients : int, default 6
        Arrows along the path at most.
    filled : bool, default True
        Colour the space between contours; ``False`` draws grey lines, on which several paths can
        be told apart.
    random_state : int, default 0
        Of random directions.
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
        Where directions and path do not fit the network.

    References
    ----------
    H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of neural
    nets", NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, plot
    >>> X = np.linspace(0, 1, 20)[:, None]
    >>> net = MLP([1, 1], random_state=0)
    >>> ax = plot.loss_surface(net, X, X, directions=(0, 1), span=1.0, resolution=11)
    >>> ax.figure.savefig("surface.png")
    """
    count("resolution", resolution, 2)
    count("levels", levels, 1)
    count("gradients", gradients, 0)
    if span is not None and not 0 < number("span", span) < math.inf:
        raise ValueError(f"span must be positive and finite, got {span}")
    model = _models.subject(network)
    network, y = model.network, model.target(y)
    loss = model.loss if loss is None else loss
    points = None if path is None else _points(path, network.parameters.size)
    ax = _style.axes(ax, (6.8, 5.8))
    plane = choose(network, directions, points, random_state)
    placed = None if points is None else plane.coordinates(points)
    (a_low, a_high), (b_low, b_high) = span_of(plane, placed, span)
    a, b = np.linspace(a_low, a_high, resolution), np.linspace(b_low, b_high, resolution)
    values = plane.losses(network, X, y, loss, a, b)
    edges = _levels(values, levels)
    if filled:
        colours = ax.contourf(a, b, values, edges, cmap="YlGnBu_r", extend="both", alpha=0.85)
        _style.colour_bar(ax, colours, "loss")
    lines, width = ("white", 0.7) if filled else ("#B8C4CE", 1.0)
    ax.contour(a, b, values, edges, colors=lines, linewidths=width)
    if placed is not None:
        if gradients:
            _arrows(ax, network, X, y, loss, plane, placed, gradients, a_high - a_low)
        _path(ax, placed)
    _style.dress_plane(ax, plane.labels, (a_low, a_high), (b_low, b_high))
    ax.set_aspect("equal")
    return ax


def _points(path: ParameterPath | Sequence[ArrayLike], size: int) -> Array:
    """Points of a path, ``(n, size)``, checked."""
    given: Any = getattr(path, "points", path)
    points = [np.asarray(p, np.float64) for p in given]
    if not points or any(p.shape != (size,) for p in points):
        shapes = sorted({p.shape for p in points})
        raise ValueError(
            f"path must hold vectors of {size} parameters, got {len(points)} of shape {shapes}"
        )
    return np.stack(points)


def _levels(values: Array, n: int) -> Array:
    """Bounds that are dense near the lowest loss, where the contours tell most."""
    finite = values[np.isfinite(values)]
    if not finite.size or np.ptp(finite) == 0:
        raise ValueError("the loss does not vary on this plane, or is not finite")
    low, high = float(finite.min()), float(np.quantile(finite, 0.97))
    found: Array = low + (high - low) * np.linspace(0, 1, n + 1)[1:] ** 2
    return found


def _arrows(
    ax: _style.Axes,
    network: MLP,
    X: ArrayLike,
    y: ArrayLike,
    loss: Any,
    plane: Plane,
    placed: Array,
    count: int,
    width: float,
) -> None:
    """Directions of steepest descent on the plane, at points spread evenly along the path."""
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(placed, axis=0), axis=1))]
    where = np.unique(np.searchsorted(lengths, np.linspace(0, 0.85, count) * lengths[-1]))
    starts = placed[where]
    slopes = np.array([plane.gradient(network, X, y, loss, point) for point in starts])
    sizes = np.linalg.norm(slopes, axis=1)
    keep = sizes > 1e-12 * max(sizes.max(), 1e-300)
    arrows = -slopes[keep] / sizes[keep, None] * 0.075 * width
    ax.quiver(
        *starts[keep].T,
        *arrows.T,
        angles="xy",
        scale_units="xy",
        scale=1,
        color="#FFD84D",
        edgecolor=_style.INK,
        linewidth=0.5,
        width=0.006,
        zorder=4,
        label="$-\\nabla C$",
    )


def _path(ax: _style.Axes, placed: Array) -> None:
    marker = "o" if len(placed) <= 60 else None
    ax.plot(*placed.T, color="#FFFFFF", lw=3.4, zorder=2, solid_capstyle="round")
    ax.plot(
        *placed.T,
        color=_style.COLOURS[1],
        lw=1.7,
        marker=marker,
        ms=3,
        zorder=3,
        label="descent",
        solid_capstyle="round",
    )
    for point, face, name in ((placed[0], "white", "start"), (placed[-1], _style.INK, "end")):
        ax.plot(
            *point, "o", ms=8, color=face, mec=_style.INK, mew=1.4, zorder=5, ls="none", label=name
        )
    ax.legend(
        loc="upper right", frameon=True, framealpha=0.85, edgecolor="none", labelcolor=_style.INK
    )
