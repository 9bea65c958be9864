"""
Early stopping
==============

A network that is large for its data learns the noise in the end. Early stopping watches the loss of
validation rows, and gives the weights of the best epoch back. An illustration: data and sizes were
chosen so that the effect is visible.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP, History, stopping

rng = np.random.default_rng(2)
x = np.sort(rng.uniform(-1, 1, 60))
y = np.sin(4 * x) + rng.normal(0, 0.4, 60)
train, validation = np.arange(60) % 3 != 0, np.arange(60) % 3 == 0
X = x[:, None]


def fit(stop: stopping.StopRule | None) -> tuple[MLP, History]:
    net = MLP([1, 100, 100, 1], activation="relu", random_state=0)
    history = net.fit(
        *(X[train], y[train]),
        epochs=1500,
        batch_size=8,
        learning_rate=0.003,
        validation_data=(X[validation], y[validation]),
        stop=stop,
    )
    return net, history


longer, whole = fit(None)
stopped, history = fit(stopping.EarlyStopping("validation_loss", patience=150))
print(history.stop_message)

# %%
# The curve of the stopped network is the calmer one.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
left.semilogy(whole.loss, color="#0072B2", lw=1, label="training")
left.semilogy(whole.validation_loss, color="#D55E00", lw=1.5, label="validation")
left.axvline(
    history.best_epoch, color="#333333", ls="--", label=f"best: epoch {history.best_epoch}"
)
left.set(xlabel="epoch", ylabel="loss (half squared error)", title="1500 epochs")
left.set_yticks([0.05, 0.1, 0.2, 0.4], ["0.05", "0.1", "0.2", "0.4"])
left.minorticks_off()
left.legend()
grid = np.linspace(-1, 1, 400)[:, None]
right.plot(x[train], y[train], "o", ms=4, color="#0072B2", label="training rows")
right.plot(x[validation], y[validation], "s", ms=4, color="#D55E00", label="validation rows")
right.plot(grid, longer.predict(grid), color="#8C8C8C", lw=1.5, label="after 1500 epochs")
right.plot(grid, stopped.predict(grid), color="#009E73", lw=2.5, label="stopped")
right.set(xlabel="x", ylabel="y", title="what was learnt")
right.legend()
