"""Folds of rows, and scores of estimators on them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._cluster.cluster import Cluster
from .._inputs import sparse, tables
from .._many import ranks
from .._many.estimating import Team
from .._typing import Array
from ..estimators import MLPClassifier
from ..estimators._sklearn.compat import row_weights, scorer_of


@dataclass(frozen=True)
class Folds:
    """Rows to train on and rows to test on, several times.

    Attributes
    ----------
    train, test : lists of arrays
    team : Team
        The threads, and the arrays.
    score : function
        ``score(estimator, X, y, sample_weight)``; greater is better.
    cluster : Cluster or None
        The ranks that share the work.
    """

    train: list[Array]
    test: list[Array]
    team: Team
    score: Callable[[Any, Any, Any, Any], float]
    cluster: Cluster | None = None

    def __len__(self) -> int:
        return len(self.train)

    def do(
        self, copies: Mapping[int, Sequence[Any]], work: Callable[..., Any]
    ) -> dict[int, list[Any]]:
        """``work(estimator, fold, X, y, sample_weight)`` on every fold; what it returns.

        Of several ranks each does some, in every call the same candidates' folds, and all get what
        all return.

        Parameters
        ----------
        copies : mapping
            Number of a candidate → its estimators, one for each fold.
        """
        cluster = self.cluster
        jobs = [(c, fold) for c in copies for fold in range(len(self))]
        mine = jobs
        if cluster is not None:
            mine = [(c, fold) for c, fold in jobs if (c + fold) % cluster.size == cluster.rank]
        with contextlib.nullcontext() if cluster is None else cluster.guard():
            found = self.team.do(
                [copies[c][fold] for c, fold in mine],
                [self.train[fold] for _, fold in mine],
                lambda i, one, *rows: work(one, mine[i][1], *rows),
            )
            known = dict(zip(mine, found, strict=True))
            if cluster is not None:
                known = ranks.exchanged(cluster, known)
        return {c: [known[c, fold] for fold in range(len(self))] for c in copies}

    def words(self) -> list[str]:
        """What ranks must have in common."""
        every = slice(None)
        rows = zip(("X", "y", "sample_weight"), self.team.rows(every), strict=True)
        return [
            *(f"{name} {ranks.word(value)}" for name, value in rows),
            f"the folds {ranks.word([*self.train, *self.test])}",
        ]

    def timed_score(self, estimator: Any, rows: Any) -> tuple[float, float]:
        """Score on some rows, and the seconds that it took."""
        started = time.perf_counter()
        value = self.score(estimator, *self.team.rows(rows))
        return float(value), time.perf_counter() - started


def of(
    estimator: Any,
    X: Any,
    y: Any,
    cv: Any,
    groups: Any,
    scoring: Any,
    sample_weight: Any,
    n_threads: int | None,
    cluster: Cluster | None = None,
) -> Folds:
    """The folds of a cross-validation; see :func:`fastmlp.model_selection.cross_validate`."""
    x = X if sparse.is_sparse(X) else np.asarray(X)
    target = np.asarray(tables.column(y))
    if x.ndim != 2 or len(target) != x.shape[0]:
        raise ValueError(
            f"X and y must have as many rows, with X in two dimensions, got {x.shape} and "
            f"{target.shape}"
        )
    pairs = list(_splits(cv, x, target, groups, isinstance(estimator, MLPClassifier)))
    weight = row_weights(sample_weight, x, np.dtype(np.float64))
    score = _own_score if scoring is None else scorer_of(scoring)
    train, test = [a for a, _ in pairs], [b for _, b in pairs]
    return Folds(train, test, Team(x, target, weight, n_threads), score, cluster)


def _own_score(estimator: Any, X: Any, y: Any, weight: Array | None) -> float:
    return float(estimator.score(X, y, sample_weight=weight))


def _splits(
    cv: Any, X: Any, y: Array, groups: Any, classify: bool
) -> Iterable[tuple[Array, Array]]:
    """Pairs of training and test rows: those of scikit-learn, or without it simple ones."""
    try:
        from sklearn.model_selection import (  # type: ignore[import-untyped,unused-ignore]
            check_cv,
        )
    except ImportError:
        if cv is not None and not isinstance(cv, (int, np.integer)):
            yield from (cv.split(X, y, groups) if hasattr(cv, "split") else cv)
        else:
            yield from _plain_splits(5 if cv is None else int(cv), y, classify)
        return
    yield from check_cv(cv, y, classifier=classify).split(X, y, groups)


def _plain_splits(k: int, y: Array, stratify: bool) -> Iterable[tuple[Array, Array]]:
    """``k`` folds in the order of the rows; of classes each gets its share."""
    n = len(y)
    if not 2 <= k <= n:
        raise ValueError(f"cv must lie in 2…{n}, the number of rows, got {k}")
    fold = np.arange(n) * k // n
    if stratify and y.ndim == 1:
        fold = np.empty(n, np.intp)
        for label in np.unique(y):
            rows = np.flatnonzero(y == label)
            fold[rows] = np.arange(len(rows)) * k // len(rows)
    for i in range(k):
        yield np.flatnonzero(fold != i), np.flatnonzero(fold == i)
