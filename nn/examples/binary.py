"""Tell two half moons apart: a network with one sigmoid output.

The loss is binary cross-entropy; a third of the rows decides when to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp import MLP
from fastmlp.datasets import train_test_split
from fastmlp.optimizers import Adam
from fastmlp.stopping import EarlyStopping

from . import _common


def moons(n: int, noise: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Two half circles that reach into each other."""
    angle = rng.uniform(0, np.pi, n)
    y = rng.integers(0, 2, n)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(y[:, None], [1, 0.5] - circle, circle)
    return x + rng.normal(0, noise, (n, 2)), y


def main(arguments: Sequence[str] | None = None) -> float:
    """Run the example; return the accuracy on the validation rows."""
    options = _common.options(__doc__, arguments)
    x, y = moons(450, 0.16, np.random.default_rng(0))
    x_train, x_val, y_train, y_val = train_test_split(x, y, 1 / 3, random_state=0, stratify=y)

    network = MLP([2, 16, 1], activation="tanh", output="sigmoid", random_state=0)
    history = network.fit(
        *(x_train, y_train),
        optimizer=Adam(0.02),
        epochs=300,
        validation_data=(x_val, y_val),
        metrics=["accuracy"],
        stop=EarlyStopping(patience=20),
    )
    print(history.stop_message)
    print(history.table(every=max(history.epochs // 6, 1)))
    accuracy = float(np.mean(network.predict_classes(x_val) == y_val))
    print(f"accuracy on the validation rows {100 * accuracy:.1f} %")
    if _common.can_draw():
        from fastmlp.plot import _style, decision_regions, learning_curves

        left, right = _style.panels(2, (12.0, 4.8))
        decision_regions(network, x, y, labels=("upper moon", "lower moon"), ax=left)
        learning_curves(history, ax=right)
        _common.save(left.figure, options.out, "binary")
    return accuracy


if __name__ == "__main__":
    main()
