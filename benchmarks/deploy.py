"""Predictions where a network ends up: this package, its C header, ONNX Runtime.

    python benchmarks/deploy.py
    python benchmarks/deploy.py --rows 784-128-10

One row and 1,000 rows on one thread. ``MLP.predict``, ``MLP.predictor`` and ONNX Runtime (with the
file of ``MLP.to_onnx``) are called from Python, array in and array out; the header of ``MLP.to_c``
is compiled with ``-O2 -march=native`` and called in a loop of C. Outputs are compared before
anything is timed. Writes ``deploy.json`` into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import isolated, machine, results

HERE = Path(__file__).resolve().parent
#: Sizes → hidden activation and output.
NETWORKS = {
    "4-8-1": ("tanh", "identity"),
    "20-64-64-1": ("tanh", "identity"),
    "64-32-10": ("relu", "softmax"),
    "784-128-10": ("relu", "softmax"),
}
TITLES = {
    "fastmlp": "MLP.predict",
    "predictor": "MLP.predictor",
    "c": "C header",
    "c int8": "C header, int8",
    "onnxruntime": "onnxruntime",
}
#: The header may take so many times as long as ``MLP.predict`` for one row.
WANTED = 2.0
_LOOP = """
#include "net.h"
void rows(const float *x, float *y, long n)
{
    long i;
    for (i = 0; i < n; i++)
        net_predict(x + i * NET_N_IN, y + i * NET_N_OUT);
}
"""


def compiled(header: Any, folder: Path) -> Any:
    """The function ``rows`` of a header."""
    import ctypes

    (folder / "net.h").write_text(header.text)
    (folder / "rows.c").write_text(_LOOP)
    library = folder / f"{'int8' if header.loss else 'float'}.so"
    command = ["gcc", "-std=c99", "-O2", "-march=native", "-shared", "-fPIC", "rows.c", "-lm"]
    subprocess.run([*command, "-o", str(library)], cwd=folder, check=True)
    function = ctypes.CDLL(str(library)).rows
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]
    function.restype = None
    return function


def calls(net: Any, x: Any, folder: Path) -> dict[str, tuple[Callable[[], Any], int]]:
    """Every way to predict ``x``, and how many times it does so in a call."""
    import numpy as np

    found: dict[str, tuple[Callable[[], Any], int]] = {"fastmlp": (lambda: net.predict(x), 1)}
    ready = net.predictor()
    found["predictor"] = (lambda: ready(x), 1)
    if shutil.which("gcc"):
        # A call from Python costs more than a row: of one row there are many copies.
        copies = max(1, 1000 // len(x))
        many = np.ascontiguousarray(np.tile(x, (copies, 1)))
        for name, kind in (("c", "float32"), ("c int8", "int8")):
            header = net.to_c(type=kind, name="net", calibration=x if kind == "int8" else None)
            function = compiled(header, folder)
            y = np.empty((len(many), net.architecture.sizes[-1]), np.float32)

            def call(function: Any = function, y: Any = y) -> Any:
                function(many.ctypes.data, y.ctypes.data, len(many))
                return y[: len(x)]

            found[name] = (call, copies)
    if all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(net.to_onnx().SerializeToString(), options)
        found["onnxruntime"] = (lambda: session.run(None, {"X": x})[0], 1)
    return found


def measure(rows: list[str], rounds: int, quick: bool) -> list[dict[str, Any]]:
    """Seconds per prediction of every way; runs in a process of its own."""
    import numpy as np
    from fastmlp import MLP
    from harness import timing

    found = []
    for row in rows:
        sizes = tuple(map(int, row.split("-")))
        activation, output = NETWORKS.get(row, ("relu", "identity"))
        net = MLP(sizes, activation, output, random_state=0)
        some = np.random.default_rng(1).normal(size=(100, sizes[0])).astype(np.float32)
        size = float(np.abs(net.predict(some)).max())  # of a usual output: one may be near 0
        for batch in (1, 1000):
            print(f"  {row}: {batch} row(s)", file=sys.stderr, flush=True)
            x = np.random.default_rng(0).normal(size=(batch, sizes[0])).astype(np.float32)
            with tempfile.TemporaryDirectory() as folder:
                members = calls(net, x, Path(folder))
                want = net.predict(x)
                for name, (call, _) in members.items():
                    limit = (0.2 if name == "c int8" else 1e-5) * size
                    np.testing.assert_allclose(call(), want, rtol=0, atol=limit)
                timed = timing.interleave(
                    {name: call for name, (call, _) in members.items()},
                    rounds,
                    0.002 if quick else 0.02,
                )
            seconds = {n: [s / members[n][1] for s in t.seconds] for n, t in timed.items()}
            found.append({"network": row, "batch": batch, "seconds": seconds})
    return found


def report(record: dict[str, Any]) -> str:
    """A line per way to predict: minimum, median, ratio to ``MLP.predict``."""
    ours = min(record["seconds"]["fastmlp"])
    lines = [f"{record['network']}, float32, {record['batch']} row(s), µs (minimum, median)"]
    for name, samples in sorted(record["seconds"].items(), key=lambda item: min(item[1])):
        median = results.STATISTICS["median"](samples)
        line = (
            f"  {TITLES[name]:16} {results.microseconds(min(samples)):>9} "
            f"{results.microseconds(median):>9} {min(samples) / ours:8.2f}×"
        )
        if name == "c" and record["batch"] == 1:
            met = min(samples) <= WANTED * ours
            line += f"  wanted <= {WANTED:g}×: {'met' if met else 'MISSED'}"
        lines.append(line)
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(NETWORKS), help="layer sizes")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="short samples: does it all work?")
    options = parser.parse_args()
    request = {
        "rows": options.rows.split(","),
        "rounds": min(options.rounds, 2) if options.quick else options.rounds,
        "quick": options.quick,
    }
    found = isolated.call("deploy:measure", request, 1)
    for record in found:
        print(f"\n{report(record)}")
    results.write_json(options.out / "deploy.json", machine.describe(), found)
    print(f"Written to {options.out}: deploy.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
