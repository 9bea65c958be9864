"""
A network in C, with bytes for weights
======================================

``to_c`` writes a header without dependencies. With ``type="int8"`` a weight is a byte, and rows of
calibration say how much that costs.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP
from fastmlp.datasets import load_digits, train_test_split

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.X / 16, digits.y, 500, random_state=0, stratify=digits.y
)
net = MLP([64, 48, 10], output="softmax", random_state=0)
net.fit(X, y, epochs=40)
header = net.to_c(name="digits", type="int8", calibration=(X_test, y_test))
print(header.loss)
print("\n".join(header.text.splitlines()[:12]))

# %%
# How far the bytes are from the weights, with one scale for each column, and what they need.

W = net.weights[0]
scale = abs(W).max(axis=0) / 127
rounded = np.round(W / scale) * scale
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
steps = (rounded - W) / scale
left.hist(steps.ravel(), np.linspace(-0.5, 0.5, 26), color="#0072B2", edgecolor="white")
left.set(xlabel="rounding (steps of a byte)", ylabel="weights", title="the first layer")
kinds = {"float64": 8, "float32": 4, "int8": 1}
sizes = [net.weights[0].size * b / 1024 + net.weights[1].size * b / 1024 for b in kinds.values()]
bars = right.bar(list(kinds), sizes, color=["#8C8C8C", "#56B4E9", "#D55E00"])
right.bar_label(bars, [f"{size:.1f} KiB" for size in sizes])
right.set(ylabel="memory of the weights (KiB)", title="what a controller has to hold")
