"""
Rare classes: class weights
===========================

One row in twenty is of the class that matters. ``class_weight="balanced"`` gives both classes the
same total weight, and moves the border towards the common one.
"""

from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, metrics, plot

rng = np.random.default_rng(1)
common = rng.normal([0, 0], [1.2, 1.0], (950, 2))
rare = rng.normal([1.9, 1.2], 0.6, (50, 2))
X = np.concatenate([common, rare])
y = np.repeat([0, 1], [950, 50])

# %%
# Accuracy hardly tells the two apart; how many of the rare rows are found does.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.9), sharey=True)
weights: list[Literal["balanced"] | None] = [None, "balanced"]
for ax, weight in zip(axes, weights):
    net = MLP([2, 12, 2], activation="tanh", output="softmax", random_state=0)
    net.fit(X, y, epochs=120, learning_rate=0.005, class_weight=weight)
    predicted = net.predict_classes(X)
    found = (predicted[y == 1] == 1).mean()
    right = metrics.accuracy(y, predicted)
    plot.decision_regions(net, X, y, ax=ax, labels=("common", "rare"))
    ax.set_title(f"{weight or 'no'} weights: finds {found:.0%}; {right:.0%} right")
    ax.set(xlabel="first input", ylabel="second input")
