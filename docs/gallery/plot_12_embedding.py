"""
What a hidden layer sees
========================

A hidden layer of two neurons makes a plane of the 64 pixels of a digit. ``layer_outputs`` gives
what it computes.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP
from fastmlp.datasets import load_digits
from fastmlp.plot import _style

digits = load_digits()
X, y = digits.X / 16, digits.y
net = MLP([64, 60, 2, 60, 10], activation="tanh", output="softmax", random_state=0)
net.fit(X, y, epochs=150, learning_rate="cosine")
places = net.layer_outputs(X, 2)
print(f"{(net.predict_classes(X) == y).mean():.1%} right through two numbers")

figure, ax = plt.subplots(figsize=(7.4, 6))
for digit, colour in enumerate(_style.class_colours(10)):
    rows = places[y == digit]
    ax.plot(*rows.T, ".", ms=4, color=colour)
    x, height = np.median(rows, axis=0)
    ax.text(x, height, str(digit), size=15, weight="bold", ha="center", va="center",
            bbox={"boxstyle": "circle", "fc": "white", "ec": colour, "lw": 2})  # fmt: skip
ax.set(xlabel="output of the first neuron", ylabel="output of the second neuron",
       title="1797 digits in a layer of two neurons")  # fmt: skip
