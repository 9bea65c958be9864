"""
Learning online
===============

Rows come one at a time, and the world changes after half of them. An estimator whose
``partial_fit`` sees each row once follows; one that was fitted at the beginning does not.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLPRegressor

rng = np.random.default_rng(0)
n = 4000
X = rng.uniform(-1, 1, (n, 2))
before = np.sin(3 * X[:, 0]) * X[:, 1]
after = np.cos(2 * X[:, 0]) + 0.5 * X[:, 1]
y = np.where(np.arange(n) < n // 2, before, after) + rng.normal(0, 0.05, n)

online = MLPRegressor(hidden_layer_sizes=(24,), learning_rate_init=0.01, alpha=0, random_state=0)
fixed = MLPRegressor(
    hidden_layer_sizes=(24,), learning_rate_init=0.01, random_state=0, max_iter=300
)
fixed.fit(X[:500], y[:500])
errors = np.empty((2, n))
for i in range(n):
    row = X[i : i + 1]
    errors[0, i] = abs(online.predict(row)[0] - y[i]) if i else abs(y[i])  # first predict,
    online.partial_fit(row, y[i : i + 1])  # then learn
errors[1] = abs(fixed.predict(X) - y)

smooth = np.array([np.convolve(e, np.ones(100) / 100, "valid") for e in errors])
figure, ax = plt.subplots(figsize=(8, 4.4))
steps = np.arange(100, n + 1)
ax.plot(steps, smooth[1], "--", color="#D55E00", label="fitted to the first 500 rows")
ax.plot(steps, smooth[0], color="#0072B2", label="partial_fit with every row")
ax.axvline(n // 2, color="#333333", ls=":", label="the world changes")
ax.set(xlabel="row", ylabel="mean |error| of the last 100 rows", title="predict, then learn")
ax.set_ylim(0)
ax.legend(loc="upper left")
