"""The share of the FMA peak over the width of a layer, for several batches: is there a cliff?

    python benchmarks/sweep.py                      # float32, one thread, the live backend
    python benchmarks/sweep.py --dtype float64 --batches 32,square

The kernels ``dense_forward``, ``delta_backward`` and ``weight_gradient`` of a layer w-w beside
``numpy.matmul`` alone (they do more: bias, activation, scale) and the whole formula in NumPy;
and a training step of 10-w-w-10 with Adam beside NumPy by hand. Batch ``square`` has w rows. Writes
``sweep-DTYPE.json`` and ``sweep-DTYPE.png`` into the folder ``--out``, ``sweep-DTYPE-avx2-played``
where a machine with AVX-512 is held to AVX2 by ``FASTMLP_ISA``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness import isolated, machine, plots, results

HERE = Path(__file__).resolve().parent
KERNELS = ("dense_forward", "delta_backward", "weight_gradient")
STEP = "step 10-w-w-10"
#: Multiples of the tiles, and between them sizes that leave tails.
WIDTHS = (
    *(16, 17, 24, 32, 46, 48, 64, 96, 100, 128, 192, 256, 300, 384, 512, 768, 1000),
    *(1024, 1536, 2048, 3072, 4096),
)
#: Widest square product; beyond it lasts seconds and shows nothing new.
WIDEST_SQUARE = 1024
#: A point below both its neighbours by this factor is called a dip.
DIP = 0.85


def measure(
    widths: list[int],
    batches: list[str],
    dtype: str,
    threads: int,
    backend: str | None,
    rounds: int,
) -> dict[str, Any]:
    """Seconds of every case; runs in a process of its own, see ``harness.isolated``."""
    from fastmlp import kernels
    from harness import timing
    from harness.peak import Peak

    if backend:
        kernels.use_backend(backend)
    live = str(kernels.info()["backend"])
    peak = Peak(dtype, threads)
    points = []
    for width in widths:
        print(f"  {dtype}, width {width}", file=sys.stderr, flush=True)
        for batch in batches:
            if batch == "square" and width > WIDEST_SQUARE:
                continue
            rows = width if batch == "square" else int(batch)
            for name, flops, calls in _cases(width, rows, dtype, threads, live):
                timings = timing.interleave({"peak": peak.run, **calls}, rounds, least=0.005)
                points.append(
                    {
                        "case": name,
                        "width": width,
                        "batch": batch,
                        "peak_gflops": peak.flops / timings.pop("peak").minimum / 1e9,
                        "gflops": {
                            contender: flops / timing.minimum / 1e9
                            for contender, timing in timings.items()
                        },
                        "seconds": {n: timing.seconds for n, timing in timings.items()},
                    }
                )
    return {"backend": live, "peak": peak.source, "points": points}


def _cases(width: int, rows: int, dtype: str, threads: int, backend: str) -> Any:
    """Name, FLOP of a call and the contenders of every curve, verified."""
    from harness import contenders, problem
    from harness.kernels import CASES, Arrays
    from harness.shapes import Shape

    for kernel in KERNELS:
        case = CASES[kernel](Arrays(rows, width, width, dtype), threads)
        case.verify()
        calls = {backend: case.fastmlp, "matmul": case.matmul, "numpy": case.numpy}
        yield kernel, case.flops, calls
    sizes = (10, width, width, 10)
    shape = Shape("", sizes, "relu", "identity", "squared_error", rows, "adam", 1)
    # Enough steps an epoch that its call costs nothing, few enough that it fits a cache.
    steps = max(1, min(200, int(5e7 / shape.flops)))
    data = problem.make(shape, dtype, steps)
    calls = {}
    for name in (backend, "numpy"):
        contenders.verify(name, shape, dtype, threads)
        calls[name] = contenders.load(name)(shape, data, problem.timed(threads)).epoch
    yield STEP, steps * shape.flops, calls


def curves(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, list[tuple[int, float]]]]:
    """(case, batch) → contender → (width, per cent of the peak)."""
    panels: dict[tuple[str, str], dict[str, list[tuple[int, float]]]] = {}
    for point in found["points"]:
        batch = "batch = width" if point["batch"] == "square" else f"batch {point['batch']}"
        panel = panels.setdefault((point["case"], batch), {})
        for name, rate in point["gflops"].items():
            share = 100 * rate / point["peak_gflops"]
            panel.setdefault(name, []).append((point["width"], share))
    return panels


def dips(panels: dict[tuple[str, str], dict[str, list[tuple[int, float]]]], name: str) -> list[str]:
    """Widths at which a contender falls below both neighbours: what a smooth curve has not."""
    found = []
    for (case, batch), lines in panels.items():
        for before, here, after in zip(lines[name], lines[name][1:], lines[name][2:], strict=False):
            lower = min(before[1], after[1])
            if here[1] < DIP * lower:
                found.append(
                    f"{case}, {batch}, width {here[0]}: {here[1]:.0f} %, beside {lower:.0f} %"
                )
    return found


def compare(found: dict[str, Any]) -> str:
    """Square products: the slowest ratio to NumPy among small sizes, to matmul among large ones."""
    lines = []
    for kernel in KERNELS:
        points = [p for p in found["points"] if p["case"] == kernel and p["batch"] == "square"]
        for text, rival, target, chosen in (
            ("up to 128, whole formula in NumPy", "numpy", 1.2, lambda w: w <= 128),
            ("from 512, numpy.matmul alone", "matmul", 0.97, lambda w: w >= 512),
        ):
            ratios = {
                p["width"]: p["gflops"][found["backend"]] / p["gflops"][rival]
                for p in points
                if chosen(p["width"])
            }
            if ratios:
                width = min(ratios, key=lambda w: ratios[w])
                verdict = "met" if ratios[width] >= target else "missed"
                lines.append(
                    f"{kernel:16} {text:34} at worst {ratios[width]:.2f} times its rate "
                    f"(width {width}), wanted {target}: {verdict}"
                )
    return "\n".join(lines)


def text_table(panels: dict[tuple[str, str], dict[str, list[tuple[int, float]]]]) -> str:
    """Per cent of the peak, a line per curve."""
    lines = []
    for (case, batch), contenders in panels.items():
        for name, points in contenders.items():
            values = "  ".join(f"{width}:{share:.0f}" for width, share in points)
            lines.append(f"{case:16} {batch:14} {name:9} {values}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)))
    parser.add_argument("--batches", default="1,10,32,128,1024,square")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", help="backend of fastmlp (default: the live one)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="few points: does everything work?")
    options = parser.parse_args()
    widths = [int(width) for width in options.widths.split(",")]
    batches = options.batches.split(",")
    if options.quick:
        widths, batches, options.rounds = [16, 46, 64, 100], ["1", "32", "square"], 1
    request = {
        "widths": widths,
        "batches": batches,
        "dtype": options.dtype,
        "threads": options.threads,
        "backend": options.backend,
        "rounds": options.rounds,
    }
    found = isolated.call("sweep:measure", request, options.threads)
    panels = curves(found)
    print(f"Per cent of the FMA peak ({found['peak']}) at each width\n{text_table(panels)}\n")
    print(compare(found))
    print(
        f"\nDips of {found['backend']}:", *(dips(panels, found["backend"]) or ["none"]), sep="\n  "
    )

    description = machine.describe()
    held = "-avx2-played" if machine.is_held() else ""
    file = options.out / f"sweep-{options.dtype}{held}"
    results.write_json(file.with_suffix(".json"), description, found)
    plots.curves(
        panels,
        f"{description['processor']}, {options.dtype}, {options.threads} thread(s)",
        "width of the layer",
        "% of FMA peak",
        file.with_suffix(".png"),
    )
    print(f"Written to {options.out}: {file.name}.json, {file.name}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
