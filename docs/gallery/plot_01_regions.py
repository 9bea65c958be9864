"""
Decision regions by activation
==============================

One network, two half moons, six activations: piecewise linear functions give borders with corners,
smooth ones give curves.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, plot

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 200)
upper = np.column_stack([np.cos(angle), np.sin(angle)])
lower = np.column_stack([1 - np.cos(angle), 0.4 - np.sin(angle)])
X = np.concatenate([upper, lower]) + rng.normal(0, 0.15, (400, 2))
y = np.repeat([0, 1], 200)

# %%
# Each network has two hidden layers of 8 neurons and is trained alike.

figure, axes = plt.subplots(2, 3, figsize=(10, 6.4), layout="constrained", sharex=True, sharey=True)
for ax, name in zip(axes.flat, ["relu", "leaky_relu", "hardtanh", "tanh", "softplus", "silu"]):
    net = MLP([2, 8, 8, 2], activation=name, output="softmax", random_state=1)
    net.fit(X, y, optimizer="adam", learning_rate=0.01, epochs=200)
    plot.decision_regions(net, X, y, ax=ax)
    ax.get_legend().remove()
    right = (net.predict_classes(X) == y).mean()
    ax.set(title=f"{name}: {right:.1%} right", xlabel="", ylabel="")
for ax in axes[-1]:
    ax.set_xlabel("first input")
for ax in axes[:, 0]:
    ax.set_ylabel("second input")
