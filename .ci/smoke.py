"""What an installed wheel must do on a machine with NumPy alone: train a network on real data.

``python smoke.py BACKEND`` fails unless that backend is the one that is chosen by default.
"""

import importlib.util
import shutil
import sys

import fastmlp
import numpy as np
from fastmlp import MLP, kernels
from fastmlp.datasets import load_digits

wanted = sys.argv[1]
info = kernels.info()
print(f"{fastmlp.__file__}: {info}")
assert info["backend"] == wanted, f"expected the backend {wanted}"
assert shutil.which("gcc") is None, "a compiler is on PATH: this shows nothing"
if wanted == "compiled":
    assert importlib.util.find_spec("numba") is None, "more than NumPy is installed"

digits = load_digits()
x, y = digits.X / 16, digits.y
net = MLP([64, 100, 10], activation="relu", output="softmax", random_state=0)
history = net.fit(x[:1500], y[:1500], optimizer="adam", epochs=30)
accuracy = (net.predict(x[1500:]).argmax(axis=1) == y[1500:]).mean()
print(
    f"loss {history.loss[0]:.3f} → {history.loss[-1]:.4f}, accuracy on unseen digits {accuracy:.3f}"
)
assert accuracy > 0.9
assert np.finfo(np.float32).smallest_subnormal > 0
