"""
Derivatives of a network
========================

A network that was fitted to values has derivatives by its inputs, to the second order: slope and
curvature come without a further fit.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP

x = np.linspace(-3, 3, 200)[:, None]
y = np.exp(-(x[:, 0] ** 2) / 2) * np.cos(2 * x[:, 0])
net = MLP([1, 30, 30, 1], activation="tanh", dtype="float64", random_state=0)
net.fit(x, y, optimizer="lbfgs", epochs=800)

slope = net.jacobian(x)[:, 0, 0]
curvature = net.input_hessian(x)[:, 0, 0, 0]
t = x[:, 0]
e, c, s = np.exp(-(t**2) / 2), np.cos(2 * t), np.sin(2 * t)
truth = {"value": y, "slope": e * (-t * c - 2 * s), "curvature": e * ((t**2 - 5) * c + 4 * t * s)}
found = {"value": net.predict(x)[:, 0], "slope": slope, "curvature": curvature}

figure, axes = plt.subplots(1, 3, figsize=(12, 4))
for ax, name in zip(axes, truth):
    ax.plot(t, truth[name], color="#8C8C8C", lw=5, alpha=0.6, label="exact")
    ax.plot(t, found[name], color="#D55E00", lw=1.8, label="network")
    worst = abs(truth[name] - found[name]).max()
    ax.set(xlabel="x", ylabel=name, title=f"{name}: within {worst:.0e}")
axes[0].legend()
