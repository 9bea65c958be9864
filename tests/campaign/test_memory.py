"""Memory that is not there, and memory that stays: limits stepped through, and long runs."""

from __future__ import annotations

import sys

import pytest
from fresh import run_python, run_with_numba

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc and limits the address space"
)

RUN = {"compiled": run_python, "numba": run_with_numba}
LIMITS = """
import resource, sys
import numpy as np
from fastmlp import MLP, kernels
kernels.use_backend({backend!r})
rng = np.random.default_rng({seed})
X = rng.random((3000, 60), "f4")
y = rng.integers(0, 3, 3000)
options = dict(epochs=1, batch_size=1500, l1=1e-4, dropout=0.2, clip_norm=1.0)
MLP([60, 5, 3], output="softmax", random_state=0).fit(X[:9], y[:9], **options)  # compiles
size = 4096 * int(open("/proc/self/statm").read().split()[0])
refused = 0
for room in np.geomspace(1e5, 2e9, {steps}):
    net = MLP([60, 700, 500, 3], output="softmax", random_state=0)
    before = net.parameters.tobytes()
    resource.setrlimit(resource.RLIMIT_AS, (int(size + room), resource.RLIM_INFINITY))
    try:
        net.fit(X, y, **options)
        done = True
    except MemoryError:
        done = False
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    assert done or net.parameters.tobytes() == before, f"changed with {{room:.0f}} bytes"
    refused += not done
print(refused)
assert done, "2 GB are enough"
assert refused, "100 kB are not"
"""


def test_memory_that_is_not_there(fast_backend, trials):
    """``MemoryError``, and the network is as it was, whichever allocation fails."""
    for seed in trials(1):
        done = RUN[fast_backend](LIMITS.format(backend=fast_backend, seed=seed, steps=12))
        assert done.returncode == 0, f"seed {seed}: {done.stdout} {done.stderr}"


GROWTH = """
import gc, sys, tempfile
import numpy as np
from fastmlp import MLP, kernels, losses
kernels.use_backend({backend!r})
rng = np.random.default_rng(0)
X = rng.random((64, 30), "f4")
y = rng.random((64, 3), "f4")
net = MLP([30, 400, 3], random_state=0)
file = tempfile.mkdtemp() + "/net.safetensors"

def fit(i):
    MLP([30, 100, 3], random_state=i).fit(X, y, epochs=1, batch_size=16)

def predict(i):
    net.predict(X[: 1 + i % 64])

def save(i):
    net.save(file)
    MLP.load(file)

def gradients_of_many_losses(i):
    net.loss_and_gradients(X, y, loss=losses.Huber(1 + i / 1000))

def rss():
    gc.collect()
    return 4096 * int(open("/proc/self/statm").read().split()[1])

kind = {kind}
for i in range(80):  # more than there are prepared calls
    kind(i)
before = rss()
for i in range(80, 80 + {n}):
    kind(i)
grown = rss() - before
print(f"{{grown / 1e6:.1f}} MB")
assert grown < 8e6, grown
"""


@pytest.mark.parametrize("kind", ["fit", "predict", "save", "gradients_of_many_losses"])
@pytest.mark.covers("kind", "fast_backend")
def test_memory_does_not_grow(fast_backend, kind, trials):
    if kind == "save":
        pytest.importorskip("safetensors")
    n = 150 * len(trials(1))
    done = RUN[fast_backend](GROWTH.format(backend=fast_backend, kind=kind, n=n))
    assert done.returncode == 0, done.stdout + done.stderr
