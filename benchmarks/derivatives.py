"""Derivatives by the inputs, beside PyTorch's (``torch.func``) and JAX's.

    python benchmarks/derivatives.py

float32, arrays of NumPy in and arrays out. PyTorch takes ``torch.func`` as its pages say (``vmap``
of ``jacrev``, ``vjp``, ``grad``), JAX the same functions jitted. Every result is compared with the
others' before it is timed, in turns in one process, which has as many cores as threads: no setting
of XLA keeps it from computing independent products side by side. Products with the Hessian are
given as multiples of one gradient of our own. Writes ``derivatives.json`` and ``derivatives.md``
into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fastmlp import MLP
from harness import isolated, machine, results

HERE = Path(__file__).resolve().parent
#: Sizes, activation and rows.
CASES = {
    "20-64-64-3, 1 row": ([20, 64, 64, 3], "tanh", 1),
    "20-64-64-3, 1,000 rows": ([20, 64, 64, 3], "tanh", 1000),
    "784-128-10, 1,000 rows": ([784, 128, 10], "relu", 1000),
}
METHODS = ("vjp", "input_gradients", "jacobian", "jvp")
Call = Callable[[], Any]


def problem(case: str, threads: int = 1) -> tuple[MLP, Any, Any, Any]:
    """A network, rows, directions of the inputs, and of the outputs (which are targets, too)."""
    sizes, activation, n = CASES[case]
    net = MLP(sizes, activation, "identity", random_state=0, n_threads=threads)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(n, k)).astype(np.float32) for k in (sizes[0], sizes[0], sizes[-1])]
    return net, *arrays


def of_fastmlp(case: str, threads: int) -> dict[str, Call]:
    """The methods of a network."""
    net, x, d_x, d_y = problem(case, threads)
    return {
        "vjp": lambda: net.vjp(x, d_y),
        "input_gradients": lambda: net.input_gradients(x, d_y),
        "jacobian": lambda: net.jacobian(x),
        "jvp": lambda: net.jvp(x, d_x),
    }


def of_torch(case: str, threads: int) -> dict[str, Call]:
    """``torch.func`` of a module without parameters to follow."""
    import torch
    from torch.func import grad, jacrev, jvp, vjp, vmap

    torch.set_num_threads(threads)
    net, *arrays = problem(case)
    model = net.to_torch()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    x, d_x, d_y = (torch.from_numpy(a) for a in arrays)

    def cost(row: Any, target: Any) -> Any:
        return 0.5 * ((model(row[None])[0] - target) ** 2).sum()

    of_rows = vmap(jacrev(lambda row: model(row[None])[0]))
    gradients = vmap(grad(cost))
    return {
        "vjp": lambda: vjp(model, x)[1](d_y)[0].numpy(),
        "input_gradients": lambda: gradients(x, d_y).numpy(),
        "jacobian": lambda: of_rows(x).numpy(),
        "jvp": lambda: jvp(model, (x,), (d_x,))[1].numpy(),
    }


def of_jax(case: str, threads: int) -> dict[str, Call]:
    """The same functions of JAX, jitted."""
    import jax
    import jax.numpy as jnp

    net, x, d_x, d_y = problem(case)
    act = jnp.tanh if CASES[case][1] == "tanh" else jax.nn.relu
    weights = [(jnp.array(w), jnp.array(b)) for w, b in zip(net.weights, net.biases, strict=True)]

    def outputs(a: Any) -> Any:
        for w, b in weights[:-1]:
            a = act(a @ w + b)
        return a @ weights[-1][0] + weights[-1][1]

    def cost(row: Any, target: Any) -> Any:
        return 0.5 * ((outputs(row) - target) ** 2).sum()

    jitted = {
        "vjp": (jax.jit(lambda x, d: jax.vjp(outputs, x)[1](d)[0]), (x, d_y)),
        "input_gradients": (jax.jit(jax.vmap(jax.grad(cost))), (x, d_y)),
        "jacobian": (jax.jit(jax.vmap(jax.jacrev(outputs))), (x,)),
        "jvp": (jax.jit(lambda x, d: jax.jvp(outputs, (x,), (d,))[1]), (x, d_x)),
    }
    return {
        name: lambda f=f, given=given: np.asarray(f(*given)) for name, (f, given) in jitted.items()
    }


MAKERS = {"fastmlp": of_fastmlp, "torch": of_torch, "jax": of_jax}


def least(calls: dict[str, Call], seconds: float) -> dict[str, float]:
    """Seconds of each call, the least of many short stretches taken in turns."""
    counts = {}
    for name, call in calls.items():
        started = time.perf_counter()
        call()
        counts[name] = max(1, int(0.002 / (time.perf_counter() - started + 1e-9)))
    found = dict.fromkeys(calls, np.inf)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, call in calls.items():
            started = time.perf_counter()
            for _ in range(counts[name]):
                call()
            spent = (time.perf_counter() - started) / counts[name]
            found[name] = min(found[name], spent)
    return found


def measure(case: str, threads: int, seconds: float) -> dict[str, Any]:
    """Method → contender → seconds, results being compared first; of many rows the Hessian's."""
    there = [name for name in MAKERS if name == "fastmlp" or importlib.util.find_spec(name)]
    calls = {name: MAKERS[name](case, threads) for name in there}
    table = {}
    for method in METHODS:
        expected = calls["fastmlp"][method]()
        for name in there:
            np.testing.assert_allclose(
                calls[name][method](), expected, rtol=2e-3, atol=2e-4, err_msg=f"{name} {method}"
            )
        table[method] = least({name: calls[name][method] for name in there}, seconds)
    found: dict[str, Any] = {"case": case, "threads": threads, "seconds": table}
    if CASES[case][2] > 1:
        found["hessian_product"] = hessian_product(case, threads, seconds)
    return found


def hessian_product(case: str, threads: int, seconds: float) -> float:
    """A product with the Hessian, in gradients of the mean loss."""
    net, x, _, y = problem(case, threads)
    v = np.random.default_rng(1).normal(size=net.parameters.shape).astype(np.float32)
    found = least(
        {
            "product": lambda: net.hessian_product(x, y, v),
            "gradient": lambda: net.loss_and_gradients(x, y),
        },
        seconds,
    )
    return found["product"] / found["gradient"]


def markdown(records: list[dict[str, Any]]) -> str:
    """A table for each number of threads."""
    parts = []
    for threads in dict.fromkeys(record["threads"] for record in records):
        chosen = [record for record in records if record["threads"] == threads]
        names = list(chosen[0]["seconds"][METHODS[0]])
        one = "1 thread" if threads == 1 else f"{threads} threads"
        rows = [f"| {one}, µs | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
        for record in chosen:
            for method, seconds in record["seconds"].items():
                cells = " | ".join(f"{1e6 * seconds[name]:,.1f}" for name in names)
                rows.append(f"| `{method}`, {record['case']} | {cells} |")
        for record in chosen:
            if "hessian_product" in record:
                text = f"| `hessian_product`, {record['case']} | {record['hessian_product']:.2f}"
                rows.append(f"{text} gradients |" + " |" * (len(names) - 1))
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of the table")
    parser.add_argument("--threads", default="1,2", help="thread counts, each one pinned core")
    parser.add_argument("--quick", action="store_true", help="short samples: does it all work?")
    options = parser.parse_args()
    records = []
    for threads in map(int, options.threads.split(",")):
        if threads > len(machine.usable_cores()):
            print(f"note: {threads} threads are left out, there are fewer cores")
            continue
        for case in CASES:
            seconds = 0.02 if options.quick else options.seconds
            request = {"case": case, "threads": threads, "seconds": seconds}
            records.append(record := isolated.call("derivatives:measure", request, threads))
            print(markdown([record]), flush=True)
    described = machine.describe()
    results.write_json(options.out / "derivatives.json", described, records)
    text = f"{markdown(records)}\n*{results.machine_line(described)}.*\n"
    (options.out / "derivatives.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
