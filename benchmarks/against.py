"""One version of fastmlp against another, which is installed for another Python interpreter.

    python benchmarks/against.py OLD/bin/python
    python benchmarks/against.py OLD/bin/python --groups table,predict --dtypes float32

Each version has a process, and they take turns within every round, on one core with one thread.
Both must compute the same numbers before they are timed; where not, the table says by how much.
Ratios are of the minima, new over old: below 1 the new version is faster. ``start`` times whole
processes: the import, and with ``--cold`` the first fit of the Numba backend into an empty cache.
Writes ``against.json`` into the folder ``--out``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import machine, results, versions

HERE = Path(__file__).resolve().parent
IMPORT = """
import time
import numpy
t = time.perf_counter()
import fastmlp
print(time.perf_counter() - t)
"""
FIT = """
import os, time
os.environ["FASTMLP_BACKEND"] = "numba"
import numpy as np
t = time.perf_counter()
from fastmlp import MLP
x = np.ones((64, 8), "float32")
MLP((8, 16, 1), dtype="float32", random_state=0).fit(x, x[:, :1], epochs=1)
print(time.perf_counter() - t)
"""

ROUNDS_OF_A_LAYOUT = 5


class Version:
    """A process of one interpreter that answers requests of ``harness.versions``."""

    def __init__(self, python: str, cores: list[int]) -> None:
        self.python = python
        self.environment = {
            **machine.environment(1),
            "PYTHONPATH": str(HERE),
            "FASTMLP_CACHE_DIR": str(Path(tempfile.gettempdir(), f"fastmlp-{hash_of(python)}")),
        }
        self.environment.pop(
            "PYTHONDONTWRITEBYTECODE", None
        )  # imports are timed as users meet them
        self.process = subprocess.Popen(
            [python, "-P", "-m", "harness.versions"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        os.sched_setaffinity(self.process.pid, cores)

    def ask(self, **request: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.python} failed, see above")
        return json.loads(line)

    def seconds(self, code: str, **environment: str) -> float:
        """What a program prints, in a process of its own."""
        done = subprocess.run(
            [self.python, "-P", "-c", code],
            env={**self.environment, **environment},
            check=True,
            capture_output=True,
            text=True,
        )
        return float(done.stdout)


def hash_of(python: str) -> str:
    """A name for an interpreter's folder of compiled code."""
    return python.strip("/").replace("/", "-").replace(".", "-")


def compare(old: Version, new: Version, rounds: int, **request: Any) -> dict[str, Any]:
    """Seconds a call of one case, round by round; and how far apart the computed numbers are."""
    seconds: dict[str, list[float]] = {"old": [], "new": []}
    for turn in range(rounds):
        # Memory is laid out anew now and then: where pages happen to lie is worth some per cent.
        if turn % ROUNDS_OF_A_LAYOUT == 0:
            answers = [version.ask(repeats=0, **request) for version in (old, new)]
            repeats = max(1, min(answer[1] for answer in answers))
        pair = [("old", old), ("new", new)]
        for name, version in pair if turn % 2 else reversed(pair):
            seconds[name].append(version.ask(repeats=repeats, **request))
    values = [[float.fromhex(v) for v in answer[0]] for answer in answers]
    largest = max((abs(v) for v in values[0]), default=1.0)
    apart = max(abs(a - b) for a, b in zip(*values, strict=True)) / (largest or 1.0)
    return {**request, "apart": apart, "seconds": seconds}


def report(found: dict[str, Any]) -> str:
    """A line: case, microseconds of both, their ratio, and what differs."""
    old, new = (min(found["seconds"][name]) for name in ("old", "new"))
    note = f"   results differ by {found['apart']:.1e}" if found["apart"] else ""
    return (
        f"{found['id']:24} {found['backend']:9} {found['dtype']:8} {1e6 * old:12.2f} "
        f"{1e6 * new:12.2f} {new / old:7.3f}{note}"
    )


def starts(old: Version, new: Version, rounds: int, cold: bool) -> list[dict[str, Any]]:
    """Seconds of an import, and of a first fit on the Numba backend."""
    found = []
    for id, code, turns in (("import", IMPORT, rounds), ("first fit, no cache", FIT, 2 * cold)):
        seconds: dict[str, list[float]] = {"old": [], "new": []}
        with tempfile.TemporaryDirectory() as bytecode:
            for turn in range(turns + 1):
                for name, version in (("old", old), ("new", new)):
                    with tempfile.TemporaryDirectory() as cache:
                        once = version.seconds(
                            code if turn else IMPORT,
                            FASTMLP_CACHE_DIR=cache,
                            PYTHONPYCACHEPREFIX=bytecode,
                        )
                    if turn:  # the first one has compiled the bytecode
                        seconds[name].append(once)
        if turns:
            found.append({"id": id, "backend": "", "dtype": "", "apart": 0.0, "seconds": seconds})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", help="the interpreter that has the old version")
    parser.add_argument("--new", default=sys.executable, help="that of the new one (default: this)")
    parser.add_argument("--groups", default=",".join([*versions.GROUPS, "start"]))
    parser.add_argument("--only", default="", help="cases of those groups, by name")
    parser.add_argument("--dtypes", default="float32,float64")
    parser.add_argument("--backends", default="compiled,numba")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--least", type=float, default=0.01, help="seconds of a sample")
    parser.add_argument("--cold", action="store_true", help="time the first fit without a cache")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="short samples: does it all work?")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.least = 2, 1e-4
    cores = machine.usable_cores()[-1:]
    machine.pin(cores)
    old, new = Version(options.old, cores), Version(options.new, cores)
    print(f"{'':24} {'':9} {'':8} {'old, µs':>12} {'new, µs':>12} {'ratio':>7}")
    found, only = [], set(filter(None, options.only.split(",")))
    for backend in options.backends.split(","):
        for dtype in options.dtypes.split(","):
            for group in options.groups.split(","):
                for id in versions.GROUPS[group][1] if group in versions.GROUPS else ():
                    if only and id not in only:
                        continue
                    request = {"id": id, "backend": backend, "dtype": dtype}
                    found.append(compare(old, new, options.rounds, least=options.least, **request))
                    print(report(found[-1]), flush=True)
    if "start" in options.groups.split(","):
        for record in starts(old, new, options.rounds, options.cold):
            found.append(record)
            print(report(record), flush=True)
    results.write_json(options.out / "against.json", machine.describe(), found)
    print(f"Written to {options.out}: against.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
