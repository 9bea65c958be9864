"""
Transfer learning
=================

A network that tells the ten digits apart is asked something new: is the digit a prime? Its first
layer is taken over: a head start of some per cent. ``trainable`` keeps a layer as it is. An
illustration: question and sizes were chosen so that the effect is visible.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP
from fastmlp.datasets import load_digits

digits = load_digits()
X = digits.X / 16
prime = np.isin(digits.y, [2, 3, 5, 7]).astype(int)
source = MLP([64, 40, 10], activation="tanh", output="softmax", random_state=0)
source.fit(X[:800], digits.y[:800], epochs=60)
X_new, y_new = X[800:1200], prime[800:1200]
X_test, y_test = X[1200:], prime[1200:]

# %%
# For each number of labels: the mean accuracy over ten draws of them, and over as many seeds.

COUNTS = [5, 10, 20, 40, 80, 160]
WAYS: dict[str, tuple[bool, bool | list[bool]]] = {
    "from scratch": (False, True),
    "first layer taken over": (True, True),
    "taken over and kept": (True, [False, True]),
}
accuracy = {name: np.empty((len(COUNTS), 10)) for name in WAYS}
for i, count in enumerate(COUNTS):
    for seed in range(10):
        rows = np.random.default_rng(seed).permutation(400)[:count]
        for name, (taken_over, trainable) in WAYS.items():
            net = MLP([64, 40, 2], activation="tanh", output="softmax", random_state=seed)
            if taken_over:
                net.weights[0], net.biases[0] = source.weights[0], source.biases[0]
            net.fit(X_new[rows], y_new[rows], epochs=80, batch_size=10, trainable=trainable)
            accuracy[name][i, seed] = 100 * (net.predict_classes(X_test) == y_test).mean()

figure, ax = plt.subplots()
for (name, values), style in zip(accuracy.items(), ["o-", "s--", "^-."]):
    mean, deviation = values.mean(axis=1), values.std(axis=1)
    ax.plot(COUNTS, mean, style, label=name)
    ax.fill_between(COUNTS, mean - deviation, mean + deviation, alpha=0.12)
ax.set(xscale="log", xlabel="images with the new label", ylabel="test images that are right (%)",
       title="is the digit a prime?")  # fmt: skip
ax.set_xticks(COUNTS, [str(count) for count in COUNTS])
ax.minorticks_off()
ax.legend(loc="lower right")
