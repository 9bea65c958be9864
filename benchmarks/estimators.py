"""Whole ``fit`` calls of the estimators beside scikit-learn's, one thread, as a user sees them.

    python benchmarks/estimators.py
    python benchmarks/estimators.py --rows digits-sgd,csr-sgd --rounds 5
    python benchmarks/estimators.py --data-dir data/mnist      # the rows that need MNIST, too

Both sides get the same class names, parameters, seed and rows. Before a row is timed, their loss
curves are compared. Then they take turns; a time is that of the whole call, divided by its steps:
checking the input, drawing weights and shuffles, and giving the result back are part of it. Writes
``estimators.json`` and ``estimators.md`` into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import isolated, machine, results

HERE = Path(__file__).resolve().parent
#: Largest relative difference of the two loss curves.
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


@dataclass(frozen=True)
class Row:
    """What is fitted, and how many times as fast it is to be."""

    data: str
    dtype: str
    wanted: float
    epochs: int
    options: dict[str, Any] = field(default_factory=dict)


PLAIN = {"solver": "sgd", "momentum": 0.0}
ROWS = {
    "digits-sgd": Row("digits", "float64", 15, 10, {**PLAIN, "batch_size": 10}),
    "digits-adam": Row(
        "digits", "float64", 15, 20, {"hidden_layer_sizes": (32,), "batch_size": 32}
    ),
    "digits": Row("digits", "float64", 3, 40),
    "digits-float32": Row("digits", "float32", 5, 40),
    "regression": Row("regression", "float64", 3.5, 30, {"hidden_layer_sizes": (64, 64)}),
    "regression-float32": Row("regression", "float32", 6.5, 30, {"hidden_layer_sizes": (64, 64)}),
    "mnist": Row("mnist", "float64", 2.3, 1),
    "mnist-float32": Row("mnist", "float32", 1.8, 1),
    "csr-sgd": Row("csr", "float64", 10, 1, PLAIN),
    "csr-adam": Row("csr", "float64", 4, 1),
    "digits-lbfgs": Row("digits", "float64", 2, 200, {"solver": "lbfgs"}),
}


def load(name: str, dtype: str, data_dir: str | None, quick: bool) -> tuple[Any, Any]:
    """Rows and targets, in that dtype."""
    import numpy as np
    from fastmlp import datasets

    random = np.random.default_rng(0)
    if name == "digits":
        digits = datasets.load_digits()
        return (np.asarray(digits.X) / 16).astype(dtype), digits.y
    if name == "regression":
        x = random.standard_normal((2000, 20)).astype(dtype)
        return x, np.tanh(x[:, 0]) + x[:, 1] * x[:, 2]
    if name == "mnist":
        assert data_dir is not None
        (x, y), _ = datasets.load_idx(data_dir)
        n = 2000 if quick else len(x)
        return x[:n].astype(dtype), y[:n]
    from scipy.sparse import random_array

    rows, columns = (400, 2000) if quick else (20_000, 50_000)
    x = random_array((rows, columns), density=0.002, format="csr", rng=random, dtype=dtype)
    return x, random.integers(0, 5, rows)


def measure(
    names: list[str], data_dir: str | None, rounds: int, quick: bool
) -> list[dict[str, Any]]:
    """Seconds per step of both sides; runs in a process of its own, see ``harness.isolated``."""
    import warnings

    import fastmlp
    from harness import timing
    from sklearn import neural_network

    warnings.simplefilter("ignore")
    found = []
    for name in names:
        row = ROWS[name]
        print(f"  {name}", file=sys.stderr, flush=True)
        x, y = load(row.data, row.dtype, data_dir, quick)
        kind = "MLPRegressor" if row.data == "regression" else "MLPClassifier"
        epochs = min(row.epochs, 2) if quick else row.epochs
        options = {**row.options, "max_iter": epochs, "random_state": 0}
        if row.options.get("solver") != "lbfgs":
            options |= {"tol": 0.0, "n_iter_no_change": math.inf}  # exactly that many epochs
        sides = {"fastmlp": getattr(fastmlp, kind), "sklearn": getattr(neural_network, kind)}

        def fit(cls: Any, options: dict[str, Any] = options, x: Any = x, y: Any = y) -> Any:
            return cls(**options).fit(x, y)

        verify(name, row, *(fit(cls) for cls in sides.values()))
        calls: dict[str, Callable[[], Any]] = {
            side: lambda cls=cls, fit=fit: fit(cls) for side, cls in sides.items()
        }
        steps = fit(sides["fastmlp"]).n_iter_
        if row.options.get("solver") != "lbfgs":
            steps *= math.ceil(x.shape[0] / row.options.get("batch_size", 200))
        timings = timing.interleave(calls, rounds, least=0.002 if quick else 0.02)
        found.append(
            {
                "row": name,
                "dtype": row.dtype,
                "steps": steps,
                "wanted": row.wanted,
                "seconds": {s: [t / steps for t in timings[s].seconds] for s in sides},
            }
        )
    return found


#: Calls whose time is wanted below a limit, in microseconds, whatever they compute.
LIMITS = {"predict one row": 25.0, "fit beyond its steps": 2000.0}


def measure_calls(rounds: int, quick: bool) -> list[dict[str, Any]]:
    """Seconds of calls in which checking counts more than arithmetic, of both sides."""
    import time
    import warnings

    import fastmlp
    from harness import timing
    from sklearn import neural_network

    warnings.simplefilter("ignore")
    x, y = (array[:200] for array in load("regression", "float64", None, quick))
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in LIMITS}
    sides = {"fastmlp": fastmlp.MLPRegressor, "sklearn": neural_network.MLPRegressor}
    options = {"hidden_layer_sizes": (64, 64), "random_state": 0}
    fitted = {side: cls(**options, max_iter=3).fit(x, y) for side, cls in sides.items()}
    row = x[:1].copy()
    calls = {side: lambda model=model: model.predict(row) for side, model in fitted.items()}
    timings = timing.interleave(calls, rounds, least=0.002 if quick else 0.02)
    seconds["predict one row"] = {side: timings[side].seconds for side in sides}

    # Two fits of 2 and 12 steps: their difference is ten steps, and what is left is overhead.
    for _ in range(rounds):
        for side, cls in sides.items():
            times = []
            for epochs in (2, 12):
                start = time.perf_counter()
                cls(**options, max_iter=epochs).fit(x, y)
                times.append(time.perf_counter() - start)
            overhead = max(times[0] - (times[1] - times[0]) / 5, 0.0)
            seconds["fit beyond its steps"].setdefault(side, []).append(overhead)
    return [{"call": name, "limit_us": LIMITS[name], "seconds": seconds[name]} for name in LIMITS]


def table_of_calls(found: list[dict[str, Any]]) -> str:
    """Medians of :func:`measure_calls`."""
    lines = [
        "| call | fastmlp, µs | scikit-learn | wanted |",
        "| --- | ---: | ---: | ---: |",
    ]
    for record in found:
        median = {side: results.STATISTICS["median"](s) for side, s in record["seconds"].items()}
        met = "" if 1e6 * median["fastmlp"] <= record["limit_us"] else " missed"
        shown = " | ".join(results.microseconds(seconds) for seconds in median.values())
        lines.append(f"| {record['call']} | {shown} | ≤ {record['limit_us']:g}{met} |")
    return "\n".join(lines)


def verify(name: str, row: Row, ours: Any, theirs: Any) -> None:
    """Both sides have learned the same."""
    import numpy as np

    assert ours.n_iter_ > 0
    if row.options.get("solver") == "lbfgs":
        # Line searches part over rounding; both have to arrive.
        assert abs(ours.loss_ - theirs.loss_) < 0.01, (name, ours.loss_, theirs.loss_)
        return
    np.testing.assert_allclose(
        ours.loss_curve_, theirs.loss_curve_, rtol=TOLERANCE[row.dtype], err_msg=name
    )


def ratios(record: dict[str, Any]) -> dict[str, float]:
    """How many times as long scikit-learn takes, by minima and by medians."""
    return {
        label: statistic(record["seconds"]["sklearn"]) / statistic(record["seconds"]["fastmlp"])
        for label, statistic in results.STATISTICS.items()
    }


def table(found: list[dict[str, Any]]) -> str:
    """A table to read and to paste."""
    lines = [
        "| fit | dtype | steps | fastmlp, µs a step | scikit-learn | ratio (of medians) | wanted |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for record in found:
        ratio = ratios(record)
        best = {side: results.microseconds(min(s)) for side, s in record["seconds"].items()}
        met = "" if ratio["minimum"] >= record["wanted"] else " missed"
        lines.append(
            f"| {record['row']} | {record['dtype']} | {record['steps']} | {best['fastmlp']} "
            f"| {best['sklearn']} | {ratio['minimum']:.1f}× ({ratio['median']:.1f}×) "
            f"| {record['wanted']:g}×{met} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", help=f"some of {', '.join(ROWS)}; by default all that can run")
    parser.add_argument("--data-dir", help="folder with MNIST's four IDX files")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="short fits: does it all work?")
    options = parser.parse_args()
    names = options.rows.split(",") if options.rows else list(ROWS)
    for name in names:
        if name not in ROWS:
            raise SystemExit(f"unknown row {name!r}; choose from {', '.join(ROWS)}")
    if options.data_dir is None:
        left_out = [name for name in names if ROWS[name].data == "mnist"]
        names = [name for name in names if name not in left_out]
        if left_out:
            print(f"left out without --data-dir: {', '.join(left_out)}", file=sys.stderr)
    request = {
        "names": names,
        "data_dir": options.data_dir and str(Path(options.data_dir).resolve()),
        "rounds": 2 if options.quick else options.rounds,
        "quick": options.quick,
    }
    found = isolated.call("estimators:measure", request, 1)
    text = table(found)
    shared = {"rounds": request["rounds"], "quick": options.quick}
    calls = isolated.call("estimators:measure_calls", shared, 1)
    text = f"{text}\n\n{table_of_calls(calls)}"
    print(f"\n{text}")
    data = {"fits": found, "calls": calls}
    results.write_json(options.out / "estimators.json", machine.describe(), data)
    (options.out / "estimators.md").write_text(f"{text}\n", encoding="utf-8")
    print(f"Written to {options.out}: estimators.json, estimators.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
