"""Derivatives by the inputs, beside PyTorch's (``torch.func``) and JAX's.

    python benchmarks/derivatives.py

float32, one thread, arrays of NumPy in and arrays out. PyTorch takes ``torch.func`` as its pages
say (``vmap`` of ``jacrev``, ``vjp``, ``grad``), JAX the same functions jitted. Every result is
compared with the others' before it is timed, in turns in one process. Products with the Hessian are
given as multiples of one gradient of our own. Writes ``derivatives.json`` and ``derivatives.md``
into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import numpy as np  # noqa: E402
from fastmlp import MLP  # noqa: E402

HERE = Path(__file__).resolve().parent
#: Sizes, activation and rows.
CASES = {
    "20-64-64-3, 1 row": ([20, 64, 64, 3], "tanh", 1),
    "20-64-64-3, 1,000 rows": ([20, 64, 64, 3], "tanh", 1000),
    "784-128-10, 1,000 rows": ([784, 128, 10], "relu", 1000),
}
METHODS = ("vjp", "input_gradients", "jacobian", "jvp")
Call = Callable[[], Any]


def problem(case: str) -> tuple[MLP, Any, Any, Any]:
    """A network, rows, directions of the inputs, and of the outputs (which are targets, too)."""
    sizes, activation, n = CASES[case]
    net = MLP(sizes, activation, "identity", random_state=0, n_threads=1)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(n, k)).astype(np.float32) for k in (sizes[0], sizes[0], sizes[-1])]
    return net, *arrays


def of_fastmlp(case: str) -> dict[str, Call]:
    """The methods of a network."""
    net, x, d_x, d_y = problem(case)
    return {
        "vjp": lambda: net.vjp(x, d_y),
        "input_gradients": lambda: net.input_gradients(x, d_y),
        "jacobian": lambda: net.jacobian(x),
        "jvp": lambda: net.jvp(x, d_x),
    }


def of_torch(case: str) -> dict[str, Call]:
    """``torch.func`` of a module without parameters to follow."""
    import torch
    from torch.func import grad, jacrev, jvp, vjp, vmap

    torch.set_num_threads(1)
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


def of_jax(case: str) -> dict[str, Call]:
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


def measure(case: str, seconds: float) -> dict[str, dict[str, float]]:
    """Method → contender → seconds; results are compared first."""
    there = [name for name in MAKERS if name == "fastmlp" or importlib.util.find_spec(name)]
    calls = {name: MAKERS[name](case) for name in there}
    table = {}
    for method in METHODS:
        expected = calls["fastmlp"][method]()
        for name in there:
            np.testing.assert_allclose(
                calls[name][method](), expected, rtol=2e-3, atol=2e-4, err_msg=f"{name} {method}"
            )
        table[method] = least({name: calls[name][method] for name in there}, seconds)
    return table


def hessian_product(case: str, seconds: float) -> float:
    """A product with the Hessian, in gradients of the mean loss."""
    net, x, _, y = problem(case)
    v = np.random.default_rng(1).normal(size=net.parameters.shape).astype(np.float32)
    found = least(
        {
            "product": lambda: net.hessian_product(x, y, v),
            "gradient": lambda: net.loss_and_gradients(x, y),
        },
        seconds,
    )
    return found["product"] / found["gradient"]


def write(found: dict[str, Any], folder: Path) -> None:
    """The results, and as a table."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"dtype": "float32", "threads": 1, **found}, indent=1)
    (folder / "derivatives.json").write_text(text + "\n")
    names = list(next(iter(next(iter(found["seconds"].values())).values())))
    rows = ["| µs | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for case, table in found["seconds"].items():
        for method, seconds in table.items():
            cells = " | ".join(f"{1e6 * seconds[name]:,.1f}" for name in names)
            rows.append(f"| `{method}`, {case} | {cells} |")
    for case, ratio in found["hessian_product"].items():
        rows.append(
            f"| `hessian_product`, {case} | {ratio:.2f} gradients |" + " |" * (len(names) - 1)
        )
    (folder / "derivatives.md").write_text("\n".join(rows) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of the table")
    options = parser.parse_args()
    found: dict[str, Any] = {"seconds": {}, "hessian_product": {}}
    for case in CASES:
        found["seconds"][case] = table = measure(case, options.seconds)
        for method, seconds in table.items():
            words = (f"{name} {1e6 * value:.2f} µs" for name, value in seconds.items())
            print(f"{method}, {case}: {', '.join(words)}")
        if CASES[case][2] > 1:
            ratio = hessian_product(case, options.seconds)
            found["hessian_product"][case] = ratio
            print(f"hessian_product, {case}: {ratio:.2f} gradients")
    write(found, options.out)


if __name__ == "__main__":
    main()
