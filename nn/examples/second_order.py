"""Gradient descent, Adam, L-BFGS and Levenberg–Marquardt on one plot.

A small network learns a smooth function of two inputs. All four start from equal weights and get
the same time; what first-order methods reach in it is where Levenberg–Marquardt begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastmlp import MLP, History, optimizers
from fastmlp.stopping import TimeLimit

from . import _common

N_ROWS, HIDDEN = 600, 16
#: Name → optimizer, rows of a batch.
DESCENTS: dict[str, tuple[optimizers.Optimizer, int]] = {
    "gradient descent": (optimizers.GradientDescent(0.3), N_ROWS),
    "Adam": (optimizers.Adam(0.01), 50),
    "L-BFGS": (optimizers.LBFGS(), N_ROWS),
    "Levenberg–Marquardt": (optimizers.LevenbergMarquardt(), N_ROWS),
}


def main(arguments: Sequence[str] | None = None) -> dict[str, History]:
    """Run the example; return the histories by name."""
    options = _common.options(__doc__, arguments)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (N_ROWS, 2))
    y = np.sin(3 * x[:, 0]) * np.cos(2 * x[:, 1])
    histories: dict[str, History] = {}
    for name, (optimizer, batch_size) in DESCENTS.items():
        network = MLP([2, HIDDEN, 1], "tanh", dtype=np.float64, random_state=0)
        histories[name] = network.fit(
            *(x, y), optimizer=optimizer, batch_size=batch_size, epochs=100_000, stop=TimeLimit(0.5)
        )
        history = histories[name]
        print(f"{name:<20} {history.epochs:6} epochs: loss {history.loss[-1]:.2e}")
    if _common.can_draw():
        from fastmlp.plot import _style, learning_curves

        (ax,) = _style.panels(1, (7.5, 5.0))
        learning_curves(histories, x="seconds", ax=ax)
        ax.set_xscale("log")
        ax.set_yscale("log")
        _common.save(ax.figure, options.out, "second_order")
    return histories


if __name__ == "__main__":
    main()
