"""
A small network learns from a large one
=======================================

Probabilities of a large network say more than labels: that a seven looks a little like a one. A
network of 12 hidden neurons learns from them also where nobody has labelled the images. An
illustration: the numbers of neurons and labels were chosen so that the effect is visible.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP
from fastmlp.datasets import load_digits, train_test_split
from numpy.typing import NDArray

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.X / 16, digits.y, 500, random_state=0, stratify=digits.y
)
labelled = slice(0, 300)
teacher = MLP([64, 256, 256, 10], output="softmax", random_state=0)
teacher.fit(X[labelled], y[labelled], epochs=60, dropout=0.3)


def softened(scores: NDArray[np.float32], temperature: float = 3.0) -> NDArray[np.float32]:
    """Probabilities of scores that are divided by a temperature."""
    e = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


WAYS = {
    "labels,\n300 rows": (X[labelled], y[labelled]),
    "teacher,\n300 rows": (X[labelled], softened(teacher.scores(X[labelled]))),
    "teacher,\nall 1297 rows": (X, softened(teacher.scores(X))),
}
right: dict[str, list[float]] = {}
for name, (rows, targets) in WAYS.items():
    right[name] = []
    for seed in range(8):
        small = MLP([64, 12, 10], output="softmax", random_state=seed)
        small.fit(rows, targets, epochs=9000 // len(rows) * 4, learning_rate=0.005)
        right[name].append(100 * (small.predict_classes(X_test) == y_test).mean())

figure, ax = plt.subplots(figsize=(7.6, 4.8))
for i, values in enumerate(right.values()):
    ax.plot(np.full(8, i) + np.linspace(-0.1, 0.1, 8), values, "o", ms=6, alpha=0.75)
    ax.hlines(np.mean(values), i - 0.25, i + 0.25, color="#333333")
best = 100 * (teacher.predict_classes(X_test) == y_test).mean()
ax.axhline(best, ls="--", color="#8C8C8C", lw=1.5)
ax.text(2.45, best, f"teacher, {teacher.parameters.size:,} weights", ha="right", va="bottom")
ax.set_xticks(range(3), WAYS, size=11)
ax.set(xlim=(-0.5, 2.5), ylabel="test images that are right (%)",
       title="a network of 910 weights, eight seeds, bars: means")  # fmt: skip
