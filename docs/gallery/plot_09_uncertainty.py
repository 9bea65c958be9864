"""
Uncertainty of an ensemble
==========================

Networks that start differently agree where there were data, and part where there were none. Their
spread says where not to trust them.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP

rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-4, -1.5, 60), rng.uniform(0.5, 3.5, 60)])
y = np.sin(1.5 * x) + 0.3 * x + rng.normal(0, 0.1, 120)
grid = np.linspace(-6, 6, 400)

# %%
# Twenty networks, each on rows drawn with replacement.

curves = []
for seed in range(20):
    rows = np.random.default_rng(seed).integers(0, len(x), len(x))
    net = MLP([1, 30, 30, 1], activation="silu", dtype="float64", random_state=seed)
    net.fit(x[rows, None], y[rows], epochs=300, learning_rate=0.005)
    curves.append(net.predict(grid[:, None])[:, 0])
mean, spread = np.mean(curves, axis=0), np.std(curves, axis=0)

figure, ax = plt.subplots(figsize=(8, 4.6))
ax.fill_between(grid, mean - 2 * spread, mean + 2 * spread, color="#56B4E9", alpha=0.4,
                label="mean ± 2 deviations of the networks")  # fmt: skip
ax.plot(grid, np.transpose(curves), color="#0072B2", lw=0.5, alpha=0.5)
ax.plot(grid, mean, color="#0072B2", lw=2.5, label="mean of 20 networks")
ax.plot(x, y, "o", ms=4, color="#D55E00", label="data")
ax.set(xlabel="x", ylabel="y", ylim=(-4.5, 4.5), title="they part where there are no data")
ax.legend(loc="upper left")
