"""Many networks at once: ``fit_many`` against our own loop of ``fit`` and other libraries.

    python benchmarks/many.py            # prints the table and writes results/many.json
    python benchmarks/many.py --quick    # does it all work?

``loop`` is a Python loop of ``MLP.fit``; ``epoch by epoch`` the same where something (here a
callback that does nothing) looks at every epoch, so that the engine is entered for each. ``jax`` is
one scan over the epochs and steps of networks stacked by ``vmap``, compiled before it is timed.
``scikit-learn`` trains a few of the networks one after another, and its time is scaled up. Rivals
run in turn, round after round; of each the fastest round counts. Bits of ``fit_many`` are compared
with those of the loop before anything is timed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastmlp import MLP, fit_many
from harness import machine, results

HERE = Path(__file__).parent
#: Networks that scikit-learn trains.
FEW = 4


@dataclass(frozen=True)
class Case:
    """So many networks of one shape, on shared rows or each on its own part of them."""

    name: str
    networks: int
    sizes: tuple[int, ...]
    rows: int
    batch: int
    epochs: int
    own_rows: bool


CASES = (
    Case("64 x 20-64-64-1, batch 64, Adam", 64, (20, 64, 64, 1), 1024, 64, 5, False),
    Case("500 groups of 100 rows, 6-16-1, batch 32", 500, (6, 16, 1), 50_000, 32, 50, True),
)


def data(case: Case) -> tuple[Any, Any, list[Any]]:
    """Rows, targets, and which rows each network has."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(case.rows, case.sizes[0])).astype(np.float32)
    y = (x[:, 0] * x[:, 1])[:, None]
    n = case.rows // case.networks
    whole = [slice(0, case.rows)] * case.networks
    parts = [slice(i * n, (i + 1) * n) for i in range(case.networks)]
    return x, y, parts if case.own_rows else whole


def networks(case: Case) -> list[MLP]:
    """New networks, the same in every round."""
    return [MLP(case.sizes, random_state=i, n_threads=1) for i in range(case.networks)]


def contenders(case: Case, rivals: bool) -> dict[str, Callable[[list[MLP]], Any]]:
    """What is timed, by name: functions of new networks, which others do not look at."""
    x, y, rows = data(case)
    options: dict[str, Any] = {"epochs": case.epochs, "batch_size": case.batch}

    def loop(nets: list[MLP], **more: Any) -> None:
        for net, part in zip(nets, rows, strict=True):
            net.fit(x[part], y[part], **options, **more)

    def many(nets: list[MLP], n_threads: int) -> None:
        fit_many(nets, x, y, rows=rows, n_threads=n_threads, **options)

    found: dict[str, Callable[[list[MLP]], Any]] = {
        "loop": loop,
        "epoch by epoch": lambda nets: loop(nets, callbacks=[lambda net, history: None]),
        "fit_many, 1 thread": lambda nets: many(nets, 1),
        "fit_many, 2 threads": lambda nets: many(nets, 2),
    }
    loop(expected := networks(case))
    for name in ("epoch by epoch", "fit_many, 1 thread", "fit_many, 2 threads"):
        found[name](nets := networks(case))
        for ours, alone in zip(nets, expected, strict=True):
            np.testing.assert_array_equal(ours.parameters, alone.parameters)
    for name, make in (("jax", _jax), ("scikit-learn", _sklearn)) if rivals else ():
        try:
            found[name] = make(case, x, y, rows)
        except ImportError:
            print(f"  (without {name}, which is not installed)")
    return found


def _sklearn(case: Case, x: Any, y: Any, rows: list[Any]) -> Callable[[Any], Any]:
    from sklearn.neural_network import MLPRegressor

    def run(_: Any) -> None:
        for i, part in enumerate(rows[:FEW]):
            model = MLPRegressor(
                hidden_layer_sizes=case.sizes[1:-1],
                batch_size=case.batch,
                max_iter=case.epochs,
                tol=0,
                random_state=i,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(x[part], y[part].ravel())

    return run


def _jax(case: Case, x: Any, y: Any, rows: list[Any]) -> Callable[[Any], Any]:
    import jax
    import jax.numpy as jnp

    xs = jnp.stack([x[part] for part in rows]) if case.own_rows else jnp.asarray(x)
    ys = jnp.stack([y[part] for part in rows]) if case.own_rows else jnp.asarray(y)
    n = xs.shape[-2]
    steps, batch = n // case.batch, case.batch  # what is left over is not visited

    def loss(parameters: Any, a: Any, target: Any) -> Any:
        *hidden, last = parameters
        for weights, bias in hidden:
            a = jax.nn.relu(a @ weights + bias)
        return 0.5 * jnp.mean((a @ last[0] + last[1] - target) ** 2)

    def step(state: Any, index: Any, own_x: Any, own_y: Any) -> Any:
        parameters, m, v, t = state
        gradient = jax.grad(loss)(parameters, own_x[index], own_y[index])
        t, tree = t + 1, jax.tree_util.tree_map
        m = tree(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
        v = tree(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
        scale = jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        change = tree(lambda p, a, b: p - 1e-3 * scale * a / (jnp.sqrt(b) + 1e-8), parameters, m, v)
        return (change, m, v, t), None

    def train(key: Any, parameters: Any, own_x: Any, own_y: Any) -> Any:
        zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)

        def epoch(state: Any, one: Any) -> Any:
            order = jax.random.permutation(one, n)[: steps * batch].reshape(steps, batch)
            return jax.lax.scan(lambda s, i: step(s, i, own_x, own_y), state, order)

        keys = jax.random.split(key, case.epochs)
        return jax.lax.scan(epoch, (parameters, zeros, zeros, 0.0), keys)[0][0]

    shared = 0 if case.own_rows else None
    together = jax.jit(jax.vmap(train, in_axes=(0, 0, shared, shared)))
    nets = networks(case)
    start = [
        (jnp.stack([net.weights[i] for net in nets]), jnp.stack([net.biases[i] for net in nets]))
        for i in range(len(case.sizes) - 1)
    ]
    keys = jax.random.split(jax.random.PRNGKey(0), case.networks)
    jax.block_until_ready(together(keys, start, xs, ys))
    return lambda _: jax.block_until_ready(together(keys, start, xs, ys))


def measure(case: Case, rounds: int, rivals: bool = True) -> dict[str, float]:
    """Seconds of the fastest round of each."""
    timed = contenders(case, rivals)
    best = dict.fromkeys(timed, float("inf"))
    for _ in range(rounds):
        for name, call in timed.items():
            nets = networks(case)
            started = time.perf_counter()
            call(nets)
            best[name] = min(best[name], time.perf_counter() - started)
    if "scikit-learn" in best:
        best["scikit-learn"] *= case.networks / FEW
    return best


def report(case: Case, seconds: dict[str, float]) -> str:
    """A line for each, with its time in multiples of the fastest of ours."""
    ours = min(seconds[name] for name in seconds if name.startswith("fit_many"))
    lines = [f"{case.name}, {case.epochs} epochs"]
    for name, value in sorted(seconds.items(), key=lambda item: item[1]):
        lines.append(f"  {name:20} {value * 1e3:9.1f} ms {value / ours:7.2f}×")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="one round: does it all work?")
    options = parser.parse_args()
    found = []
    for case in CASES:
        seconds = measure(case, 1 if options.quick else options.rounds)
        print(report(case, seconds))
        found.append({"case": case.name, "epochs": case.epochs, "seconds": seconds})
    results.write_json(options.out / "many.json", machine.describe(), found)
    print(f"Written to {options.out}: many.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
