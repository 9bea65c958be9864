"""
Learning-rate schedules
=======================

Targets with noise, plain descent in small batches: a constant rate keeps trembling about the
minimum, and every schedule that ends low comes to rest three times as close to the truth. An
illustration: noise, rate and size of the batches were chosen so that the effect is visible.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, optimizers, schedules

rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 8))
truth = 2 * MLP([8, 16, 1], activation="tanh", random_state=9).predict(X)[:, 0]
y = truth + rng.normal(0, 0.5, 3000)
SCHEDULES = {
    "constant": schedules.Constant(),
    "step": schedules.Step(10, gamma=0.3),
    "exponential": schedules.Exponential(0.9),
    "cosine": schedules.Cosine(),
    "warm-up, then cosine": schedules.Warmup(3, after="cosine", every="epoch"),
    "one cycle": schedules.OneCycle(),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8))
for (name, schedule), line in zip(SCHEDULES.items(), ["-", "--", "-.", ":", (0, (5, 1)), "-"]):
    net = MLP([8, 32, 1], activation="tanh", random_state=0)
    history = net.fit(
        *(X[:2000], y[:2000]),
        optimizer=optimizers.SGD(0.1),
        learning_rate=schedule,
        batch_size=8,
        epochs=30,
        validation_data=(X[2000:], truth[2000:]),
    )
    epochs = range(1, 31)
    left.plot(epochs, history.learning_rate, ls=line, label=name)
    right.semilogy(epochs, history.validation_loss, ls=line, label=name)
left.set(xlabel="epoch", ylabel="learning rate", title="the rate")
right.set(xlabel="epoch", ylabel="half squared distance from the truth", title="1000 further rows")
right.legend(loc="upper right")
