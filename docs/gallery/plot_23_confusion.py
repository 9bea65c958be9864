"""
What is taken for what
======================

The confusion of a small network on test images, and the images that it is most wrong about.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, metrics
from fastmlp.datasets import load_digits, train_test_split

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.X / 16, digits.y, 700, random_state=1, stratify=digits.y
)
net = MLP([64, 16, 10], output="softmax", random_state=0)
net.fit(X, y, epochs=40)
predicted = net.predict_classes(X_test)
table = metrics.confusion(y_test, predicted)

figure, ax = plt.subplots(figsize=(6.4, 5.2))
image = ax.imshow(np.where(table > 0, table, np.nan), cmap="cividis", norm="log")
for (i, j), count in np.ndenumerate(table):
    if count:
        ax.text(j, i, count, ha="center", va="center",
                color="black" if count > 20 else "white")  # fmt: skip
ax.set(xlabel="predicted digit", ylabel="true digit", xticks=range(10), yticks=range(10),
       title=f"{(predicted == y_test).mean():.1%} of 700 are right")  # fmt: skip
figure.colorbar(image, ax=ax, label="images", ticks=[1, 2, 5, 10, 20, 50], format="%d")

# %%
# Those with the smallest probability of what they are: true digit, and what it was taken for.

losses = -net.log_probabilities(X_test)[np.arange(700), y_test]
figure, axes = plt.subplots(2, 6, figsize=(7.6, 3.2))
for ax, row in zip(axes.flat, np.argsort(losses)[::-1]):
    ax.imshow(X_test[row].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{y_test[row]} as {predicted[row]}", loc="center")
    ax.axis("off")
