"""Two threads, one thread and the automatic choice, alone and next to a busy process.

    python benchmarks/contention.py
    python benchmarks/contention.py --rows fashion,keras,wide --dtype float64

The benchmark starts the neighbour itself, pinned on the second of the two cores that it uses, and
stops and continues it between the rounds, so that quiet and busy samples take turns too. A fifth of
a second of each is not counted: trainers find out meanwhile who else is there. Prints the ratios
beside their targets; writes ``contention.json`` into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import isolated, machine, results, shapes

HERE = Path(__file__).resolve().parent
#: What a trainer is told: at most one thread, at most two, or nothing.
CHOICES = {"one": 1, "two": 2, "automatic": None}
#: Shorter steps may stay on one thread.
LONG_STEP = 300e-6
#: Seconds that a trainer has to find out how many threads pay, after a neighbour comes or goes.
SETTLING = 0.2
SPEEDUP, AUTOMATIC, BUSY = 1.85, 1.03, 1.15


class Neighbour:
    """A process that does nothing but use one core, while it is let."""

    def __init__(self, core: int) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        os.sched_setaffinity(self._process.pid, {core})
        self._process.send_signal(signal.SIGSTOP)

    @contextmanager
    def busy(self) -> Iterator[None]:
        self._process.send_signal(signal.SIGCONT)
        time.sleep(0.01)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def measure(
    rows: list[str], dtype: str, backend: str | None, rounds: int, quick: bool
) -> dict[str, Any]:
    """Seconds per step of every choice, quiet and busy; see ``harness.isolated``."""
    from fastmlp import kernels
    from harness import contenders, problem, timing

    def settled(call: Callable[[], Any], repeats: int) -> float:
        end = time.perf_counter() + (0 if quick else SETTLING)
        call()
        while time.perf_counter() < end:
            call()
        return timing.sample(call, repeats)

    backend = backend or str(kernels.info()["backend"])
    least = 0.005 if quick else 0.05
    records = []
    neighbour = Neighbour(machine.usable_cores()[1])
    try:
        for row in rows:
            print(f"  {dtype}: {row}", file=sys.stderr, flush=True)
            shape = problem.shortened(shapes.BY_ID[row], quick)
            data = problem.make(shape, dtype, shape.steps)
            calls = {}
            for name, threads in CHOICES.items():
                contenders.verify(backend, shape, dtype, threads)
                setting = problem.timed(threads)
                calls[name] = contenders.load(backend)(shape, data, setting).epoch
            repeats = {name: timing.repeats_for(call, least) for name, call in calls.items()}
            seconds: dict[str, dict[str, list[float]]] = {
                state: {name: [] for name in CHOICES} for state in ("quiet", "busy")
            }
            for _ in range(rounds):
                for name, call in calls.items():
                    once = settled(call, repeats[name]) / shape.steps
                    seconds["quiet"][name].append(once)
                with neighbour.busy():
                    for name, call in calls.items():
                        once = settled(call, repeats[name]) / shape.steps
                        seconds["busy"][name].append(once)
            records.append({"shape": row, "dtype": dtype, "seconds": seconds})
    finally:
        neighbour.end()
    return {"backend": backend, "records": records}


def report(record: dict[str, Any], statistic: results.Statistic) -> list[str]:
    """Times, and ratios beside their targets."""
    quiet, busy = (
        {name: statistic(samples) for name, samples in record["seconds"][state].items()}
        for state in ("quiet", "busy")
    )
    lines = [
        f"{record['shape']}, {record['dtype']}: µs per step "
        + "; ".join(
            f"{state}: " + ", ".join(f"{n} {results.microseconds(t)}" for n, t in times.items())
            for state, times in (("quiet", quiet), ("busy", busy))
        )
    ]

    def line(text: str, value: float, met: bool | None, target: str) -> None:
        verdict = "not asked of steps this short" if met is None else "met" if met else "MISSED"
        lines.append(f"  {text:58} {value:5.2f}  wanted {target}: {verdict}")

    speedup = quiet["one"] / quiet["two"]
    met = speedup >= SPEEDUP if quiet["one"] >= LONG_STEP else None
    line("speed of two threads, times one thread's", speedup, met, f">= {SPEEDUP}")
    best = quiet["automatic"] / min(quiet["one"], quiet["two"])
    line(
        "automatic choice, time over the better of the two",
        best,
        best <= AUTOMATIC,
        f"<= {AUTOMATIC}",
    )
    for name in ("two", "automatic"):
        ratio = busy[name] / quiet["one"]
        text = f"next to a busy process, {name}: time over one thread alone"
        line(text, ratio, ratio <= BUSY, f"<= {BUSY}")
    lines.append(f"  {'the same for one thread':58} {busy['one'] / quiet['one']:5.2f}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="digits,fashion,keras,wide")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--backend", help="backend of fastmlp (default: the live one)")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="few steps: does everything work?")
    options = parser.parse_args()
    if not hasattr(os, "sched_setaffinity") or len(machine.usable_cores()) < 2:
        raise SystemExit("this benchmark needs two cores and a system that can pin processes")
    request = {
        "rows": options.rows.split(","),
        "dtype": options.dtype,
        "backend": options.backend,
        "rounds": min(options.rounds, 2) if options.quick else options.rounds,
        "quick": options.quick,
    }
    found = isolated.call("contention:measure", request, 2)
    for label, statistic in results.STATISTICS.items():
        print(f"\n{found['backend']}, {label} of {request['rounds']} rounds")
        for record in found["records"]:
            print("\n".join(report(record, statistic)))
    results.write_json(options.out / "contention.json", machine.describe(), found)
    print(f"Written to {options.out}: contention.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
