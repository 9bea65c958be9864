"""
Optimizers on one problem
=========================

The same network from the same weights: loss over the epochs for rules that use the gradient's sign,
its running means, or, with all rows at once, its curvature.
"""

import matplotlib.pyplot as plt
from fastmlp import MLP, optimizers
from fastmlp.datasets import load_digits

digits = load_digits()
X, y = digits.X / 16, digits.y
RULES = {
    "SGD": optimizers.SGD(0.1),
    "SGD, Nesterov 0.9": optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "RMSprop": optimizers.RMSprop(0.002),
    "Adam": optimizers.Adam(0.003),
    "Adagrad": optimizers.Adagrad(0.05),
    "Lion": optimizers.Lion(0.0005),
    "L-BFGS, all rows": optimizers.LBFGS(),
}
LINES = ["-", "--", "-.", "-", ":", (0, (6, 2)), "-"]

figure, ax = plt.subplots(figsize=(8.4, 5))
for (name, rule), line in zip(RULES.items(), LINES):
    net = MLP([64, 32, 10], activation="tanh", output="softmax", random_state=0)
    history = net.fit(X, y, optimizer=rule, epochs=40)
    ax.semilogy(range(1, 1 + history.epochs), history.loss, ls=line, label=name)
ax.set(xlabel="epoch (for L-BFGS: iteration)", ylabel="training loss (cross-entropy, nats)",
       title="digits, 64-32-10")  # fmt: skip
ax.legend(ncols=2, loc="lower left")
