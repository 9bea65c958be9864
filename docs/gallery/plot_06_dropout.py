"""
Dropout and weight decay
========================

Few rows and many weights: what a plain network, weight decay and dropout do with 150 images.
"""

from typing import Any

import matplotlib.pyplot as plt
from fastmlp import MLP, optimizers
from fastmlp.datasets import load_digits, train_test_split

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.X / 16, digits.y, 1000, random_state=0, stratify=digits.y
)
X, y = X[:150], y[:150]
WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({}, "-"),
    "weight decay 0.3": ({"optimizer": optimizers.AdamW(0.002, weight_decay=0.3)}, "--"),
    "dropout 0.5": ({"dropout": 0.5}, "-."),
    "dropout 0.2 of inputs, 0.5": ({"dropout": [0.2, 0.5, 0.5]}, ":"),
}

# %%
# All get about as many test rows right. How sure they are where they are wrong, which the loss
# measures, differs much.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
for name, (options, line) in WAYS.items():
    net = MLP([64, 200, 200, 10], output="softmax", random_state=0)
    options = {"optimizer": optimizers.Adam(0.002), **options}
    history = net.fit(
        *(X, y), epochs=120, batch_size=15, validation_data=(X_test, y_test),
        metrics="accuracy", **options,
    )  # fmt: skip
    left.plot(history.validation_loss, ls=line, label=name)
    right.plot([100 * a for a in history.metrics["validation_accuracy"]], ls=line, label=name)
left.set(xlabel="epoch", ylabel="loss of the test rows (nats)", title="loss", ylim=(1, 2.4))
right.set(xlabel="epoch", ylabel="test rows that are right (%)", title="accuracy", ylim=(76, 88))
right.legend(loc="lower right", framealpha=0.8)
