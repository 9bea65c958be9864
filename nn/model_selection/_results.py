"""The table of a search, under scikit-learn's names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array


@dataclass(frozen=True, eq=False)
class Row:
    """A candidate in one round.

    Attributes
    ----------
    candidate : int
    parameters : dict
    number, epochs : int or None
        The round, and how long the networks have been trained; ``None`` without halving.
    folds : list of dict
        Score and times of each fold.
    """

    candidate: int
    parameters: dict[str, Any]
    number: int | None
    epochs: int | None
    folds: list[dict[str, float]]

    def mean(self, name: str) -> float:
        """Mean over the folds."""
        return float(np.mean([fold[name] for fold in self.folds]))

    def order(self) -> tuple[float, int]:
        """Sorts the best score first; of equal ones the first candidate, NaN last."""
        score = self.mean("test_score")
        return (math.inf if math.isnan(score) else -score), self.candidate


def table(rows: list[Row], with_training: bool) -> dict[str, Any]:
    """``cv_results_``: arrays with one entry for each row."""
    found: dict[str, Any] = {}
    if rows[0].number is not None:
        found["iter"] = np.array([row.number for row in rows])
        found["n_resources"] = np.array([row.epochs for row in rows])
    for name in ("fit_time", "score_time"):
        found |= _moments(name, _values(rows, name))
    for name in sorted({name for row in rows for name in row.parameters}):
        values: Any = np.ma.MaskedArray(np.empty(len(rows), object), mask=True)
        for i, row in enumerate(rows):
            if name in row.parameters:
                values[i] = row.parameters[name]
        found[f"param_{name}"] = values
    found["params"] = [row.parameters for row in rows]
    for name in ("test_score", "train_score")[: 1 + with_training]:
        scores = _values(rows, name)
        found |= {f"split{i}_{name}": scores[:, i] for i in range(scores.shape[1])}
        found |= _moments(name, scores)
        if name == "test_score":
            found["rank_test_score"] = _ranks(found["mean_test_score"])
    return found


def _values(rows: list[Row], name: str) -> Array:
    return np.array([[fold[name] for fold in row.folds] for row in rows])


def _moments(name: str, values: Array) -> dict[str, Array]:
    return {f"mean_{name}": values.mean(axis=1), f"std_{name}": values.std(axis=1)}


def _ranks(scores: Array) -> Array:
    """1 for the best; equal ones share the lowest rank, NaN comes last."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    return np.array([1 + np.count_nonzero(known > one) for one in known], np.int32)
