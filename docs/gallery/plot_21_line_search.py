"""
Step sizes by line search
=========================

On a narrow valley a constant step is either too short or too long. A line search tries until the
loss has fallen enough; L-BFGS also turns the direction.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, optimizers

rng = np.random.default_rng(0)
X = rng.normal(size=(400, 6)) * [1, 1, 1, 5, 5, 0.2]
y = np.tanh(X[:, 0] - X[:, 1]) + 0.1 * X[:, 3] + rng.normal(0, 0.02, 400)
WAYS = {
    "constant step 0.02": (optimizers.GradientDescent(0.02), "-"),
    "Armijo": (optimizers.GradientDescent(line_search="armijo"), "--"),
    "strong Wolfe": (optimizers.GradientDescent(line_search="wolfe"), "-."),
    "L-BFGS": (optimizers.LBFGS(), "-"),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
for (name, (optimizer, line)), colour in zip(WAYS.items(), ["C0", "C1", "C2", "C3"]):
    net = MLP([6, 12, 1], activation="tanh", dtype="float64", random_state=1)
    history = net.fit(X, y, optimizer=optimizer, epochs=150)
    left.semilogy(history.loss, ls=line, color=colour, label=name)
    right.semilogy(history.learning_rate, ls=line, color=colour, lw=1.1)
left.set(xlabel="iteration", ylabel="loss (half squared error)", title="the loss")
right.set(xlabel="iteration", ylabel="step that was found", title="the steps")
left.legend(loc="upper right")
