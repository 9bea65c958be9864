"""Invent a loss in one line of NumPy: what to keep in stock where too little costs more than
too much.

Demand goes with the day of the year, and on top of it come buyers in numbers that nobody knows. A
missing item costs four times as much as one left over, and both cost more in the high season.
A network that is trained with the squared error learns the mean demand; one that is trained with
the costs themselves keeps more in stock. The derivative comes from the loss's computation graph,
which is drawn too, for one day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp import MLP, losses
from fastmlp.autodiff import Graph, label, trace

from . import _common

MISSING, LEFT_OVER = 4.0, 1.0
#: Below this difference, in items, the two slopes go over into each other.
CORNER = 0.5
#: Demand at which an item costs twice as much as one when there is no demand.
BUSY = 20.0


def cost(z: Any, y: Any) -> Any:
    """Cost of keeping ``z`` in stock where ``y`` are asked for: a smooth, weighted quantile loss.

    ``log(1 + exp(r))`` does not overflow in the graph.
    """
    missing = label((y - z) / CORNER, "missing")
    slopes = MISSING * np.log1p(np.exp(missing)) + LEFT_OVER * np.log1p(np.exp(-missing))
    return label(1 + y / BUSY, "weight") * CORNER * slopes


def demand(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Days, as parts of a year, and what was asked for on them."""
    day = np.sort(rng.random((n, 1)), axis=0)
    expected = 8 + 5 * np.sin(2 * np.pi * day) + 3 * np.exp(-0.5 * ((day - 0.88) / 0.04) ** 2)
    return day, expected + rng.gamma(1.5, 0.25 * expected)


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Run the example; return the mean cost of a day for both losses."""
    options = _common.options(__doc__, arguments)
    rng = np.random.default_rng(0)
    x, y = demand(1500, rng)
    x_test, y_test = demand(1500, rng)
    # Waves of the year, so that its end joins its start.
    features, features_test = waves(x), waves(x_test)

    networks, costs = {}, {}
    for name, loss in (("squared error", "squared_error"), ("own cost", losses.custom(cost))):
        network = MLP([features.shape[1], 32, 1], activation="tanh", random_state=0)
        network.fit(features, y, loss=loss, epochs=150, batch_size=64)
        stock = network.predict(features_test)
        networks[name], costs[name] = network, float(np.mean(cost(stock, y_test)))
        enough = float(np.mean(stock > y_test))
        print(f"{name:<14} costs {costs[name]:6.2f} a day, enough on {100 * enough:.0f} % of days")
    graph = trace(cost, 9.0, 10.0)
    graph.backward()
    print(f"\nThe cost of one day, and its derivatives:\n\n{graph}")
    if _common.can_draw():
        figure = draw(graph, networks, x_test, y_test)
        _common.save(figure, options.out, "custom_loss")
    return costs


def waves(day: Any) -> Any:
    """Sines and cosines of the year and its parts."""
    angle = 2 * np.pi * day * np.arange(1, 6)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def draw(graph: Graph, networks: dict[str, MLP], x: Any, y: Any) -> Any:
    """Above the loss and what comes of it, below its graph."""
    from fastmlp.plot import _style

    figure = _style.pyplot().figure(figsize=(13, 8), dpi=120, layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.5, 1))
    left, right = above.subplots(1, 2, width_ratios=(1, 1.6))
    stock = np.linspace(0, 20, 400)
    for i, asked in enumerate((5.0, 10.0, 15.0)):
        colour = _style.COLOURS[i]
        left.plot(stock, cost(stock, asked), color=colour, lw=2, label=f"asked for {asked:.0f}")
    _style.dress(left, "The cost", "in stock", "cost of a day")
    _style.legend(left)
    right.scatter(x, y, s=6, color=_style.COLOURS[7], alpha=0.35, lw=0, label="asked for")
    for i, (name, network) in enumerate(networks.items()):
        kept = network.predict(waves(x))
        right.plot(x, kept, color=_style.COLOURS[i], lw=2.4, label=f"trained with {name}")
    _style.dress(right, "What to keep in stock", "part of the year", "items")
    _style.legend(right, loc="upper left", markerscale=3)
    try:
        graph.plot(below.subplots())
    except ImportError as error:
        print(error)
    return figure


if __name__ == "__main__":
    main()
