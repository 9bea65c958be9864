"""Batch, stochastic and minibatch descent on one plot.

A straight line is fitted to noisy rows, so the cost has two parameters and its contours can be
drawn. Batch descent goes straight down, every step orthogonal to the contour it starts from; single
rows pull to and fro; batches of ten lie between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp import MLP, History
from fastmlp.callbacks import ParameterPath
from fastmlp.optimizers import SGD

from . import _common

N_ROWS = 60
#: Name → rows of a batch, learning rate, epochs.
DESCENTS: dict[str, tuple[int, float, int]] = {
    "batch (60 rows)": (60, 0.2, 20),
    "minibatch (10 rows)": (10, 0.1, 20),
    "stochastic (1 row)": (1, 0.03, 20),
}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Run the example; return the cost that each descent has reached."""
    options = _common.options(__doc__, arguments)
    rng = np.random.default_rng(1)
    x = rng.normal(0.6, 1.0, (N_ROWS, 1))
    y = 1.2 * x[:, 0] - 0.5 + rng.normal(0, 0.8, N_ROWS)

    paths: dict[str, Any] = {}
    histories: dict[str, History] = {}
    reached: dict[str, float] = {}
    network = MLP([1, 1], dtype=np.float64)
    for name, (batch_size, rate, epochs) in DESCENTS.items():
        network = MLP([1, 1], dtype=np.float64, random_state=0)
        network.weights[0][:], network.biases[0][:] = -1.0, 1.4
        path = ParameterPath(every="batch")
        histories[name] = network.fit(
            x, y, optimizer=SGD(rate), batch_size=batch_size, epochs=epochs, callbacks=path
        )
        paths[name] = np.array(path.points)
        reached[name] = network.loss(x, y)
        steps = len(path.points) - 1
        print(f"{name:<20} {steps:5} steps of {rate:g}: cost {reached[name]:.5f}")
    design = np.column_stack([x, np.ones(N_ROWS)])
    best = np.linalg.lstsq(design, y)[0]
    lowest = 0.5 * float(np.mean(np.square(design @ best - y)))
    print(f"lowest cost {lowest:.5f}, at w = {best[0]:.3f}, b = {best[1]:.3f}")
    if _common.can_draw():
        figure = draw(network, x, y, paths, histories, best)
        _common.save(figure, options.out, "descents")
    return reached


def draw(
    network: MLP, x: Any, y: Any, paths: dict[str, Any], histories: dict[str, History], best: Any
) -> Any:
    """The three paths on the contours, and the three costs over the epochs."""
    from fastmlp.plot import _style, learning_curves, loss_surface

    left, right = _style.panels(2, (12.5, 5.2))
    network.parameters[:] = best
    loss_surface(network, x, y, directions=(0, 1), span=2.6, levels=14, filled=False, ax=left)
    for points, colour in reversed(list(zip(paths.values(), _style.COLOURS, strict=False))):
        few = len(points) < 30
        left.plot(*points.T, "o-" if few else "-", color=colour, lw=1.8 if few else 1.2, ms=4)
    left.plot(*paths["batch (60 rows)"][0], "o", ms=9, color="white", mec=_style.INK, mew=1.4)
    left.plot(*best, "*", ms=14, color=_style.INK, mec="white")
    _style.dress(left, "paths on the contours of the cost", "weight w", "bias b", grid=False)
    learning_curves(histories, ax=right)
    right.set_title(
        "mean cost of the batches of an epoch",
        loc="left",
        fontsize=11,
        fontweight="bold",
        color=_style.INK,
    )
    return left.figure


if __name__ == "__main__":
    main()
