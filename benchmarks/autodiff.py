"""What derivatives and custom functions cost.

    python benchmarks/autodiff.py

Two tables. Gradients: value and gradient of functions of large arrays, in evaluations of the
graph (at most 4 are wanted); the same with tracing, in evaluations of the function by NumPy; and
torch's gradient in torch's evaluations, where it is installed. Custom functions: a
training step with a custom Mish and a custom Huber loss, in steps with the built-in ones (at most
1.3 are wanted), on every backend that has them. Writes ``autodiff.json`` into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fastmlp import MLP, activations, autodiff, kernels, losses, optimizers
from fastmlp.autodiff._backward import backward
from fastmlp.autodiff._graph import evaluate
from fastmlp.autodiff._node import topological
from harness import machine, timing

HERE = Path(__file__).resolve().parent
GRADIENT, CUSTOM = 4.0, 1.3


def softplus(np: Any, x: Any) -> Any:
    return np.sum(np.logaddexp(x, -x))


def mish(np: Any, x: Any) -> Any:
    return np.sum(x * np.tanh(np.log1p(np.exp(x))))


def rational(np: Any, x: Any) -> Any:
    return np.sum((x * x - 1) / (x * x + 1) + np.abs(x))


def branches(np: Any, x: Any) -> Any:
    return np.sum(np.where(x > 0, np.sqrt(np.abs(x) + 1), np.sin(x)) * x)


def network(np: Any, x: Any) -> Any:
    hidden = np.tanh(x @ x.T / x.shape[1])
    return np.sum((hidden @ x) ** 2)


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    f.__name__: f for f in (softplus, mish, rational, branches, network)
}


def gradients(rounds: int, quick: bool) -> dict[str, dict[str, float]]:
    """Time of value and gradient over that of the value."""
    rng = np.random.default_rng(0)
    try:
        import torch
    except ImportError:
        torch = None  # type: ignore[assignment]
    found = {}
    for name, f in FUNCTIONS.items():
        side = 64 if quick else 400
        x = rng.normal(size=(side, side) if name == "network" else side * side)
        both = autodiff.value_and_grad(lambda x, f=f: f(np, x))
        graph = autodiff.trace(lambda x, f=f: f(np, x), x)
        derivatives, _ = backward(graph.outputs[0], graph.inputs)
        gradient = topological([graph.outputs[0], *derivatives])
        given = {graph.inputs[0]: x}
        calls = {
            "NumPy": lambda f=f, x=x: f(np, x),
            "value": lambda nodes=graph.nodes, given=given: evaluate(nodes, given),
            "gradient": lambda nodes=gradient, given=given: evaluate(nodes, given),
            "traced": lambda both=both, x=x: both(x),
        }
        if torch is not None:
            torch.set_num_threads(1)
            tensor = torch.tensor(x, requires_grad=True)

            def torch_gradient(f: Any = f, tensor: Any = tensor, torch: Any = torch) -> None:
                torch.autograd.grad(f(torch, tensor), tensor)

            np.testing.assert_allclose(
                both(x)[1], torch.autograd.grad(f(torch, tensor), tensor)[0].numpy(), rtol=1e-8
            )
            plain = tensor.detach()
            calls["torch value"] = lambda f=f, plain=plain, torch=torch: f(torch, plain)
            calls["torch gradient"] = torch_gradient
        seconds = {k: t.minimum for k, t in timing.interleave(calls, rounds).items()}
        found[name] = {
            "seconds": seconds["NumPy"],
            "ratio": seconds["gradient"] / seconds["value"],
            "traced": seconds["traced"] / seconds["NumPy"],
            "torch": seconds.get("torch gradient", math.nan) / seconds.get("torch value", math.nan),
        }
    return found


def my_mish(z: Any) -> Any:
    return z * np.tanh(np.log1p(np.exp(z)))


def my_huber(z: Any, y: Any) -> Any:
    r = z - y
    return np.where(np.abs(r) <= 1, 0.5 * np.square(r), np.abs(r) - 0.5)


def steps(rounds: int, quick: bool) -> dict[str, dict[str, float]]:
    """Seconds of a step of 784-128-10, batches of 32, Adam, one thread, built-in and custom."""
    sizes = (20, 16, 3) if quick else (784, 128, 10)
    n = 64 if quick else 3200
    rng = np.random.default_rng(0)
    x = rng.random((n, sizes[0]), dtype=np.float32)
    y = rng.random((n, sizes[-1]), dtype=np.float32)
    pairs = {
        "built-in": ("mish", "huber"),
        "custom activation": (activations.custom(my_mish), "huber"),
        "custom loss": ("mish", losses.custom(my_huber)),
        "both": (activations.custom(my_mish), losses.custom(my_huber)),
    }
    rule = optimizers.Adam(1e-6).update_rule()
    found = {}
    for backend in kernels.available():
        if backend == "reference":
            continue
        with kernels.use_backend(backend):
            calls = {}
            for name, (activation, loss) in pairs.items():
                net = MLP(sizes, activation, random_state=0, n_threads=1, init="glorot_uniform")
                trainer = kernels.trainer(
                    net.architecture, np.float32, loss, rule, batch_size=32, n_threads=1
                )
                trainer.load(net.parameters)
                calls[name] = lambda trainer=trainer: trainer.run_epoch(x, y, None, 1e-6)
            values = [call() for call in calls.values()]
            np.testing.assert_allclose(values, values[0], rtol=1e-5)
            found[backend] = {
                name: t.minimum / (n // 32) for name, t in timing.interleave(calls, rounds).items()
            }
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small, to see that all works")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {"machine": machine.describe()}
    found["gradients"] = gradients(options.rounds, options.quick)
    print(f"value and gradient, in evaluations (wanted: at most {GRADIENT:g} of the graph)")
    print(f"{'function':<12}{'NumPy':>12}{'graph':>10}{'traced':>10}{'torch':>10}")
    for name, row in found["gradients"].items():
        ratios = "".join(f"{row[key]:>10.2f}" for key in ("ratio", "traced", "torch"))
        print(f"{name:<12}{1e6 * row['seconds']:>9.0f} µs{ratios}")
    found["steps"] = steps(options.rounds, options.quick)
    print(f"\na step of 784-128-10, in steps with built-in functions (wanted: at most {CUSTOM:g})")
    print(f"{'backend':<12}{'built-in':>12}{'activation':>12}{'loss':>10}{'both':>10}")
    for name, row in found["steps"].items():
        base = row["built-in"]
        ratios = [row[k] / base for k in ("custom activation", "custom loss", "both")]
        print(
            f"{name:<12}{1e6 * base:>9.1f} µs{ratios[0]:>12.2f}{ratios[1]:>10.2f}{ratios[2]:>10.2f}"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "autodiff.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


if __name__ == "__main__":
    main()
