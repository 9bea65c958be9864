"""Handwritten digits with softmax and cross-entropy, and what belongs to it today.

The same data as in ``mnist_squared_error``; ReLU neurons with He's start, Adam, a little weight
penalty, and the validation rows decide when to stop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastmlp import MLP
from fastmlp.optimizers import Adam
from fastmlp.stopping import EarlyStopping

from . import _common


def main(arguments: Sequence[str] | None = None) -> float:
    """Run the example; return the accuracy on the test rows."""
    options = _common.options(__doc__, arguments, mnist=True)
    data = _common.images(options.data_dir)

    network = MLP(
        [data.x_train.shape[1], 100, 10],
        activation="relu",
        output="softmax",
        init="he_normal",
        random_state=0,
    )
    history = network.fit(
        *(data.x_train, data.y_train),
        optimizer=Adam(0.001),
        batch_size=32,
        epochs=40,
        l2=1e-4,
        validation_data=(data.x_validation, data.y_validation),
        metrics=["accuracy"],
        stop=EarlyStopping("validation_accuracy", patience=6),
    )
    print(history.stop_message)
    print(history.table(every=5))
    accuracy = float(np.mean(network.predict_classes(data.x_test) == data.y_test))
    print(f"accuracy on the test rows {100 * accuracy:.2f} %")
    logs = network.log_probabilities(data.x_test)
    worst = np.argmin(logs[np.arange(len(logs)), data.y_test])
    seen = network.predict_classes(data.x_test[worst : worst + 1])[0]
    print(f"least understood: test row {worst}, a {data.y_test[worst]} taken for a {seen}")
    if _common.can_draw():
        from fastmlp.plot import learning_curves, weight_images

        panels = learning_curves(history)
        _common.save(panels[0].figure, options.out, "mnist_cross_entropy")
        images = weight_images(network, data.shape)
        _common.save(images.figure, options.out, "mnist_weights")
    return accuracy


if __name__ == "__main__":
    main()
