"""
The loss around a network, and the way down
===========================================

The parameters of a training run lie on a curve in a space of many dimensions. Drawn is the plane in
which it is longest, with the loss on it.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, plot
from fastmlp.callbacks import ParameterPath

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 2))
y = np.where(X[:, 0] * X[:, 1] > 0, 1.0, 0.0)

figure, axes = plt.subplots(1, 2, figsize=(11.5, 5))
for ax, (name, rate) in zip(axes, {"sgd": 0.3, "adam": 0.02}.items()):
    net = MLP([2, 8, 1], activation="tanh", output="sigmoid", dtype="float64", random_state=3)
    path = ParameterPath()
    net.fit(X, y, optimizer=name, learning_rate=rate, epochs=60, batch_size=20, callbacks=path)
    plot.loss_surface(net, X, y, directions="path", path=path, resolution=41, ax=ax)
    ax.set_title(f"{name}: {len(path.points) - 1} epochs")
