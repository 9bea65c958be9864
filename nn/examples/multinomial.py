"""Tell three arms of a spiral apart: softmax and cross-entropy.

Two hidden layers bend the plane until straight lines divide the arms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastmlp import MLP
from fastmlp.datasets import train_test_split
from fastmlp.optimizers import Adam

from . import _common


def spirals(n: int, noise: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Three arms that wind around the origin."""
    y = rng.integers(0, 3, n)
    radius = rng.uniform(0.15, 1, n)
    angle = 4.5 * radius + 2 * np.pi / 3 * y + rng.normal(0, noise, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y


def main(arguments: Sequence[str] | None = None) -> float:
    """Run the example; return the accuracy on the validation rows."""
    options = _common.options(__doc__, arguments)
    x, y = spirals(600, 0.22, np.random.default_rng(0))
    x_train, x_val, y_train, y_val = train_test_split(x, y, 0.25, random_state=0, stratify=y)

    network = MLP([2, 32, 16, 3], activation="tanh", output="softmax", random_state=0)
    history = network.fit(
        *(x_train, y_train),
        optimizer=Adam(0.01),
        learning_rate="cosine",
        epochs=150,
        validation_data=(x_val, y_val),
        metrics=["accuracy", "f1"],
    )
    print(history.table(every=25))
    accuracy = history.metrics["validation_accuracy"][-1]
    print(f"accuracy on the validation rows {100 * accuracy:.1f} %")
    if _common.can_draw():
        from fastmlp.plot import _style, decision_regions, learning_curves

        left, right = _style.panels(2, (12.0, 4.8))
        decision_regions(network, x, y, labels=("arm 1", "arm 2", "arm 3"), ax=left)
        learning_curves(history, ax=right)
        _common.save(left.figure, options.out, "multinomial")
    return accuracy


if __name__ == "__main__":
    main()
