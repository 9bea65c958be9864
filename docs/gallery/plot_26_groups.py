"""
Five hundred networks at once
=============================

Five hundred shops, each with its own week: ``fit_many`` trains a network for each on all
processors, every one with the numbers that its own ``fit`` would give.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, fit_many, predict_many
from numpy.typing import NDArray

rng = np.random.default_rng(0)
hour = rng.uniform(0, 168, (500, 400))
peak, level = rng.uniform(8, 20, (500, 1)), rng.gamma(6, 2, (500, 1))
ratio = np.where(hour > 120, rng.uniform(0.2, 1.8, (500, 1)), 1.0)
rate = level * ratio * np.exp(2 * np.cos((hour - peak) / 24 * 2 * np.pi) - 1)
sold = rng.poisson(rate).astype(float)


def inputs(hour: NDArray[np.float64]) -> NDArray[np.float64]:
    """The week, and where in the day we are."""
    day = hour / 24 * 2 * np.pi
    return np.stack(
        [np.cos(day), np.sin(day), (hour - 84) / 50, (hour > 120).astype(np.float64)], axis=-1
    )


nets = [MLP([4, 12, 1], activation="tanh", output="exp", random_state=i) for i in range(500)]
fit_many(nets, list(inputs(hour)), list(sold), epochs=100, batch_size=40, learning_rate=0.01)

# %%
# Six of them, over the week.

grid = np.linspace(0, 168, 337)
curves = predict_many(nets, inputs(grid))[..., 0]
figure, axes = plt.subplots(2, 3, figsize=(11, 5.6), sharex=True)
for ax, i in zip(axes.flat, range(6)):
    ax.plot(hour[i], sold[i], ".", ms=4, color="#8C8C8C")
    ax.plot(grid, curves[i], color="#D55E00")
    ax.set_title(f"shop {i + 1}")
    ax.set_xticks(range(0, 169, 24), ["M", "T", "W", "T", "F", "S", "S", ""])
for ax in axes[:, 0]:
    ax.set_ylabel("sold in an hour")
for ax in axes[-1]:
    ax.set_xlabel("day of the week")
