"""Handwritten digits as in the textbook: sigmoid neurons, squared error, plain minibatch descent.

The network and its constants are those of M. Nielsen, *Neural Networks and Deep Learning*,
chapter 1: 30 hidden neurons, batches of 10 rows, learning rate 3, 30 epochs. Its start is that of
chapter 3: biases from the standard normal distribution, weights divided by the root of their
layer's inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from fastmlp import MLP
from fastmlp.optimizers import SGD

from . import _common


def start(sizes: Sequence[int], seed: int) -> list[tuple[Any, Any]]:
    """Weights and biases of each layer."""
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal((n_in, n_out)) / np.sqrt(n_in), rng.standard_normal(n_out))
        for n_in, n_out in pairwise(sizes)
    ]


def main(arguments: Sequence[str] | None = None) -> float:
    """Run the example; return the accuracy on the test rows."""
    options = _common.options(__doc__, arguments, mnist=True)
    data = _common.images(options.data_dir)
    sizes = [data.x_train.shape[1], 30, 10]

    network = MLP(
        sizes, activation="sigmoid", output="sigmoid", init=start(sizes, 0), random_state=0
    )
    history = network.fit(
        *(data.x_train, _common.one_hot(data.y_train)),
        loss="squared_error",
        optimizer=SGD(3.0),
        batch_size=10,
        epochs=30,
        validation_data=(data.x_validation, _common.one_hot(data.y_validation)),
        metrics=["accuracy"],
    )
    print(history.table(every=5))
    accuracy = float(np.mean(network.predict_classes(data.x_test) == data.y_test))
    print(f"accuracy on the test rows {100 * accuracy:.2f} %")
    print(f"{sum(history.seconds):.2f} s of training")
    if _common.can_draw():
        from fastmlp.plot import learning_curves

        panels = learning_curves(history)
        _common.save(panels[0].figure, options.out, "mnist_squared_error")
    return accuracy


if __name__ == "__main__":
    main()
