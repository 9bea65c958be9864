"""Many estimators at once: copies of one, each with its parameters and rows of shared arrays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .._inputs import sparse
from .._typing import Array
from . import ranks
from .crew import Crew, threads_of

if TYPE_CHECKING:
    from .._cluster.cluster import Cluster


def copy_of(estimator: Any, parameters: Mapping[str, Any]) -> Any:
    """An unfitted estimator with equal parameters, but for those that are given."""
    try:
        from sklearn.base import clone  # type: ignore[import-untyped,unused-ignore]

        new = clone(estimator)
    except ImportError:
        new = type(estimator)(**estimator.get_params(deep=False))
    return new.set_params(**parameters)


def copies_of(estimator: Any, parameters: Mapping[str, Any], k: int) -> list[Any]:
    """``k`` copies with these parameters, each fitted by one thread: nothing of them is shared."""
    first = copy_of(estimator, {"n_threads": 1, **parameters})
    return [first, *(copy.deepcopy(first) for _ in range(k - 1))]


class Team:
    """Estimators that are fitted by several threads, each by one.

    Parameters
    ----------
    X, y : (n, …) arrays, checked
    sample_weight : (n,) array or None
    n_threads : int or None
    """

    def __init__(self, X: Any, y: Any, sample_weight: Array | None, n_threads: int | None) -> None:
        self._x = X.tocsr() if sparse.is_sparse(X) else X
        self._y, self._weight = y, sample_weight
        self._n_threads = threads_of(n_threads)

    def rows(self, rows: Any) -> tuple[Any, Any, Array | None]:
        """Some rows of everything; those of a slice are not copied."""
        weight = None if self._weight is None else self._weight[rows]
        return self._x[rows], self._y[rows], weight

    def fit(
        self, estimators: Sequence[Any], rows: Sequence[Any], cluster: Cluster | None = None
    ) -> list[Any]:
        """Fit each estimator to its rows, of several ranks in one of them; return all.

        Ctrl-C or an exception ends the fits of the others between two steps.
        """

        def fitted(jobs: Sequence[int]) -> list[Any]:
            mine = [estimators[i] for i in jobs]
            self.do(mine, [rows[i] for i in jobs], lambda _, one, *given: fit(one, *given))
            return mine

        if cluster is None:
            return fitted(range(len(estimators)))
        return ranks.spread(cluster, self._costs(estimators, rows), fitted)

    def do(
        self,
        estimators: Sequence[Any],
        rows: Sequence[Any],
        work: Callable[..., object],
    ) -> list[Any]:
        """``work(i, estimator, X, y, sample_weight)`` with the rows of each; what it returns."""
        results: list[Any] = [None] * len(estimators)

        def do(i: int) -> None:
            one = estimators[i]
            one._halt = crew.halt
            try:
                results[i] = work(i, one, *self.rows(rows[i]))
            finally:
                one.__dict__.pop("_halt", None)

        crew = Crew(self._costs(estimators, rows), self._n_threads, do)
        crew.run()
        return results

    def _costs(self, estimators: Sequence[Any], rows: Sequence[Any]) -> list[float]:
        return [self._cost(*pair) for pair in zip(estimators, rows, strict=True)]

    def _cost(self, estimator: Any, rows: Any) -> float:
        """About how long a fit takes, in any unit."""
        whole = self._x.shape[0]
        n = len(range(whole)[rows]) if isinstance(rows, slice) else len(rows)
        hidden = np.atleast_1d(getattr(estimator, "hidden_layer_sizes", 100)).tolist()
        sizes = [self._x.shape[1], *hidden]
        products = sum(a * b for a, b in pairwise(sizes))
        return float(n * (products + 100) * getattr(estimator, "max_iter", 1))


def fit(estimator: Any, X: Any, y: Any, sample_weight: Array | None) -> None:
    """Fit one estimator, with weights where there are any."""
    if sample_weight is None:
        estimator.fit(X, y)
    else:
        estimator.fit(X, y, sample_weight)
