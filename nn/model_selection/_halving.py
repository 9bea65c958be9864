"""Rounds of a search: more epochs for fewer candidates."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from .._many.estimating import copies_of, copy_of, fit
from ..estimators import MLPClassifier
from ..estimators._methods import stochastic
from ._folds import Folds
from ._results import Row


def rounds(n: int, epochs: int, factor: float) -> list[tuple[int, int]]:
    """Candidates and epochs (from the beginning) of each round, the last one with all epochs."""
    number = max(1, math.floor(math.log(n, factor) + 1e-9) + 1)
    found = []
    for i in range(number):
        found.append((max(1, math.ceil(n / factor**i - 1e-9)),
                      max(1, round(epochs / factor ** (number - 1 - i)))))  # fmt: skip
    # Rounds of equally many epochs would sort out without looking again.
    return [one for i, one in enumerate(found) if i == 0 or one[1] > found[i - 1][1]]


def run(
    search: Any, candidates: list[dict[str, Any]], folds: Folds, y: Any
) -> tuple[list[Row], int]:
    """Successive halving; the table, and the best row of the last round.

    ``search`` is told the candidates and epochs of each round.
    """
    epochs = _check(search.estimator, candidates)
    plan = rounds(len(candidates), epochs, search.factor)
    classes = None
    if isinstance(search.estimator, MLPClassifier):
        classes = np.unique(np.asarray(y))
    networks = [copies_of(search.estimator, one, len(folds)) for one in candidates]
    alive = list(range(len(candidates)))
    table: list[Row] = []
    before = 0
    search.n_candidates_, search.n_resources_ = [], []
    for number, (n, until) in enumerate(plan):
        if number:
            ranked = sorted(table[-len(alive) :], key=lambda row: row.order())
            alive = sorted(row.candidate for row in ranked[:n])
        search.n_candidates_.append(len(alive))
        search.n_resources_.append(until)

        def work(one: Any, fold: int, *rows: Any, more: int = until - before) -> Any:
            started = time.perf_counter()
            one._go_on(*rows, classes, more)
            return _scored(search, folds, fold, one, time.perf_counter() - started)

        for c, found in folds.do({c: networks[c] for c in alive}, work).items():
            table.append(Row(c, candidates[c], number, until, found))
        before = until
    last = table[-len(alive) :]
    best = min(last, key=lambda row: row.order())
    return table, table.index(best)


def run_whole(search: Any, candidates: list[dict[str, Any]], folds: Folds) -> tuple[list[Row], int]:
    """Each candidate fitted whole; the table, and its best row."""
    copies = {c: copies_of(search.estimator, one, len(folds)) for c, one in enumerate(candidates)}

    def work(one: Any, fold: int, *rows: Any) -> Any:
        started = time.perf_counter()
        fit(one, *rows)
        return _scored(search, folds, fold, one, time.perf_counter() - started)

    results = folds.do(copies, work)
    table = [Row(c, one, None, None, results[c]) for c, one in enumerate(candidates)]
    return table, table.index(min(table, key=lambda row: row.order()))


def _scored(search: Any, folds: Folds, fold: int, one: Any, spent: float) -> dict[str, float]:
    found = {"fit_time": spent}
    found["test_score"], found["score_time"] = folds.timed_score(one, folds.test[fold])
    if search.return_train_score:
        found["train_score"] = folds.timed_score(one, folds.train[fold])[0]
    return found


def _check(estimator: Any, candidates: list[dict[str, Any]]) -> int:
    """Raise where a candidate cannot be trained epoch by epoch; all epochs."""
    if any("max_iter" in one for one in candidates):
        raise ValueError("with halving max_iter is what is halved: take it out of the space")
    for one in candidates:
        tried = copy_of(estimator, one)
        try:
            stochastic(tried)
        except AttributeError as error:
            raise ValueError(
                f"halving goes on epoch by epoch: {error}; set halving=False"
            ) from None
        if tried.early_stopping:
            raise ValueError("halving has no early_stopping: take it out, or set halving=False")
    return int(estimator.max_iter)
