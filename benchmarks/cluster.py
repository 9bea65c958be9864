"""One network on one and two ranks, the estimate beside it, and sums beside MPI's own.

    mpiexec -n 2 python benchmarks/cluster.py
    mpiexec -n 2 python benchmarks/cluster.py --quick
    python benchmarks/cluster.py --picture docs/pictures/cluster.png

Needs mpi4py. Rank 0 trains alone while the others sleep, then each rank a network of its own at the
same time, which is what the machine allows, then all train one network, then rank 0 measures the
constants of the plan; in turn, and with one thread for each rank. Compared are medians: a
processor that changes its speed is seen by all of them. Before that vectors of 64 KB to 8 MB are
summed by the fixed tree and by ``Allreduce``.
Rank 0 writes ``cluster.json`` into ``--out``. ``--picture`` draws it beside the plan for up to
1,024 ranks on machines 2 µs and 10 Gbit/s apart, whose constants are measured then, on one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from harness import machine, results

HERE = Path(__file__).resolve().parent
#: Name → layer sizes and rows of a step.
NETWORKS = {"keras": ((784, 512, 512, 10), 1024), "wide": ((512, 1024, 1024, 10), 1024)}
KILOBYTES = (64, 512, 2048, 8192)
#: Ranks up to which the picture shows the plan, and rows of a step for which there is a line.
MOST_RANKS, BATCHES = 1024, (1024, 8192, 65536)
COLORS = {"keras": "tab:blue", "wide": "tab:orange"}


def fits(comm: Any, name: str, steps: int, rounds: int, link: dict[str, float]) -> dict[str, Any]:
    """Seconds of a step on one rank and on all, and what the plan says."""
    import fastmlp
    import numpy as np

    sizes, batch = NETWORKS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps * batch, sizes[0]), np.float32)
    y = rng.integers(0, sizes[-1], len(x))
    alone, lead = comm.Split(comm.rank, 0), comm.rank == 0
    plans: list[list[list[float]]] = []
    kinds = {"fit": None, "one rank": alone, "each alone": alone, "all ranks": comm}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(rounds + 1):
        for kind, used in kinds.items():
            net = fastmlp.MLP(sizes, output="softmax", random_state=0, n_threads=1)
            comm.Barrier()
            if comm.rank == 0 or kind in ("each alone", "all ranks"):
                history = net.fit(x, y, epochs=5, batch_size=batch, comm=used)
                if turn:  # the first epoch begins with what rank 0 has
                    seconds[kind] += [s / steps for s in history.seconds[1:]]
            wait(comm)
        if lead and turn:
            lines = fastmlp.plan(sizes, batch, comm.size, **link)
            plans.append([[line.ranks, line.seconds] for line in lines])
        wait(comm)
    alone.Free()
    return {
        "id": name,
        "ranks": comm.size,
        "statistic": "median",
        "seconds": seconds,
        "link": link,
        "plan": plans,
    }


def wait(comm: Any) -> None:
    """A barrier whose waiting ranks sleep: MPI's own keep a processor busy."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.001)


def reductions(comm: Any, kilobytes: int, rounds: int) -> dict[str, Any]:
    """Seconds of a sum over all ranks by the tree, and by MPI."""
    import numpy as np
    from fastmlp._cluster import sums

    vector = np.zeros(kilobytes * 256, np.float32)
    out = np.empty_like(vector)
    seconds: dict[str, list[float]] = {"tree": [], "Allreduce": []}
    for _ in range(rounds):
        for kind in seconds:
            comm.Barrier()
            start = time.perf_counter()
            if kind == "tree":
                sums.over_ranks(comm, vector)
            else:
                comm.Allreduce(vector, out)
            seconds[kind].append(time.perf_counter() - start)
    return {"id": f"{kilobytes} KB", "seconds": seconds}


def link_of(records: list[dict[str, Any]]) -> dict[str, float]:
    """Latency and bandwidth between two ranks, from sums of the shortest and longest vectors."""
    short, long = (min(record["seconds"]["tree"]) for record in (records[0], records[-1]))
    bandwidth = 1024 * (KILOBYTES[-1] - KILOBYTES[0]) / max(long - short, 1e-9)
    return {
        "latency": max(1e-7, (short - 1024 * KILOBYTES[0] / bandwidth) / 3),
        "bandwidth": bandwidth,
    }


def picture(folder: Path, path: Path) -> None:
    """Draw efficiency over ranks: what was measured, and the plan with constants of now."""
    import json

    import fastmlp
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    stored = json.loads((folder / "cluster.json").read_text("utf-8"))
    figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
    styles = dict(zip(BATCHES, (":", "--", "-"), strict=True))
    for name, (sizes, _) in NETWORKS.items():
        for batch, style in styles.items():
            lines = fastmlp.plan(sizes, batch, MOST_RANKS)
            axes.plot(
                [line.ranks for line in lines], [line.efficiency for line in lines], style,
                color=COLORS[name], label=f"{'-'.join(map(str, sizes))}, {batch:,} rows a step",
            )  # fmt: skip
    for record in stored["results"]:
        if record["id"] in NETWORKS:
            middle = {kind: median(samples) for kind, samples in record["seconds"].items()}
            efficiency = middle["one rank"] / middle["all ranks"] / record["ranks"]
            axes.plot(record["ranks"], efficiency, "o", color=COLORS[record["id"]])
    axes.plot([], [], "o", color="gray", label="measured, 1,024 rows, two cores")
    axes.set(
        xscale="log", ylim=(0, 1.05), xlabel="ranks, one thread each",
        ylabel="efficiency: speedup / ranks",
    )  # fmt: skip
    ticks = [2**k for k in range(0, 11, 2)]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="lower left")
    figure.savefig(path, dpi=150)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--picture", type=Path, help="draw the stored results there")
    parser.add_argument("--quick", action="store_true", help="one short round: does it all work?")
    options = parser.parse_args()
    machine.enter(1)
    os.environ["FASTMLP_NUM_THREADS"] = "1"
    if options.picture is not None:
        picture(options.out, options.picture)
        return 0
    try:
        from mpi4py import MPI
    except ImportError:
        print("needs mpi4py: pip install mpi4py mpich")
        return 0
    if options.quick:
        options.steps, options.rounds = 1, 1
    comm = MPI.COMM_WORLD
    sums = [reductions(comm, size, 5 * options.rounds) for size in KILOBYTES]
    link = link_of(sums) if comm.size == 2 else {"latency": 2e-6, "bandwidth": 1e9}
    records = [fits(comm, name, options.steps, options.rounds, link) for name in NETWORKS] + sums
    if comm.rank:
        return 0
    for record in records[: len(NETWORKS)]:
        for what, of in (("median", median), ("fastest", min)):
            found = {kind: of(samples) for kind, samples in record["seconds"].items()}
            ratio = found["one rank"] / found["all ranks"]
            most = comm.size * found["one rank"] / found["each alone"]
            plan = [1e3 * of([lines[k][1] for lines in record["plan"]]) for k in (0, -1)]
            print(
                f"{record['id']:6} {what:8} fit {1e3 * found['fit']:.2f} ms, "
                f"1 rank {1e3 * found['one rank']:.2f} ms, "
                f"{comm.size} ranks {1e3 * found['all ranks']:.2f} ms: {ratio:.2f}x, "
                f"of networks apart {most:.2f}x, plan {plan[0]:.2f} and {plan[1]:.2f} ms"
            )
    for record in records[len(NETWORKS) :]:
        best = {kind: 1e6 * min(samples) for kind, samples in record["seconds"].items()}
        print(f"{record['id']:8} tree {best['tree']:.0f} us, Allreduce {best['Allreduce']:.0f} us")
    results.write_json(options.out / "cluster.json", machine.describe(), records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
