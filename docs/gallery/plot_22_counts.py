"""
Counts: the Poisson loss
========================

A count cannot be negative, and scatters more where it is large. ``output="exp"`` with its Poisson
loss knows that; squared error predicts less than nothing in winter. An illustration: the rates were
chosen so that the effect is visible.
"""

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP

rng = np.random.default_rng(5)
day = np.sort(rng.uniform(0, 365, 60))
rate = np.exp(0.2 + 1.8 * np.sin(day / 365 * 2 * np.pi - 1.2))
counts = rng.poisson(rate)
X = (day[:, None] - 182) / 100
days = np.linspace(0, 365, 400)

figure, ax = plt.subplots(figsize=(8, 4.6))
ax.plot(day, counts, "o", ms=4, color="#8C8C8C", alpha=0.6, label="counts")
ax.plot(day, rate, color="#333333", ls="--", label="true rate")
for output, style, colour in [("exp", "-", "#0072B2"), ("identity", "-.", "#D55E00")]:
    net = MLP([1, 16, 1], activation="tanh", output=output, random_state=0)
    net.fit(X, counts.astype(float), epochs=400, learning_rate=0.01)
    name = "Poisson loss, exp" if output == "exp" else "squared error, identity"
    predicted = net.predict((days[:, None] - 182) / 100)[:, 0]
    ax.plot(days, predicted, style, color=colour, label=f"{name}: at least {predicted.min():.2f}")
ax.set(xlabel="day of the year", ylabel="events a day", title="events over the year")
ax.legend()
