"""
The gradient stands at right angles to the contours
===================================================

Drawn for the two weights of one neuron: at every point the gradient from backpropagation points
across the contour of the loss, and is longer where contours lie closer.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP

rng = np.random.default_rng(4)
X = rng.normal(size=(80, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
y = (X @ [1.5, -1.0] + rng.normal(0, 0.8, 80) > 0).astype(float)
net = MLP([2, 1], output="sigmoid", dtype="float64")

w1, w2 = np.meshgrid(np.linspace(-1.5, 4.5, 61), np.linspace(-4, 2, 61))
loss = np.empty_like(w1)
for place in np.ndindex(w1.shape):
    net.parameters[:2] = w1[place], w2[place]
    loss[place] = net.loss(X, y)

figure, ax = plt.subplots(figsize=(7.4, 6))
filled = ax.contourf(w1, w2, loss, 18, cmap="YlGnBu_r")
ax.contour(w1, w2, loss, 18, colors="white", linewidths=0.6)
points = np.array([(a, b) for a in (-0.9, 0.6, 2.1, 3.6) for b in (-3.4, -2.0, -0.6, 0.9)])
arrows = []
for point in points:
    net.parameters[:2] = point
    arrows.append(-net.loss_and_gradients(X, y)[1][0][0][:, 0])
ax.quiver(*points.T, *np.transpose(arrows), angles="xy", scale=5, color="#D55E00", width=0.006)
ax.plot(*points.T, "o", ms=4, color="#D55E00")
figure.colorbar(filled, label="loss (cross-entropy, nats)")
ax.set(xlabel="weight of the first input", ylabel="weight of the second input",
       title="arrows: the negative gradient", aspect="equal")  # fmt: skip
