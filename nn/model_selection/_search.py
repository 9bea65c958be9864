"""A search for good parameters: all candidates and folds in one pool of threads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from .._cluster.cluster import Cluster
from .._inputs.numbers import count
from .._many import ranks, settings
from .._many.estimating import copy_of
from .._typing import Array
from ..estimators import MLPClassifier, MLPRegressor
from ..estimators._fitting.ranks import FREE
from ..estimators._methods import available_if, keep_parameters
from ..estimators._sklearn.compat import BaseEstimator, NotFittedError
from ..estimators._sklearn.parameters import random_state_of
from . import _folds, _halving, _results


def _has(name: str) -> Callable[[Any], None]:
    """A check that the best estimator, or the one to be fitted, has a method."""

    def check(search: Any) -> None:
        getattr(search.__dict__.get("best_estimator_", search.estimator), name)

    return check


class MLPSearchCV(BaseEstimator):
    """Search for parameters by cross-validation, with successive halving on epochs.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        What is copied; it is not changed.
    space : dict
        Name of a parameter → list of values, or a distribution with ``rvs``
        (:class:`loguniform` and its like, or those of scipy.stats).
    n_candidates : int, optional
        Candidates that are drawn; by default all combinations of lists.
    cv : int, splitter of scikit-learn or pairs of row numbers, optional
        5 folds by default, stratified for classes.
    scoring : str or function of (estimator, X, y), optional
        By default the estimator's own ``score``.
    halving : bool, default True
        Train all candidates for a few epochs, then the better ones for more, from where they were,
        up to the estimator's ``max_iter``: K. Jamieson, A. Talwalkar, *Non-stochastic best arm
        identification and hyperparameter optimization*, AISTATS 2016. Epochs are those of
        ``partial_fit``: without early stopping and rules. ``False`` fits each candidate whole.
    factor : float, default 3
        One candidate in so many goes on, with so many times the epochs.
    refit : bool, default True
        Fit the best candidate to all rows, by ``fit``.
    return_train_score : bool, default False
        Score the rows that were fitted to as well.
    random_state : int, RandomState or None
        Draws the candidates; the estimators have their own.
    n_threads : int, optional
        Threads in all; each network is trained by one.

    Attributes
    ----------
    best_params_, best_score_, best_index_, best_estimator_, cv_results_, n_splits_, refit_time_,
    multimetric_, scorer_ :
        As in scikit-learn's searches.
    n_candidates_, n_resources_ : lists of int
        With halving: candidates and epochs of each round.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.datasets import load_digits
    >>> from fastmlp.model_selection import MLPSearchCV, loguniform
    >>> digits = load_digits()
    >>> space = {"learning_rate_init": loguniform(1e-4, 1e-1), "hidden_layer_sizes": [16, 32]}
    >>> model = MLPClassifier(max_iter=9, random_state=0)
    >>> search = MLPSearchCV(model, space, n_candidates=9, cv=3, refit=False, random_state=0)
    >>> search = search.fit(digits.X, digits.y)
    >>> search.n_candidates_, search.n_resources_
    ([9, 3, 1], [1, 3, 9])
    """

    estimator: Any
    space: Mapping[str, Any]
    n_candidates: int | None
    cv: Any
    scoring: Any
    halving: bool
    factor: float
    refit: bool
    return_train_score: bool
    random_state: Any
    n_threads: int | None

    best_params_: dict[str, Any]
    best_score_: float
    best_index_: int
    best_estimator_: Any
    cv_results_: dict[str, Any]

    multimetric_ = False

    def __init__(
        self,
        estimator: Any,
        space: Mapping[str, Any],
        n_candidates: int | None = None,
        *,
        cv: Any = None,
        scoring: Any = None,
        halving: bool = True,
        factor: float = 3,
        refit: bool = True,
        return_train_score: bool = False,
        random_state: Any = None,
        n_threads: int | None = None,
    ) -> None:
        keep_parameters(self, locals())

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        comm: Any = None,
    ) -> MLPSearchCV:
        """Search, and fit the best candidate to all rows where ``refit`` asks for it.

        Parameters
        ----------
        X, y : array-like
            Rows and targets, as the estimator's ``fit`` takes them.
        sample_weight : (n,) array-like, optional
            Weights in fits and, where the score takes them, in scores.
        groups : (n,) array-like, optional
            For splitters that keep groups together.
        comm : mpi4py.MPI.Comm, optional
            Its ranks share candidates and folds, and the last fit; all end with the same results.

        Returns
        -------
        self
            With what was found.
        """
        cluster = None if comm is None else Cluster(comm, None)

        def begin() -> tuple[list[dict[str, Any]], _folds.Folds]:
            return self._candidates(), _folds.of(
                self.estimator, X, y, self.cv, groups, self.scoring, sample_weight,
                self.n_threads, cluster,
            )  # fmt: skip

        if cluster is None:
            candidates, folds = begin()
        else:
            candidates, folds = cluster.together(begin, self._words)
            candidates = cluster.of_first(candidates)
        if self.halving:
            table, best = _halving.run(self, candidates, folds, y)
        else:
            table, best = _halving.run_whole(self, candidates, folds)
        self.n_splits_, self.scorer_ = len(folds), folds.score
        self.cv_results_ = _results.table(table, self.return_train_score)
        self.best_index_ = best
        self.best_params_ = table[best].parameters
        self.best_score_ = float(self.cv_results_["mean_test_score"][best])
        if self.refit:
            started = time.perf_counter()
            chosen = copy_of(self.estimator, self.best_params_)
            shared = {} if comm is None else {"comm": comm}
            chosen.fit(X, y, *(() if sample_weight is None else (sample_weight,)), **shared)
            self.best_estimator_, self.refit_time_ = chosen, time.perf_counter() - started
        return self

    def _words(self, found: tuple[list[dict[str, Any]], _folds.Folds]) -> list[str]:
        """What ranks must have in common, in words."""
        names = ("space", "n_candidates", "scoring", "halving", "factor", "refit")
        told = {name: getattr(self, name) for name in names}
        told |= {"return_train_score": self.return_train_score}
        told |= {k: v for k, v in self.estimator.get_params().items() if k not in FREE}
        return [
            f"the estimator {type(self.estimator).__name__}",
            *(f"{name}={ranks.word(value)}" for name, value in told.items()),
            *found[1].words(),
        ]

    def _candidates(self) -> list[dict[str, Any]]:
        """Check the parameters; the candidates."""
        if not isinstance(self.estimator, (MLPClassifier, MLPRegressor)):
            raise TypeError(
                "estimator must be an MLPClassifier or MLPRegressor, got "
                f"{type(self.estimator).__name__}; scikit-learn's searches take any"
            )
        space = settings.check_space("space", self.space)
        known = self.estimator.get_params(deep=False)
        for name in space:
            if name not in known:
                raise ValueError(
                    f"space names parameters of {type(self.estimator).__name__}, got {name!r}"
                )
        if not math.isfinite(self.factor) or self.factor <= 1:
            raise ValueError(f"factor must be above 1, got {self.factor!r}")
        drawn = [name for name, values in space.items() if hasattr(values, "rvs")]
        if self.n_candidates is None:
            if drawn:
                raise ValueError(f"n_candidates says how many are drawn: {drawn[0]!r} has no end")
            return list(settings.grid(space))
        n = count("n_candidates", self.n_candidates, 1)
        state = random_state_of(self.random_state)
        return [settings.draw(space, state) for _ in range(n)]

    # The best estimator

    def _best(self) -> Any:
        if "best_estimator_" not in self.__dict__:
            why = "refit is False" if hasattr(self, "cv_results_") else "call fit before"
            raise NotFittedError(f"this MLPSearchCV has no best estimator: {why}")
        return self.best_estimator_

    @available_if(_has("predict"))
    def predict(self, X: Any) -> Any:
        """Predictions of the best estimator.

        Parameters
        ----------
        X : (n, n_features) array-like
            Rows.

        Returns
        -------
        array
            As the estimator's ``predict`` gives it.
        """
        return self._best().predict(X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the best estimator.

        Parameters
        ----------
        X : (n, n_features) array-like
            Rows.

        Returns
        -------
        (n, n_classes) array
            In the order of ``classes_``.
        """
        proba: Array = self._best().predict_proba(X)
        return proba

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> Array:
        """Scores of the best estimator.

        Parameters
        ----------
        X : (n, n_features) array-like
            Rows.

        Returns
        -------
        array
            As the estimator's ``decision_function`` gives it.
        """
        scores: Array = self._best().decision_function(X)
        return scores

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score of the best estimator, as in the search.

        Parameters
        ----------
        X, y : array-like
            Rows and targets.
        sample_weight : (n,) array-like, optional
            Factor of each row, where the score takes them.

        Returns
        -------
        float
            By ``scoring``.
        """
        return self.scorer_(self._best(), X, y, sample_weight)

    @property
    def classes_(self) -> Array:
        """Labels of the best estimator."""
        labels: Array = self._best().classes_
        return labels

    @property
    def n_features_in_(self) -> int:
        """Number of features that the best estimator was fitted to."""
        if "best_estimator_" not in self.__dict__:
            raise AttributeError("this MLPSearchCV has no best estimator")
        return int(self.best_estimator_.n_features_in_)

    def __sklearn_tags__(self) -> Any:
        return self.estimator.__sklearn_tags__()
