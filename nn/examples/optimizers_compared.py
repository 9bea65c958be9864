"""All optimizers on one plot: the loss of the same network on the same digits.

Every optimizer starts from equal weights and has a learning rate that suits it; L-BFGS and gradient
descent make one step an epoch, with all rows, the others one for each batch of 32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastmlp import MLP, History, datasets, kernels

from . import _common

EPOCHS = 30
#: Every optimizer with a learning rate that suits this network.
RATES = {
    "sgd": 0.1,
    "adagrad": 0.03,
    "adadelta": 1.0,
    "rmsprop": 0.002,
    "adam": 0.003,
    "adamw": 0.003,
    "yogi": 0.01,
    "adamax": 0.005,
    "nadam": 0.003,
    "radam": 0.005,
    "ftrl": 0.1,
    "lion": 0.0005,
    "rprop": 0.001,
    "gradient_descent": 0.5,
    "lbfgs": 1.0,
}


def main(arguments: Sequence[str] | None = None) -> dict[str, History]:
    """Run the example; return the histories by the optimizers' names."""
    options = _common.options(__doc__, arguments)
    digits = datasets.load_digits()
    x, y = digits.X / np.float32(16), digits.y
    histories: dict[str, History] = {}
    for name, rate in RATES.items():
        network = MLP([64, 32, 10], activation="tanh", output="softmax", random_state=0)
        try:
            histories[name] = network.fit(
                *(x, y),
                optimizer=name,
                learning_rate=rate,
                # The signs of Rprop only mean something where every batch holds all rows.
                batch_size="full" if name == "rprop" else 32,
                epochs=EPOCHS,
            )
        except NotImplementedError:
            print(f"{name:<17} is not in the {kernels.info()['backend']} backend")
            continue
        history = histories[name]
        print(
            f"{name:<17} loss {history.loss[-1]:9.5f} after {history.epochs} epochs, "
            f"{1000 * sum(history.seconds):6.1f} ms"
        )
    if _common.can_draw():
        from fastmlp.plot import _style, learning_curves

        left, right = _style.panels(2, (14.5, 5.0))
        learning_curves(histories, ax=left)
        legend = left.get_legend()
        if legend is not None:
            legend.remove()
        learning_curves(histories, x="seconds", ax=right)
        right.set_xscale("log")
        _common.save(left.figure, options.out, "optimizers_compared")
    return histories


if __name__ == "__main__":
    main()
