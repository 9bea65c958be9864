"""Training on rows that do not fit into memory, beside training on an array.

    python benchmarks/streams.py
    python benchmarks/streams.py --size 4096 --folder DISK --rounds 1      # megabytes of rows
    python benchmarks/streams.py --quick

A file of rows (float32, 100 columns) is written as a memory map and as Parquet, then a 100-64-64-1
network is trained on each, one epoch a sample, in turn with an array of a tenth of the size, with
scikit-learn's ``partial_fit`` over the same blocks and with torch's loader, where they are
installed. The most that the process's memory grows meanwhile is read from the system, a hundred
times a second. ``--folder`` is for large files: they are kept for another run, are read once a
round and are all that is measured (``streams-large.json``).

Then the shuffles: rows sorted by their target, trained on with a full shuffle, with CorgiPile's and
in their order, with test errors over several seeds: with a learning rate that falls to 0 along a
cosine, and with one that stays, which ends on whatever rows come last. Writes ``streams.json`` into
``--out``.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import machine, results

HERE = Path(__file__).resolve().parent
COLUMNS, BATCH = 100, 256
PAGES = Path("/proc/self/statm")


def write(folder: Path, n: int) -> None:
    """Rows in ``X.npy``, ``y.npy`` and, with pyarrow, ``rows.parquet``, unless they are there."""
    import numpy as np

    done = folder / f"{n}.written"
    if done.exists():
        return
    group = max(1000, n // 200)
    rng = np.random.default_rng(0)
    x = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (n, COLUMNS))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.float32, (n,))
    writer: Any = None
    for start in range(0, n, group):
        part = slice(start, min(start + group, n))
        x[part] = rng.standard_normal((part.stop - start, COLUMNS), np.float32)
        y[part] = np.tanh(x[part, 0]) + x[part, 1] * x[part, 2]
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            continue
        columns = {f"c{k}": x[part, k] for k in range(COLUMNS)} | {"y": y[part]}
        table = pyarrow.table(columns)
        writer = writer or parquet.ParquetWriter(
            folder / "rows.parquet", table.schema, use_dictionary=False
        )
        writer.write_table(table)
    if writer is not None:
        writer.close()
    x.flush()
    y.flush()
    done.touch()


def contenders(folder: Path, n: int, memory: int) -> dict[str, tuple[Callable[[], object], int]]:
    """What trains for an epoch, and on how many rows."""
    import numpy as np
    from fastmlp import MLP, data

    def network() -> MLP:
        return MLP([COLUMNS, 64, 64, 1], random_state=0)

    nets = {name: network() for name in ("array", "memory map", "parquet")}
    few = n // 10
    x, y = (np.array(np.load(folder / f, mmap_mode="r")[:few]) for f in ("X.npy", "y.npy"))
    options = {"epochs": 1, "batch_size": BATCH}
    rows = data.npy(folder / "X.npy", folder / "y.npy", memory=memory)
    found: dict[str, tuple[Callable[[], object], int]] = {
        "array": (lambda: nets["array"].fit(x, y, **options), few),
        "memory map": (lambda: nets["memory map"].fit(rows, **options), n),
    }
    if (folder / "rows.parquet").exists():
        table = data.parquet(folder / "rows.parquet", "y", memory=memory)
        found["parquet"] = lambda: nets["parquet"].fit(table, **options), n
        found["parquet, read alone"] = lambda: [table[i] for i in range(len(table))], n
    try:
        from sklearn.neural_network import MLPRegressor
    except ImportError:
        return found
    theirs = MLPRegressor(hidden_layer_sizes=(64, 64), batch_size=BATCH, random_state=0)
    some = range(min(len(rows), 4))
    n_some = sum(rows.rows(i) or 0 for i in some)
    found["scikit-learn"] = lambda: [theirs.partial_fit(*rows[i]) for i in some], n_some
    return found | torch_loader(folder, n)


def torch_loader(folder: Path, n: int) -> dict[str, tuple[Callable[[], object], int]]:
    """A loop over torch's loader of the memory map, where torch is installed."""
    try:
        import torch
    except ImportError:
        return {}
    import numpy as np

    torch.set_num_threads(1)
    x = torch.from_numpy(np.load(folder / "X.npy", mmap_mode="c"))
    y = torch.from_numpy(np.load(folder / "y.npy", mmap_mode="c"))
    sizes = (COLUMNS, 64, 64, 1)
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    net = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    descent = torch.optim.Adam(net.parameters())
    few = min(n, 20_000)
    rows = torch.utils.data.TensorDataset(x[:few], y[:few])
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, shuffle=True)

    def epoch() -> None:
        for inputs, targets in loader:
            descent.zero_grad()
            (0.5 * (net(inputs)[:, 0] - targets) ** 2).mean().backward()
            descent.step()

    return {"torch": (epoch, few)}


def resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    if not PAGES.exists():
        return 0
    return int(PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def watched(call: Callable[[], object]) -> tuple[float, int]:
    """Seconds of a call, and the most that memory has grown by during it."""
    before, most, over = resident(), 0, threading.Event()

    def look() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, resident() - before)

    watch = threading.Thread(target=look)
    watch.start()
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    over.set()
    watch.join()
    return seconds, most


def shuffles(n: int, seeds: int) -> dict[str, list[float]]:
    """Test errors of networks that were trained on rows sorted by their target."""
    import numpy as np
    from fastmlp import MLP, data

    rng = np.random.default_rng(1)
    x = rng.standard_normal((n + 4000, 10), np.float32)
    y = np.tanh(x[:, 0]) + x[:, 1] * x[:, 2]
    order = np.argsort(y[:n])
    rows = data.arrays(x[order], y[order], block_rows=max(1, n // 100), buffer=10)
    found: dict[str, list[float]] = {}
    ways = (("full shuffle", "rows"), ("CorgiPile", True), ("in order", False))
    for rate, (name, shuffle), seed in itertools.product((None, "cosine"), ways, range(seeds)):
        net = MLP([10, 32, 1], random_state=seed)
        net.fit(rows, epochs=10, shuffle=shuffle, learning_rate=rate)
        kind = f"{name}, {rate or 'constant'} rate"
        found.setdefault(kind, []).append(net.loss(x[n:], y[n:]))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=128, help="megabytes of rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files are kept")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="few rows: does it all work?")
    options = parser.parse_args()
    if options.quick:
        options.size, options.rounds = 2, 1
    machine.enter(1)
    os.environ["FASTMLP_NUM_THREADS"] = "1"
    n, memory = options.size * 2**20 // (4 * COLUMNS), max(options.size, 16) * 2**20 // 8
    seconds: dict[str, list[float]] = {}
    grown: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        write(folder, n)
        calls = contenders(folder, n, memory)
        for turn in range(options.rounds + 1):
            for kind, (call, rows) in calls.items():
                if turn == 0 and rows == n and options.folder:
                    continue  # a large file is read once a round, from the system's cache
                took, most = watched(call)
                grown[kind] = max(grown.get(kind, 0), most)
                if turn:
                    seconds.setdefault(kind, []).append(took / rows)
    records: list[dict[str, Any]] = []
    print(f"{n:,} rows of {COLUMNS} columns, {options.size} MB; memory {memory / 2**20:.0f} MiB")
    print(f"{'':22} {'rows/s':>12} {'of array':>9} {'medians':>8} {'memory grew by':>15}")
    for kind, samples in seconds.items():
        ratio, middle = (of(seconds["array"]) / of(samples) for of in (min, statistics.median))
        print(
            f"{kind:22} {1 / min(samples):12,.0f} {ratio:9.2f} {middle:8.2f} "
            f"{grown[kind] / 2**20:11.0f} MiB"
        )
        records.append({"id": kind, "seconds_per_row": samples, "grown": grown[kind]})
    sorted_rows = (400, 2) if options.quick else (10_000, 20)
    for kind, errors in ({} if options.folder else shuffles(*sorted_rows)).items():
        spread = statistics.stdev(errors) / len(errors) ** 0.5
        print(f"sorted rows, {kind:27} test loss {statistics.mean(errors):.4f} ± {spread:.4f}")
        records.append({"id": f"sorted, {kind}", "test_losses": errors})
    name = "streams-large.json" if options.folder else "streams.json"
    results.write_json(options.out / name, machine.describe(), records)
    print(f"Written to {options.out}: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
