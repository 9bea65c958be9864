"""
Batch, minibatch and stochastic descent
=======================================

A straight line has two parameters, so its cost can be drawn. Descent with all rows goes straight
down at right angles to the contours; single rows pull to and fro.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, optimizers, plot
from fastmlp.callbacks import ParameterPath

rng = np.random.default_rng(1)
x = rng.normal(0.6, 1.0, (60, 1))
y = 1.2 * x[:, 0] - 0.5 + rng.normal(0, 0.8, 60)
WAYS = {"all 60 rows": (60, 0.2), "10 rows": (10, 0.1), "1 row": (1, 0.03)}

figure, ax = plt.subplots(figsize=(7.6, 6))
paths = {}
for name, (batch_size, rate) in WAYS.items():
    net = MLP([1, 1], dtype="float64", random_state=0)
    net.parameters[:] = -1.0, 1.4
    path = ParameterPath(every="batch")
    net.fit(x, y, optimizer=optimizers.SGD(rate), batch_size=batch_size, epochs=20, callbacks=path)
    paths[name] = np.array(path.points)

design = np.column_stack([x, np.ones(60)])
net = MLP([1, 1], dtype="float64")
net.parameters[:] = best = np.linalg.lstsq(design, y)[0]
plot.loss_surface(net, x, y, directions=(0, 1), span=2.3, levels=14, filled=False, ax=ax)
for (name, points), style, width in zip(
    reversed(paths.items()), ["-", "s-", "o-"], [0.8, 1.2, 1.8]
):
    ax.plot(*points.T, style, lw=width, ms=2.6 * width, label=f"{name} a step")
ax.plot(*best, "*", ms=16, color="#333333", mec="white", label="least squares")
ax.set(xlabel="weight w", ylabel="bias b", title="paths on the contours of the cost")
ax.legend(loc="upper right")
