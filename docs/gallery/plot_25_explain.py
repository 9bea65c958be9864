"""
Which pixels spoke for a digit
==============================

Expected gradients attribute a score to the inputs: the attributions of an image add up to how much
more the score is than on other images.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, explain
from fastmlp.datasets import load_digits
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

digits = load_digits()
X, y = digits.X / 16, digits.y
net = MLP([64, 40, 10], activation="silu", output="softmax", random_state=0)
net.fit(X, y, epochs=40)
rows = [int(np.flatnonzero(y == digit)[3]) for digit in (0, 3, 4, 7, 9)]
shares = explain.expected_gradients(
    net, X[rows], X[::9], n_samples=100, scores=True, random_state=0
)

# %%
# Above the images; below what each pixel added to the score of the digit that it is.

norm = Normalize(-2, 2)
figure, axes = plt.subplots(2, 5, figsize=(11, 4.9))
for (top, bottom), row, share in zip(axes.T, rows, shares):
    top.imshow(X[row].reshape(8, 8), cmap="gray_r")
    top.set_title(f"a {y[row]}", loc="center")
    bottom.imshow(share[:, y[row]].reshape(8, 8), cmap="PuOr", norm=norm)
    for ax in (top, bottom):
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
figure.colorbar(ScalarMappable(norm, "PuOr"), ax=axes[1], label="added to the score")
