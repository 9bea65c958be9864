"""Fit a curve with four parameters: one neuron, ``y = c + v tanh(w x + b)``.

Rows are drawn from such a curve with some noise; L-BFGS finds its parameters again. A sign may be
moved from ``v`` to ``w`` and ``b`` without changing the curve, so ``w`` is shown positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp import MLP, History
from fastmlp.optimizers import LBFGS

from . import _common

TRUE = {"w": 2.0, "b": -1.0, "v": 1.5, "c": 0.5}
NOISE = 0.1


def curve(x: Any, w: float, b: float, v: float, c: float) -> Any:
    """The curve itself."""
    return c + v * np.tanh(w * x + b)


def parameters(network: MLP) -> dict[str, float]:
    """The network's four parameters by their names, with ``w`` positive."""
    (w, v), (b, c) = (
        [array.item() for array in arrays] for arrays in (network.weights, network.biases)
    )
    sign = 1.0 if w >= 0 else -1.0
    return {"w": sign * w, "b": sign * b, "v": sign * v, "c": c}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Run the example; return the parameters that were found."""
    options = _common.options(__doc__, arguments)
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 3, (80, 1))
    y = curve(x, **TRUE) + rng.normal(0, NOISE, x.shape)

    network = MLP([1, 1, 1], "tanh", dtype=np.float64, random_state=0)
    before = parameters(network)
    history = network.fit(x, y, optimizer=LBFGS(), epochs=200, stop="gradient_norm")
    found = parameters(network)
    print(f"{history.epochs} iterations, {history.stop_message}")
    print("            " + "".join(f"{name:>8}" for name in TRUE))
    for name, values in (("drawn with", TRUE), ("started at", before), ("found", found)):
        print(f"{name:<12}" + "".join(f"{value:8.3f}" for value in values.values()))
    rmse = float(np.sqrt(np.mean(np.square(network.predict(x) - y))))
    print(f"root of the mean squared error {rmse:.4f}, noise {NOISE}")
    if _common.can_draw():
        _common.save(draw(x, y, before, found, history), options.out, "regression")
    return found


def draw(
    x: Any, y: Any, before: dict[str, float], found: dict[str, float], history: History
) -> Any:
    """Rows and curves, and beside them the loss."""
    from fastmlp.plot import _style, learning_curves

    left, right = _style.panels(2, (10.5, 4.2))
    grid = np.linspace(x.min(), x.max(), 300)
    left.scatter(x, y, s=22, color=_style.COLOURS[7], edgecolor="white", lw=0.7, label="rows")
    left.plot(grid, curve(grid, **before), color=_style.COLOURS[4], lw=1.8, ls="--", label="start")
    left.plot(grid, curve(grid, **found), color=_style.COLOURS[0], lw=2.4, label="found")
    left.plot(grid, curve(grid, **TRUE), color=_style.INK, lw=1.2, ls=":", label="drawn with")
    _style.dress(left, "y = c + v tanh(w x + b)", "x", "y")
    _style.legend(left)
    learning_curves(history, ax=right)
    right.set_xlabel("iteration")
    return left.figure


if __name__ == "__main__":
    main()
