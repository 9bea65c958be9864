"""A program as a user writes it: it runs, and passes ``mypy --strict``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fastmlp
import numpy as np
from fastmlp import MLP, History, MLPClassifier, losses, metrics, optimizers, schedules, stopping
from fastmlp.callbacks import Callback
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Printed(Callback):
    """Keeps the losses of a run."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_epoch_end(self, network: MLP, history: History) -> bool | None:
        self.losses.append(history.loss[-1])
        return len(self.losses) >= 20


def data(n: int, seed: int = 0) -> tuple[Array, NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.intp)


def lift(y_true: Array, y_pred: Array) -> float:
    return float(np.mean(y_true * y_pred))


def train(x: Array, y: NDArray[np.intp]) -> tuple[MLP, History]:
    network = MLP([4, 8, 2], activation="tanh", output="softmax", random_state=0)
    history = network.fit(
        x,
        y,
        loss=losses.CrossEntropy(),
        optimizer=optimizers.Adam(0.01),
        learning_rate=schedules.Cosine(),
        epochs=5,
        validation_data=data(50, seed=1),
        metrics=["auc", metrics.Metric("lift", lift, takes="scores", mode="max")],
        stop=[stopping.EarlyStopping("validation_auc", patience=3), "time_limit"],
        callbacks=[Printed(), lambda network, history: history.loss[-1] < 1e-3],
        class_weight="balanced",
    )
    for name in ("sgd", "adamw"):
        network.fit(x, y, optimizer=name, epochs=1)
    return network, history


def main() -> None:
    x, y = data(100)
    network, history = train(x, y)
    curve: list[float] = history.metrics["validation_auc"]
    if TYPE_CHECKING:  # a mistyped name is found
        history.validation_los  # type: ignore[attr-defined]  # noqa: B018
    classes = network.predict_classes(x)
    print(max(curve), metrics.mcc(y, classes), metrics.confusion(y, classes).tolist())
    model = MLPClassifier((8,), solver="lbfgs", max_iter=500, tol=1e-3, alpha=0.1).fit(x, y)
    print(model.score(x, y), model.predict_proba(x[:1]), fastmlp.kernels.info()["backend"])


if __name__ == "__main__":
    main()
