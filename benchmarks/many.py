"""Many networks at once: ``fit_many`` against our own loop of ``fit`` and other libraries.

    python benchmarks/many.py            # prints the tables and writes results/many.json
    python benchmarks/many.py --quick    # does it all work?

``loop`` is a Python loop of ``MLP.fit``; ``epoch by epoch`` the same where something (here a
callback that does nothing) looks at every epoch, so that the engine is entered for each; ``one
after another`` is ``fit_many`` without lanes. ``jax`` is one scan over the epochs and steps of
networks stacked by ``vmap``, compiled before it is timed; ``torch`` its ``vmap`` over stacked
parameters. ``scikit-learn`` trains a few of the networks, alone or in two processes, and its time
is scaled up. What runs on one thread does so in a process that has one core, what runs on two in
one that has two, in turn, round after round; of each the fastest round counts. Bits of ``fit_many``
are compared with those of the loop before anything is timed.

``search`` is a search of 64 settings over 5 folds of the digits with successive halving, against
scikit-learn's ``HalvingRandomSearchCV`` with the same estimator, candidates, rounds and epochs.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastmlp import MLP, fit_many
from harness import isolated, machine, many_rivals, results
from harness.many_rivals import FEW

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """So many networks of one shape, on shared rows or each on its own part of them."""

    name: str
    networks: int
    sizes: tuple[int, ...]
    rows: int
    batch: int
    epochs: int
    own_rows: bool
    optimizer: str = "adam"
    classes: bool = False


CASES = (
    Case("64 x 20-64-64-1, batch 64, Adam", 64, (20, 64, 64, 1), 1024, 64, 5, False),
    Case("500 groups of 100 rows, 6-16-1, batch 32", 500, (6, 16, 1), 50_000, 32, 50, True),
    Case("256 x 4-16-3, batch 16, SGD", 256, (4, 16, 3), 1024, 16, 20, False, "sgd", True),
)


def data(case: Case) -> tuple[Any, Any, list[Any]]:
    """Rows, targets, and which rows each network has."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(case.rows, case.sizes[0])).astype(np.float32)
    y = (x[:, 0] * x[:, 1])[:, None]
    if case.classes:
        y = np.digitize(y[:, 0], [-0.3, 0.3])
    n = case.rows // case.networks
    whole = [slice(0, case.rows)] * case.networks
    parts = [slice(i * n, (i + 1) * n) for i in range(case.networks)]
    return x, y, parts if case.own_rows else whole


def networks(case: Case) -> list[MLP]:
    """New networks, the same in every round."""
    output = "softmax" if case.classes else "identity"
    return [
        MLP(case.sizes, output=output, random_state=i, n_threads=1) for i in range(case.networks)
    ]


def contenders(case: Case, rivals: bool, threads: int) -> dict[str, Callable[[list[MLP]], Any]]:
    """What is timed, by name: functions of new networks, which others do not look at."""
    x, y, rows = data(case)
    options: dict[str, Any] = {"epochs": case.epochs, "batch_size": case.batch}
    options |= {"optimizer": case.optimizer, "learning_rate": 1e-3}

    def loop(nets: list[MLP], **more: Any) -> None:
        for net, part in zip(nets, rows, strict=True):
            net.fit(x[part], y[part], **options, **more)

    def many(**more: Any) -> Callable[[list[MLP]], Any]:
        return lambda nets: fit_many(nets, x, y, rows=rows, n_threads=threads, **options, **more)

    found: dict[str, Callable[[list[MLP]], Any]] = {"fit_many": many()}
    if threads == 1:
        found |= {
            "loop": loop,
            "epoch by epoch": lambda nets: loop(nets, callbacks=[lambda net, history: None]),
            "one after another": many(lanes=False),
        }
    loop(expected := networks(case))
    for ours in found:
        found[ours](nets := networks(case))
        for net, alone in zip(nets, expected, strict=True):
            np.testing.assert_array_equal(net.parameters, alone.parameters)
    makers: dict[str, Callable[[], Callable[[], Any]]] = {
        "jax": lambda: many_rivals.jax(case, x, y, rows, networks(case)),
        "torch": lambda: many_rivals.torch(case, x, y, rows, networks(case), threads),
        "scikit-learn": lambda: many_rivals.sklearn(case, x, y, rows, threads),
    }
    for name, make in makers.items() if rivals else ():
        try:
            run = make()
        except ImportError:
            print(f"  (without {name}, which is not installed)")
            continue
        found[name] = _ignoring_networks(run)
    return found


def _ignoring_networks(run: Callable[[], Any]) -> Callable[[list[MLP]], Any]:
    return lambda nets: run()


def search(quick: bool) -> dict[str, dict[str, float]]:
    """Seconds, and the best score with its standard error over the folds, of both searches."""
    from fastmlp import MLPClassifier
    from fastmlp.datasets import load_digits
    from fastmlp.model_selection import MLPSearchCV
    from scipy.stats import loguniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV, StratifiedKFold

    digits, n, most = load_digits(), 9 if quick else 64, 9 if quick else 81
    space = {
        "learning_rate_init": loguniform(1e-4, 1e-1),
        "hidden_layer_sizes": [(16,), (32,), (64,), (32, 32)],
        "alpha": loguniform(1e-6, 1e-1),
    }
    model = MLPClassifier(
        max_iter=most, batch_size=64, n_iter_no_change=10**6, random_state=0, n_threads=1
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    shared = {"cv": folds, "random_state": 0, "refit": False}
    ours = MLPSearchCV(model, space, n, n_threads=2, **shared)
    first = 1 if quick else 3
    theirs = HalvingRandomSearchCV(
        model, space, n_candidates=n, resource="max_iter", min_resources=first,
        max_resources=most, factor=3, n_jobs=2, **shared
    )  # fmt: skip
    found = {}
    for name, one in (("MLPSearchCV", ours), ("HalvingRandomSearchCV", theirs)):
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.fit(digits.X, digits.y)
        spent, table = time.perf_counter() - started, one.cv_results_
        error = table["std_test_score"][one.best_index_] / np.sqrt(5)
        found[name] = {"seconds": spent, "score": one.best_score_, "error": float(error)}
        found[name]["candidates"] = [int(k) for k in one.n_candidates_]
        found[name]["epochs"] = [int(k) for k in one.n_resources_]
    return found


def measure(case: Case, rounds: int, threads: int, rivals: bool = True) -> dict[str, float]:
    """Seconds of the fastest round of each."""
    timed = contenders(case, rivals, threads)
    best = dict.fromkeys(timed, float("inf"))
    for _ in range(rounds):
        for name, call in timed.items():
            nets = networks(case)
            started = time.perf_counter()
            call(nets)
            best[name] = min(best[name], time.perf_counter() - started)
    if "scikit-learn" in best:
        best["scikit-learn"] *= case.networks / FEW
    return best


def measure_named(name: str, rounds: int, threads: int) -> dict[str, float]:
    """The same of one of ``CASES``; runs in a process of its own, see ``harness.isolated``."""
    return measure(next(case for case in CASES if case.name == name), rounds, threads)


def report(case: Case, threads: int, seconds: dict[str, float]) -> str:
    """A line for each, with its time in multiples of ours."""
    lines = [f"{case.name}, {case.epochs} epochs, {threads} thread{'s' if threads > 1 else ''}"]
    for name, value in sorted(seconds.items(), key=lambda item: item[1]):
        lines.append(f"  {name:28} {value * 1e3:9.1f} ms {value / seconds['fit_many']:7.2f}×")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--case", default="", help="part of a case's name, or search: only that")
    parser.add_argument("--quick", action="store_true", help="one round: does it all work?")
    options = parser.parse_args()
    found: list[Any] = []
    for case in CASES:
        if options.case and options.case not in case.name:
            continue
        for threads in range(1, 1 + min(2, len(machine.usable_cores()))):
            rounds = 1 if options.quick else options.rounds
            request = {"name": case.name, "rounds": rounds, "threads": threads}
            seconds = isolated.call("many:measure_named", request, threads)
            print(report(case, threads, seconds), flush=True)
            record = {"case": case.name, "epochs": case.epochs, "threads": threads}
            found.append({**record, "seconds": seconds})
    if not options.case or options.case == "search":
        found.append({"case": "search of 64 settings, 5 folds of digits", **search(options.quick)})
        print(found[-1])
    results.write_json(options.out / "many.json", machine.describe(), found)
    print(f"Written to {options.out}: many.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
