"""Decision regions of networks with two inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._inputs import arrays
from .._inputs.numbers import count
from .._network import decisions
from . import _models, _style


def decision_regions(
    network: Any,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    labels: tuple[str, ...] | None = None,
    feature_names: tuple[str, str] = ("$x_1$", "$x_2$"),
    resolution: int = 240,
    ax: _style.Axes | None = None,
) -> _style.Axes:
    """Draw which class the network chooses where, and the rows.

    A colour is the paler, the less sure the network is: the share of its class's probability above
    that of a guess (of outputs that are no probabilities, regions have one shade).

    Parameters
    ----------
    network : MLP, or fitted classifier
        With two inputs.
    X : (n, 2) array-like
        Rows, which also set the part of the plane that is drawn.
    y : (n,) array-like of classes, or one-hot rows, optional
        Colours of the rows. For a classifier, its labels.
    labels : tuple of str, optional
        Names of the classes, for the legend; by default those of a classifier.
    feature_names : (str, str)
        What stands at the axes.
    resolution : int, default 240
        Points along each axis.
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
        For another number of inputs, infinite rows, or ``y`` or ``labels`` that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, plot
    >>> X, y = np.array([[0.0, 0.0], [1.0, 1.0]]), [0, 1]
    >>> net = MLP([2, 4, 2], output="softmax", random_state=0)
    >>> ax = plot.decision_regions(net, X, y)
    >>> ax.figure.savefig("regions.png")
    """
    model = _models.subject(network)
    network = model.network
    x = _models.rows(X)
    if network.architecture.sizes[0] != 2 or x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(
            f"decision regions need two inputs, got X of shape {x.shape} and a network with "
            f"{network.architecture.sizes[0]}"
        )
    if not len(x):
        raise ValueError("X has no rows")
    arrays.finite(x, "X")
    n_classes = max(network.architecture.sizes[-1], 2)
    classes = None if y is None else _classes(model.class_numbers(y), len(x), n_classes)
    if labels is None and model.classes is not None:
        labels = tuple(str(label) for label in model.classes)
        # With a single label in the data the network knows another one, which nothing is called.
        labels += ("other",) * (n_classes - len(labels))
    if labels is not None and len(labels) != n_classes:
        raise ValueError(f"labels must name {n_classes} classes, got {len(labels)}")
    count("resolution", resolution, 2)
    ax = _style.axes(ax, (6.0, 5.2))
    from matplotlib.colors import to_rgb

    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.08 * np.maximum(high - low, 1e-9)
    low, high = low - margin, high + margin
    first, second = (np.linspace(a, b, resolution) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    outputs = network.predict(grid).astype(np.float64)
    chosen = network.predict_classes(grid)
    strength = 0.25 + 0.5 * _certainty(outputs, chosen, network.architecture.output)
    colours = np.array([to_rgb(colour) for colour in _style.class_colours(n_classes)])
    image = 1 - strength[:, None] * (1 - colours[chosen])
    shape = (resolution, resolution)
    extent = (low[0], high[0], low[1], high[1])
    ax.imshow(image.reshape(*shape, 3), origin="lower", extent=extent, aspect="auto")
    for k in range(n_classes if n_classes > 2 else 1):
        if 0 < np.mean(chosen == k) < 1:
            lead = _lead(outputs, k, network.architecture.output).reshape(shape)
            ax.contour(first, second, lead, [0.0], colors="white", linewidths=1.6)
    if classes is not None:
        _points(ax, x, classes, colours, labels)
    _style.dress_plane(ax, feature_names, extent[:2], extent[2:])
    return ax


def _points(ax: _style.Axes, x: Any, y: Any, colours: Any, labels: tuple[str, ...] | None) -> None:
    for k, colour in enumerate(colours):
        rows = x[y == k]
        if not len(rows):
            continue
        label = labels[k] if labels else f"class {k}"
        ax.scatter(
            rows[:, 0],
            rows[:, 1],
            s=26,
            color=colour,
            edgecolor="white",
            linewidth=0.8,
            label=label,
        )
    _style.legend(ax, loc="upper left", bbox_to_anchor=(1.0, 1.0), handletextpad=0.2)


def _classes(y: ArrayLike, n: int, n_classes: int) -> Any:
    """Classes of the rows, checked, from labels or one-hot rows."""
    given = arrays.numeric(y, "y")
    if given.ndim == 0 or len(given) != n:
        raise ValueError(f"X and y must have the same number of rows, got {n} and {given.shape}")
    if given.ndim == 2 and given.shape[1] > 1:
        found = decisions.true_classes(given)
        return given.argmax(axis=1) if found is None else found
    classes = given.ravel()
    if not np.isin(classes, np.arange(n_classes)).all():
        raise ValueError(f"y must hold classes 0…{n_classes - 1}, got {np.unique(classes)[:8]}")
    return classes


def _lead(outputs: Any, k: int, output: str) -> Any:
    """How far class ``k`` is ahead of the others: 0 where the network wavers."""
    if outputs.shape[1] == 1:
        return decisions.threshold(output) - outputs[:, 0]
    return outputs[:, k] - np.delete(outputs, k, axis=1).max(axis=1)


def _certainty(outputs: Any, chosen: Any, output: str) -> Any:
    """Between 0, a guess, and 1."""
    if output not in ("sigmoid", "softmax"):
        return np.full(len(outputs), 0.5)
    if outputs.shape[1] == 1:
        return np.abs(2 * outputs[:, 0] - 1)
    p = outputs[np.arange(len(outputs)), chosen]
    guess = 1 / outputs.shape[1] if output == "softmax" else 0.5
    return np.clip((p - guess) / (1 - guess), 0, 1)
