"""One training step through Python: ``trainer.step`` beside PyTorch's and JAX's, and the engine's.

    python benchmarks/steps.py

Adam, float32, one thread, arrays of NumPy in. PyTorch takes its fused Adam, JAX a jitted step that
donates its parameters and moments; the time of the engine is that of a step of an epoch of 200.
Each contender's step is checked against the others' loss before it is timed, in turns in one
process that has one core. Then calls of estimators and of ``fit`` with little to compute,
scikit-learn's beside them. Writes ``steps.json`` into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fastmlp import MLP, kernels
from harness import isolated, machine, results

HERE = Path(__file__).resolve().parent
#: Shape → hidden activation, output, rows of a step.
SHAPES = {"4-16-3": ("relu", "softmax", 16), "20-64-64-1": ("tanh", "identity", 64)}
#: Steps that the engine makes in one call.
EPOCH = 200
Step = Callable[[], float]


def problem(shape: str) -> tuple[MLP, Any, Any]:
    """A network, and rows and targets of one step."""
    activation, output, n = SHAPES[shape]
    sizes = [int(size) for size in shape.split("-")]
    net = MLP(sizes, activation, output, random_state=0, n_threads=1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, sizes[0])).astype(np.float32)
    if output == "softmax":
        return net, x, rng.integers(0, sizes[-1], n)
    return net, x, rng.normal(size=(n, sizes[-1])).astype(np.float32)


def of_fastmlp(shape: str) -> Step:
    """``trainer.step`` on the live backend."""
    net, x, y = problem(shape)
    trainer = net.trainer()
    return lambda: trainer.step(x, y)


def of_torch(shape: str) -> Step:
    """PyTorch with fused Adam."""
    import torch

    torch.set_num_threads(1)
    net, x, y = problem(shape)
    model = net.to_torch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
    rows, target = torch.from_numpy(x), torch.from_numpy(y)
    labels = SHAPES[shape][1] == "softmax"

    def step() -> float:
        optimizer.zero_grad()
        out = model(rows)
        if labels:
            loss = torch.nn.functional.nll_loss(torch.log(out), target)
        else:
            loss = 0.5 * ((out - target) ** 2).sum(dim=1).mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def of_jax(shape: str) -> Step:
    """JAX, the whole step jitted, its arguments donated."""
    import jax
    import jax.numpy as jnp

    net, x, y = problem(shape)
    labels = SHAPES[shape][1] == "softmax"
    act = jnp.tanh if SHAPES[shape][0] == "tanh" else jax.nn.relu

    def cost(weights: Any, x: Any, y: Any) -> Any:
        for w, b in weights[:-1]:
            x = act(x @ w + b)
        z = x @ weights[-1][0] + weights[-1][1]
        if labels:
            return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()
        return 0.5 * ((z - y) ** 2).sum(axis=1).mean()

    def update(state: Any, x: Any, y: Any) -> tuple[Any, Any]:
        weights, mean, square, t = state
        loss, gradient = jax.value_and_grad(cost)(weights, x, y)
        t = t + 1
        tree = jax.tree_util.tree_map
        mean = tree(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = tree(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradient)
        rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = tree(lambda w, m, s: w - rate * m / (jnp.sqrt(s) + 1e-8), weights, mean, square)
        return (weights, mean, square, t), loss

    weights = [(jnp.array(w), jnp.array(b)) for w, b in zip(net.weights, net.biases, strict=True)]
    zeros = jax.tree_util.tree_map(jnp.zeros_like, weights)
    state = (weights, zeros, jax.tree_util.tree_map(jnp.zeros_like, weights), jnp.float32(0))
    jitted = jax.jit(update, donate_argnums=0)

    def step() -> float:
        nonlocal state
        state, loss = jitted(state, x, y)
        return float(loss)

    return step


def of_engine(shape: str) -> Step:
    """A step of the engine in an epoch without Python in between."""
    net, x, y = problem(shape)
    rule = kernels.UpdateRule("adam")
    loss = "cross_entropy" if SHAPES[shape][1] == "softmax" else "squared_error"
    engine = kernels.trainer(
        *(net.architecture, net.dtype, loss, rule), batch_size=len(x), n_threads=1
    )
    engine.load(net.parameters)
    rows, targets = np.concatenate([x] * EPOCH), np.concatenate([y] * EPOCH)
    return lambda: engine.run_epoch(rows, targets, None, 0.001)


CONTENDERS = {"fastmlp": of_fastmlp, "torch": of_torch, "jax": of_jax}


def measure(shape: str, rounds: int) -> dict[str, float]:
    """Seconds of a step, the least of many short stretches taken in turns."""
    found = {"fastmlp": of_fastmlp}
    found |= {name: CONTENDERS[name] for name in ("torch", "jax") if importlib.util.find_spec(name)}
    steps = {name: make(shape) for name, make in found.items()}
    losses = {name: [step() for _ in range(20)] for name, step in steps.items()}
    for name, curve in losses.items():
        np.testing.assert_allclose(curve, losses["fastmlp"], rtol=1e-3, err_msg=name)
    steps["engine"] = of_engine(shape)
    least = dict.fromkeys(steps, np.inf)
    for _ in range(rounds):
        for name, step in steps.items():
            calls = 1 if name == "engine" else 40
            started = time.perf_counter()
            for _ in range(calls):
                step()
            spent = (time.perf_counter() - started) / calls
            least[name] = min(least[name], spent / (EPOCH if name == "engine" else 1))
    return least


def small_calls(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of calls with little to compute: one row, one batch, iris; scikit-learn's, too."""
    from fastmlp import MLPClassifier, MLPRegressor
    from sklearn import neural_network as theirs
    from sklearn.datasets import load_iris

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 4)), rng.normal(size=1)
    rows, labels = load_iris(return_X_y=True)
    net, batch, classes = problem("4-16-3")
    options = {"hidden_layer_sizes": (16,), "random_state": 0}
    ours, other = (kind(**options) for kind in (MLPRegressor, theirs.MLPRegressor))
    iris, sklearn_iris = (
        kind(**options, max_iter=20) for kind in (MLPClassifier, theirs.MLPClassifier)
    )
    engine = kernels.trainer(
        *(iris.fit(rows, labels)._architecture(), np.dtype("f8"), "cross_entropy"),
        kernels.UpdateRule("adam"),
        batch_size=len(rows),
        l2=iris.alpha,
        l2_over_batch=True,
        n_threads=1,
    )
    engine.load(iris._packed())
    orders, rates = np.tile(np.arange(len(rows)), (20, 1)), np.full(20, 1e-3)
    contenders: dict[str, dict[str, Callable[[], Any]]] = {
        "partial_fit of one row": {
            "fastmlp": lambda: ours.partial_fit(x, y),
            "scikit-learn": lambda: other.partial_fit(x, y),
        },
        "MLP.fit of one batch": {
            "fastmlp": lambda: net.fit(batch, classes, epochs=1, batch_size=len(batch)),
        },
        "fit of iris, 20 epochs": {
            "fastmlp": lambda: iris.fit(rows, labels),
            "scikit-learn": lambda: sklearn_iris.fit(rows, labels),
            "engine": lambda: engine.run_epochs(rows, labels, orders, rates),
        },
    }
    found = {}
    for what, calls in contenders.items():
        least = dict.fromkeys(calls, np.inf)
        for _ in range(rounds):
            for name, call in calls.items():
                call()
                started = time.perf_counter()
                for _ in range(3):
                    call()
                least[name] = min(least[name], (time.perf_counter() - started) / 3)
        found[what] = least
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="two rounds: does it all work?")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    found = {}
    for shape in SHAPES:
        request = {"shape": shape, "rounds": rounds}
        found[shape] = seconds = isolated.call("steps:measure", request, 1)
        words = (f"{name} {1e6 * value:.2f} µs" for name, value in seconds.items())
        print(f"{shape}: {', '.join(words)}")
    if importlib.util.find_spec("sklearn"):
        calls = isolated.call("steps:small_calls", {"rounds": max(2, rounds // 5)}, 1)
        for what, seconds in calls.items():
            words = (f"{name} {1e6 * value:.1f} µs" for name, value in seconds.items())
            print(f"{what}: {', '.join(words)}")
        found |= calls
    records = [{"case": what, "seconds": seconds} for what, seconds in found.items()]
    results.write_json(options.out / "steps.json", machine.describe(), records)


if __name__ == "__main__":
    main()
