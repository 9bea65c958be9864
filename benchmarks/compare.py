"""Compare stored runs of pytest-benchmark: two versions, or the trend over all of them.

python benchmarks/compare.py                     the last two runs in .benchmarks
python benchmarks/compare.py 0001 0004           these two, by number or file
python benchmarks/compare.py --limit 1.1         exit status 1 where one takes 1.1 times as long
python benchmarks/compare.py --trend trend.png   the minimum of each benchmark over all runs
python benchmarks/compare.py --append benchmarks/results/trend.json
                                                 add the last run to a file that can be committed;
                                                 ``--storage`` takes it as it takes a folder
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness import plots

#: Okabe and Ito's, told apart by colour-blind people; lines take both in turn.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")


@dataclass(frozen=True)
class Run:
    """A stored run: when, of which commit, on which processor, and its minima in seconds."""

    name: str
    when: str
    commit: str
    processor: str
    seconds: dict[str, float]


def read(path: Path) -> Run:
    """Read a file of pytest-benchmark."""
    stored = json.loads(path.read_text("utf-8"))
    commit = stored.get("commit_info", {})
    cpu = stored.get("machine_info", {}).get("cpu", {})
    seconds = {b["fullname"]: float(b["stats"]["min"]) for b in stored["benchmarks"]}
    when = commit.get("time") or stored["datetime"]
    return Run(path.stem, when, str(commit.get("id", ""))[:9], cpu.get("brand_raw", "?"), seconds)


def read_kept(path: Path) -> list[Run]:
    """Read a file that :func:`append` has written."""
    return [Run(**run) for run in json.loads(path.read_text("utf-8"))]


def append(run: Run, path: Path) -> None:
    """Add a run to a file, in the place of an earlier one of its commit and machine."""
    kept = read_kept(path) if path.is_file() else []
    kept = [r for r in kept if (r.commit, r.processor) != (run.commit, run.processor)]
    kept = sorted([*kept, run], key=lambda r: r.when)
    path.write_text(json.dumps([asdict(r) for r in kept], indent=1) + "\n", "utf-8")
    print(f"{path}: {len(kept)} runs")


def find(folder: Path, word: str) -> Path:
    """The file that a number or a path names."""
    if Path(word).is_file():
        return Path(word)
    found = sorted(folder.rglob(f"{word}*.json"))
    if len(found) != 1:
        raise SystemExit(f"{word!r} names {len(found)} runs in {folder}, not one")
    return found[0]


def ratios(old: Run, new: Run, only: str) -> dict[str, float]:
    """Time of the new run over that of the old one, by benchmark; the slowest first."""
    common = [name for name in old.seconds if name in new.seconds and only in name]
    found = {name: new.seconds[name] / old.seconds[name] for name in common}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def compare(old: Run, new: Run, only: str, limit: float | None) -> int:
    """Print the ratios; return the exit status."""
    found = ratios(old, new, only)
    if not found:
        raise SystemExit("the two runs have no benchmark in common")
    print(f"{new.name} ({new.commit}) over {old.name} ({old.commit}), {new.processor}")
    for name, ratio in found.items():
        mark = "  over the limit" if limit is not None and ratio > limit else ""
        print(f"{ratio:8.3f}  {1e6 * new.seconds[name]:12.2f} µs  {name}{mark}")
    mean = math.exp(sum(map(math.log, found.values())) / len(found))
    print(f"{mean:8.3f}  geometric mean of {len(found)}")
    return int(limit is not None and max(found.values()) > limit)


def trend(runs: list[Run], only: str, path: Path) -> None:
    """Draw the minima over the runs, as multiples of each benchmark's first."""
    plt = plots.pyplot()
    if plt is None:
        raise SystemExit("--trend needs matplotlib")
    runs = sorted(runs, key=lambda run: run.when)
    names = sorted({name for run in runs for name in run.seconds if only in name})
    figure, ax = plt.subplots(figsize=(9, 4.8), layout="constrained")
    for number, name in enumerate(names):
        points = [(i, r.seconds[name]) for i, r in enumerate(runs) if name in r.seconds]
        places, seconds = zip(*points, strict=True)
        ax.plot(
            places,
            [s / seconds[0] for s in seconds],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            label=name.rpartition("[")[2].rstrip("]"),
        )
    ax.axhline(1, color="#333333", lw=0.8)
    ax.set_ylim(bottom=0)
    ax.set_xticks(range(len(runs)), [f"{r.when[5:10]}\n{r.commit or r.name}" for r in runs])
    ax.set(ylabel="time, as a multiple of the first run's", xlabel="month and day, commit")
    ax.set_title(runs[0].processor, fontsize=10, loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    if len(names) <= 12:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
    print(path)


def stored_runs(storage: Path, words: list[str]) -> list[Run]:
    """The runs that are named, else all of a folder or file, in their order."""
    if words:
        return [read(find(storage, word)) for word in words]
    if storage.is_file():
        return read_kept(storage)
    found = [read(path) for path in sorted(storage.rglob("*.json"), key=lambda path: path.name)]
    if not found:
        raise SystemExit(f"{storage} holds no runs of pytest-benchmark")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", help="two of them: numbers or files")
    parser.add_argument(
        "--storage", type=Path, default=Path(".benchmarks"), help="folder, or file of --append"
    )
    parser.add_argument("--only", default="", help="benchmarks whose name has this in it")
    parser.add_argument("--limit", type=float, help="of the ratio, for the exit status")
    parser.add_argument("--append", type=Path, metavar="FILE", help="add the last run to a file")
    parser.add_argument("--trend", type=Path, metavar="FILE", help="draw all runs")
    parser.add_argument("--any-machine", action="store_true", help="compare unlike processors too")
    options = parser.parse_args(arguments)
    if options.append:
        append(stored_runs(options.storage, options.runs)[-1], options.append)
        return 0
    runs = stored_runs(options.storage, options.runs)
    if options.trend is None and not options.runs:
        runs = runs[-2:]
    if len(runs) < 2 or (options.trend is None and len(runs) != 2):
        raise SystemExit(f"two runs are needed, {len(runs)} were found or named")
    if len({run.processor for run in runs}) > 1 and not options.any_machine:
        raise SystemExit(f"runs of unlike machines: {sorted({run.processor for run in runs})}")
    if options.trend is not None:
        trend(runs, options.only, options.trend)
        return 0
    return compare(*runs, options.only, options.limit)


if __name__ == "__main__":
    sys.exit(main())
