"""
Levenberg–Marquardt against Adam
================================

A smooth function of two inputs without noise, 500 rows, 97 parameters: what is left of the loss
after so many seconds. Adam, with a rate that falls to 0 along a cosine, gets as far as gradients
lead; the damped Gauss–Newton steps of Levenberg–Marquardt solve with the curvature, and go on
where Adam ends.

The three lines of a colour begin with different random weights. Time is the median of an epoch
(for Levenberg–Marquardt an iteration) times their number. With many weights, many rows or noisy
targets the order turns around: an iteration goes through all rows and solves with all weights.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, optimizers

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (500, 2))
y = np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1])
WAYS = {
    "Adam, batches of 32": (optimizers.Adam(0.01), 32, 1500, "--"),
    "Adam, all rows": (optimizers.Adam(0.02), len(X), 4000, ":"),
    "Levenberg–Marquardt": (optimizers.LevenbergMarquardt(), 32, 120, "-"),
}

figure, ax = plt.subplots(figsize=(8, 4.8))
for (name, (rule, batch_size, epochs, line)), colour in zip(WAYS.items(), ["C1", "C2", "C0"]):
    rate = "cosine" if name.startswith("Adam") else None
    for seed in range(3):
        net = MLP([2, 24, 1], "tanh", dtype="float64", random_state=seed)
        history = net.fit(
            X, y, optimizer=rule, learning_rate=rate, batch_size=batch_size, epochs=epochs
        )
        seconds = np.median(history.seconds) * np.arange(1, history.epochs + 1)
        ax.loglog(
            seconds, history.loss, line, color=colour, lw=1.6, label=name if seed == 0 else None
        )
ax.set(xlabel="training time (s)", ylabel="training loss (half squared error)",
       title="sin 3x₁ · cos 2x₂, network 2-24-1")  # fmt: skip
ax.legend(loc="lower left")
