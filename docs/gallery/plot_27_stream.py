"""
A file that is read in pieces
=============================

The rows lie in a file, which is mapped and read a piece at a time: ``net.trainer`` makes a step
with each, and what is in memory stays small. Here 200 000 rows of 40 numbers.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from fastmlp import MLP

rng = np.random.default_rng(0)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "rows.npy"
rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(200_000, 41))
direction = rng.normal(size=(40, 3)).astype(np.float32) / 6
for begin in range(0, len(rows), 20_000):
    X = rng.normal(size=(20_000, 40)).astype(np.float32)
    signal = np.tanh(X @ direction) @ [1.0, -2.0, 1.5]
    rows[begin : begin + 20_000] = np.column_stack([X, signal + rng.normal(0, 0.1, 20_000)])
rows.flush()
print(f"{path.stat().st_size / 2**20:.0f} MiB")

# %%
# Once through the file, in steps of 256 rows; the last 20 000 are kept back.

stream = np.load(path, mmap_mode="r")
net = MLP([40, 32, 1], activation="tanh", random_state=0)
trainer = net.trainer(optimizer="adam", learning_rate=0.003)
losses = []
for begin in range(0, 180_000, 256):
    piece = np.array(stream[begin : min(begin + 256, 180_000)])
    losses.append(trainer.step(piece[:, :40], piece[:, 40]))
kept = np.array(stream[180_000:])
test = net.loss(kept[:, :40], kept[:, 40])

figure, ax = plt.subplots(figsize=(8, 4.4))
seen = 256 * np.arange(1, len(losses) + 1) / 1000
ax.semilogy(seen, losses, ".", ms=3, color="#56B4E9", label="each step, before its update")
ax.axhline(test, color="#D55E00", label=f"rows kept back: {test:.4f}")
ax.axhline(0.005, color="#333333", ls="--", lw=1.2, label="noise alone: 0.005")
ax.set(
    xlabel="thousand rows read", ylabel="loss (half squared error)", title="once through the file"
)
ax.legend()
del stream, rows
folder.cleanup()
