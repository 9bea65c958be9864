"""
Quantile bands
==============

The pinball loss of a quantile is small where the right share of rows lies below. One network learns
three of them at once: a median, and a band whose width follows the noise.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLPRegressor, losses

rng = np.random.default_rng(2)
x = rng.uniform(0, 6, 1500)
y = np.sin(x) + rng.normal(0, 0.05 + 0.12 * x, 1500)
X = (x[:, None] - 3) / 2
grid = np.linspace(0, 6, 300)

# %%
# ``ordered`` keeps them from crossing; ``predict`` alone gives the median.

shares = (0.1, 0.5, 0.9)
model = MLPRegressor(
    loss=losses.Quantile(shares, ordered=True),
    hidden_layer_sizes=(24, 24),
    activation="tanh",
    batch_size=32,
    max_iter=250,
    tol=0,
    schedule="cosine",
    random_state=0,
)
model.fit(X, y)
for share, below in zip(
    shares, (y[:, None] < model.predict_quantiles(X)).mean(axis=0), strict=True
):
    print(f"{below:.1%} of the rows lie below the curve of {share:.0%}")
low, median, high = model.predict_quantiles((grid[:, None] - 3) / 2).T

figure, ax = plt.subplots(figsize=(8, 4.6))
ax.plot(x, y, ".", ms=3, color="#8C8C8C", alpha=0.6)
ax.fill_between(grid, low, high, color="#56B4E9", alpha=0.45, label="10 % to 90 %")
ax.plot(grid, median, color="#0072B2", label="median")
ax.plot(grid, np.sin(grid), "--", color="#333333", label="sin x")
ax.set(xlabel="x", ylabel="y", title="eight rows in ten lie in the band")
ax.legend(loc="upper left")
