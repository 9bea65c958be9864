"""Prediction through Python: one row, where overhead counts more than arithmetic, and batches.

    python benchmarks/predict.py
    python benchmarks/predict.py --batch 1,1000 --rows 784-128-10 --dtype float64 --threads 2

``MLP.predict`` and ``MLP.predictor`` (with ``out=``) on every backend beside NumPy by hand,
scikit-learn, torch and ONNX Runtime, NumPy array in and NumPy array out; a process of its own for
each dtype and thread count. Writes ``predict.json`` into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

from harness import isolated, machine, results
from harness.contenders import TITLES

HERE = Path(__file__).resolve().parent
#: Sizes → hidden activation and output.
MAIN = {
    "20-64-64-1": ("tanh", "identity"),
    "784-128-10": ("relu", "softmax"),
    "784-512-512-10": ("relu", "softmax"),
    "10-10-1": ("tanh", "identity"),
}
SQUARES = {f"{n}-{n}-{n}": ("relu", "identity") for n in (4, 8, 16, 32, 64)}
#: Microseconds wanted of one row of this network.
TARGET_OF = "20-64-64-1"
TARGETS = {"compiled": 2.0, "numba": 5.0}
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


def measure(
    rows: list[str],
    dtype: str,
    threads: int,
    batches: list[int],
    backends: list[str],
    rounds: int,
    quick: bool,
) -> list[dict[str, Any]]:
    """Seconds per call of every way; runs in a process of its own, see ``harness.isolated``."""
    import numpy as np
    from fastmlp import kernels
    from harness import predictors, timing
    from harness.peak import Peak

    predictors.use_threads(threads)
    peak, found = Peak(dtype, threads), []
    # Before anybody's threads are there, which go on spinning between two calls.
    alone = timing.interleave({"peak": peak.run}, rounds, 0.002 if quick else 0.01)["peak"].seconds
    for row, batch in itertools.product(rows, batches):
        print(f"  {dtype}, {threads} thread(s): {row}, {batch}", file=sys.stderr, flush=True)
        sizes = tuple(map(int, row.split("-")))
        activation, output = {**MAIN, **SQUARES}.get(row, ("relu", "identity"))
        net = kernels.Architecture(sizes, (activation,) * (len(sizes) - 2), output)
        random = np.random.default_rng(0)
        parameters = random.standard_normal(net.n_parameters).astype(dtype) * 0.1
        x = random.standard_normal((batch, sizes[0])).astype(dtype)
        want = predictors.numpy(net, parameters.astype("f8"), x.astype("f8"))()

        seconds: dict[str, list[float]] = {}
        calls = {n: make(net, parameters, x) for n, make in predictors.PREDICTORS.items()}
        ready = {name: call for name, call in calls.items() if call is not None}
        groups = {None: ready}
        for backend in backends:
            with kernels.use_backend(backend):
                groups[backend] = {
                    backend: predictors.mlp(net, parameters, x),
                    f"{backend} predictor": predictors.predictor(net, parameters, x),
                }
        # A network follows the backend that is live, so each backend has a part of every round.
        for _ in range(rounds):
            for backend, members in groups.items():
                with kernels.use_backend(backend or "reference"):
                    for name, call in members.items():
                        if name not in seconds:
                            limit = TOLERANCE[dtype] * (1 + float(np.abs(want).max()))
                            np.testing.assert_allclose(call(), want, rtol=0, atol=limit)
                    least = 0.002 if quick else 0.01
                    timings = timing.interleave(members, 1, least, threads)
                    for name, timed in timings.items():
                        seconds.setdefault(name, []).extend(timed.seconds)
        best = peak.flops / min(alone)
        cell = {"network": row, "dtype": dtype, "batch": batch, "threads": threads}
        found.append(
            {**cell, "peak_flops": best, "flops": flops(net.sizes, batch), "seconds": seconds}
        )
    return found


def flops(sizes: tuple[int, ...], batch: int) -> float:
    """Multiplications and additions of a prediction."""
    return 2.0 * batch * sum(a * b for a, b in itertools.pairwise(sizes))


def report(record: dict[str, Any]) -> str:
    """A line per way to predict: minimum, median, ratio to the first backend, target if any."""
    times = {name: min(samples) for name, samples in record["seconds"].items()}
    ours = next(name for name in times if name in ("compiled", "numba", "reference"))
    lines = [
        f"{record['network']}, {record['dtype']}, {record['batch']} row(s), "
        f"{record['threads']} thread(s), µs a call (minimum, median), times fastmlp's, "
        "share of the peak"
    ]
    for name in sorted(times, key=lambda name: times[name]):
        median = results.STATISTICS["median"](record["seconds"][name])
        line = (
            f"  {TITLES[name]:28} {results.microseconds(times[name]):>9} "
            f"{results.microseconds(median):>9} {times[name] / times[ours]:8.2f}×"
            f"{100 * record['flops'] / record['peak_flops'] / times[name]:6.0f} %"
        )
        if (
            record["network"] == TARGET_OF
            and record["batch"] == 1
            and record["dtype"] == "float32"
            and name in TARGETS
        ):
            met = 1e6 * times[name] <= TARGETS[name]
            line += f"  wanted <= {TARGETS[name]:g}: {'met' if met else 'MISSED'}"
        lines.append(line)
    return "\n".join(lines)


def main() -> int:
    from fastmlp import kernels

    fast = [name for name in kernels.available() if name != "reference"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(MAIN), help="layer sizes")
    parser.add_argument("--squares", action="store_true", help="also n-n-n, from 4 to 64")
    parser.add_argument("--batch", default="1,8,64,1000,10000", help="rows of a call")
    parser.add_argument("--dtype", default="float32,float64")
    parser.add_argument("--threads", default="1,2", help="thread counts, each one pinned core")
    parser.add_argument("--backends", default=",".join(fast or ["reference"]))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="short samples: does it all work?")
    options = parser.parse_args()
    rows = options.rows.split(",") + (list(SQUARES) if options.squares else [])
    common = {
        "rows": rows,
        "batches": [int(n) for n in options.batch.split(",")],
        "backends": options.backends.split(","),
        "rounds": min(options.rounds, 2) if options.quick else options.rounds,
        "quick": options.quick,
    }
    found = []
    cores = len(machine.usable_cores())
    for threads, dtype in itertools.product(options.threads.split(","), options.dtype.split(",")):
        if int(threads) > cores:
            print(f"note: {threads} threads are left out, there are fewer cores")
            continue
        request = {**common, "dtype": dtype, "threads": int(threads)}
        group = isolated.call("predict:measure", request, int(threads))
        for record in group:
            print(f"\n{report(record)}", flush=True)
        found += group
    results.write_json(options.out / "predict.json", machine.describe(), found)
    print(f"Written to {options.out}: predict.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
