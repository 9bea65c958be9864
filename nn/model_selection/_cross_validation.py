"""Scores of one estimator on folds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .._many.estimating import copy_of, fit
from .._typing import Array
from . import _folds


def cross_validate(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = None,
    groups: Any = None,
    scoring: str | Callable[..., float] | None = None,
    sample_weight: Any = None,
    n_threads: int | None = None,
    return_train_score: bool = False,
    return_estimator: bool = False,
) -> dict[str, Any]:
    """Fit copies of an estimator on folds, all at once, and score them on the rows left out.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        What is copied; it is not changed.
    X, y : array-like
        Rows and targets, as its ``fit`` takes them.
    cv : int, splitter of scikit-learn or pairs of row numbers, optional
        5 folds by default, stratified for classes.
    groups : (n,) array-like, optional
        For splitters that keep groups together.
    scoring : str or function of (estimator, X, y), optional
        By default the estimator's own ``score``.
    sample_weight : (n,) array-like, optional
        Weights in fits and, where the score takes them, in scores.
    n_threads : int, optional
        Threads in all; each fold is fitted by one.
    return_train_score, return_estimator : bool, default False
        Add scores of the rows that were fitted to, and the fitted copies.

    Returns
    -------
    dict of arrays
        ``test_score``, ``fit_time``, ``score_time`` and on request ``train_score`` and
        ``estimator``, with one entry for each fold: what scikit-learn's function gives.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.datasets import load_digits
    >>> from fastmlp.model_selection import cross_validate
    >>> digits = load_digits()
    >>> model = MLPClassifier(32, max_iter=15, tol=0, random_state=0, n_iter_no_change=99)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # 15 epochs are not enough to converge
    ...     scores = cross_validate(model, digits.X, digits.y, cv=3)
    >>> scores["test_score"].shape
    (3,)
    """
    folds = _folds.of(estimator, X, y, cv, groups, scoring, sample_weight, n_threads)
    copies = [copy_of(estimator, {"n_threads": 1}) for _ in range(len(folds))]

    def work(i: int, one: Any, *rows: Any) -> dict[str, Any]:
        started = time.perf_counter()
        fit(one, *rows)
        found: dict[str, Any] = {"fit_time": time.perf_counter() - started}
        found["test_score"], found["score_time"] = folds.timed_score(one, folds.test[i])
        if return_train_score:
            found["train_score"] = folds.timed_score(one, folds.train[i])[0]
        return found

    results = folds.team.do(copies, folds.train, work)
    found: dict[str, Any] = {name: _column(results, name) for name in results[0]}
    if return_estimator:
        found["estimator"] = copies
    return found


def _column(results: list[dict[str, Any]], name: str) -> Array:
    return np.array([one[name] for one in results])
