"""
A curve from noisy points
=========================

A network with one input and one output learns a function; the learning curves say when it had.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, plot

rng = np.random.default_rng(0)
x = rng.uniform(-3, 3, 300)
y = np.sin(2 * x) * np.exp(-0.2 * x**2) + rng.normal(0, 0.12, 300)
X = x[:, None]

net = MLP([1, 24, 24, 1], activation="tanh", dtype="float64", random_state=0)
history = net.fit(
    X[:240], y[:240], epochs=400, learning_rate=0.005, validation_data=(X[240:], y[240:])
)

# %%
# Left the data with what has been learnt, right the loss of each epoch.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
grid = np.linspace(-3, 3, 400)
left.plot(x, y, ".", color="#8C8C8C", label="data")
left.plot(grid, np.sin(2 * grid) * np.exp(-0.2 * grid**2), "--", color="#333333", label="truth")
left.plot(grid, net.predict(grid[:, None])[:, 0], color="#D55E00", label="network")
left.set(xlabel="x", ylabel="y", title="data and network")
left.legend()
plot.learning_curves(history, ax=right)
right.set(title="learning curves", ylabel="loss (half squared error)")
