"""The table: µs per training step of fastmlp and its rivals, beside the machine's limit.

    python benchmarks/table.py                          # everything that is installed
    python benchmarks/table.py --rows iris,fashion --dtype float32 --threads 1 --rivals numpy,jax
    python benchmarks/table.py --compare FILE           # two machines, from what they have stored

Every contender is verified before it is timed. Writes ``table.json``, ``table.md`` and
``table.png`` into the folder ``--out``. Exits with 1 if a contender failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness import contenders, isolated, machine, plots, results, shapes, side_by_side

HERE = Path(__file__).resolve().parent


def measure(
    rows: list[str], dtype: str, threads: int, names: list[str], rounds: int, quick: bool
) -> list[results.Record]:
    """Records of these shapes; runs in a process of its own, see ``harness.isolated``."""
    from harness import timing
    from harness.peak import Peak
    from harness.problem import shortened

    peak = Peak(dtype, threads)
    # The peak belongs to the machine: its samples of all rows together, so that a disturbed row
    # cannot have a low peak and thus a share of it that flatters.
    peak_seconds: list[float] = []
    records = []
    for row in rows:
        shape = shortened(shapes.BY_ID[row], quick)
        print(f"  {dtype}, {threads} thread(s): {row}", file=sys.stderr, flush=True)
        ready, first_calls, failures = contenders.ready(names, shape, dtype, threads)
        calls = {"peak": peak.run, **{name: one.epoch for name, one in ready.items()}}
        timings = timing.interleave(calls, rounds, 0.002 if quick else 0.02, threads)
        peak_seconds += timings["peak"].seconds
        records.append(
            {
                "shape": row,
                "description": str(shape),
                "dtype": dtype,
                "threads": threads,
                "rounds": rounds,
                "flops": shape.flops,
                "peak": {
                    "flops": peak.flops,
                    "source": peak.source,
                    "seconds": peak_seconds,
                },
                "contenders": {
                    name: {
                        "seconds": [s / shape.steps for s in timings[name].seconds],
                        "first_call": first_calls[name],
                    }
                    for name in ready
                },
                "failures": failures,
            }
        )
    return records


def chosen(text: str, known: tuple[str, ...], what: str) -> list[str]:
    """The names of a comma-separated list."""
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            raise SystemExit(f"unknown {what} {name!r}; choose from {', '.join(known)}")
    return names


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", help="shapes, comma-separated (default: the main table)")
    parser.add_argument("--all", action="store_true", help="also the shapes beside the main table")
    parser.add_argument("--dtype", default="float32,float64")
    parser.add_argument("--threads", default="1,2", help="thread counts, each one pinned core")
    parser.add_argument("--backends", help="backends of fastmlp (default: all that are fast)")
    parser.add_argument("--rivals", default=",".join(contenders.RIVALS), help="'' for none")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FILE",
        help="measure nothing: set the table.json of --out beside that of another machine",
    )
    parser.add_argument("--quick", action="store_true", help="few steps: does everything work?")
    return parser.parse_args()


def plan(options: argparse.Namespace) -> dict[str, Any]:
    """What to measure, after a check of every name."""
    from fastmlp import kernels

    available = kernels.available()
    fast = tuple(name for name in available if name != "reference") or available
    backends = fast if options.backends is None else chosen(options.backends, available, "backend")
    rivals = []
    for name in chosen(options.rivals, tuple(contenders.RIVALS), "rival"):
        if name == "jax" and machine.is_held():
            print("note: JAX is left out, its products take all of the instruction set")
        elif contenders.installed(name):
            rivals.append(name)
        else:
            print(f"note: {contenders.TITLES[name]} is left out, it is not installed")
    default = [s.id for s in (*shapes.TABLE, *(shapes.MORE if options.all else ()))]
    rows = chosen(options.rows, tuple(shapes.BY_ID), "row") if options.rows else default
    threads = []
    for count in map(int, chosen(options.threads, tuple(map(str, range(1, 1025))), "thread count")):
        if count <= len(machine.usable_cores()):
            threads.append(count)
        else:
            print(f"note: {count} threads are left out, there are fewer cores")
    return {
        "rows": rows,
        "dtypes": chosen(options.dtype, ("float32", "float64"), "dtype"),
        "threads": threads,
        "names": [*backends, *rivals],
    }


def main() -> int:
    options = arguments()
    if options.compare is not None:
        stored = (side_by_side.read(file) for file in (options.out / "table.json", options.compare))
        print(side_by_side.markdown(*stored))
        return 0
    wanted = plan(options)
    description = machine.describe()
    records: list[results.Record] = []
    for threads in wanted["threads"]:
        for dtype in wanted["dtypes"]:
            request = {
                "rows": [row for row in wanted["rows"] if dtype in shapes.BY_ID[row].dtypes],
                "dtype": dtype,
                "threads": threads,
                "names": wanted["names"],
                "rounds": options.rounds,
                "quick": options.quick,
            }
            wide = str(int(dtype == "float64"))
            group = isolated.call("table:measure", request, threads, JAX_ENABLE_X64=wide)
            if group:
                records += group
                print("\n" + results.text_table(group) + "\n", flush=True)
    if not records:
        raise SystemExit("nothing was measured: no row has one of these dtypes")
    print(results.first_calls(records))
    print(f"Peak: {records[0]['peak']['source']}")

    options.out.mkdir(parents=True, exist_ok=True)
    results.write_json(
        options.out / "table.json", description, [results.summarize(r) for r in records]
    )
    (options.out / "table.md").write_text(results.markdown(records, description))
    plots.steps_over_floor(records, str(description["processor"]), options.out / "table.png")
    print(f"Written to {options.out}: table.json, table.md, table.png")
    failed = results.failures(records)
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
