"""
Quantile bands
==============

The pinball loss of a quantile is small where the right share of rows lies below: three networks
draw a band whose width follows the noise.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, losses

rng = np.random.default_rng(2)
x = rng.uniform(0, 6, 1500)
y = np.sin(x) + rng.normal(0, 0.05 + 0.12 * x, 1500)
X = (x[:, None] - 3) / 2
grid = np.linspace(0, 6, 300)

bands = {}
for share in (0.1, 0.5, 0.9):
    net = MLP([1, 24, 24, 1], activation="tanh", random_state=0)
    net.fit(X, y, loss=losses.Quantile(share), epochs=250, learning_rate="cosine")
    bands[share] = net.predict((grid[:, None] - 3) / 2)[:, 0]
    print(f"{(y < net.predict(X)[:, 0]).mean():.1%} of the rows lie below the curve of {share:.0%}")

figure, ax = plt.subplots(figsize=(8, 4.6))
ax.plot(x, y, ".", ms=3, color="#8C8C8C", alpha=0.6)
ax.fill_between(grid, bands[0.1], bands[0.9], color="#56B4E9", alpha=0.45, label="10 % to 90 %")
ax.plot(grid, bands[0.5], color="#0072B2", label="median")
ax.plot(grid, np.sin(grid), "--", color="#333333", label="sin x")
ax.set(xlabel="x", ylabel="y", title="eight rows in ten lie in the band")
ax.legend(loc="upper left")
