"""What ensembles as estimators share: copies that are fitted side by side and then weighed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._cluster.agreement import without_addresses
from .._cluster.cluster import Cluster
from .._inputs.numbers import count, number
from .._typing import Array
from ..estimators import MLPRegressor
from ..estimators._fitting.ranks import FREE, as_first
from ..estimators._methods import keep_parameters
from ..estimators._sklearn.compat import (
    BaseEstimator,
    ClassifierMixin,
    NotFittedError,
    row_weights,
    validate,
)
from ..estimators._sklearn.parameters import random_state_of
from ..estimators._sklearn.split import train_and_validation
from . import ranks, settings
from .estimating import Team, copy_of
from .selection import moments

PARAMETERS = """estimator : {base}, optional
        What is copied ``n_estimators`` times; by default one with its own defaults.
    n_estimators : int, default 16
        How many copies there are.
    vary : dict, optional
        Name of a parameter of the estimator → list of values, or a distribution with ``rvs``
        (:mod:`fastmlp.model_selection` has some, scipy.stats others): each copy gets one value,
        drawn at random.
    bootstrap : bool, default False
        Fit each copy to as many rows, drawn with replacement.
    select : "greedy" or None, default None
        ``"greedy"`` sets rows apart and keeps the copies whose mean is best on them: R. Caruana et
        al., *Ensemble selection from libraries of models*, ICML 2004, with replacement.
    validation_fraction : float, default 0.1
        Share of the rows that a selection sets apart.
    oob_score : bool, default False
        Score each row by the copies that were not fitted to it; needs ``bootstrap``.
    random_state : int, RandomState or None
        Draws the seeds of the copies, their settings and their rows.
    n_threads : int, optional
        Threads in all; each copy is fitted by one."""

ATTRIBUTES = """estimators_ : list of {base}
    counts_ : (n_estimators,) array of int
        How often each counts in the mean.
    settings_ : list of dict
        What was drawn for each by ``vary``.
    estimators_samples_ : list of arrays or slices
        The rows that each was fitted to.
    oob_score_ : float
        Where ``oob_score`` asked for it: {score}.
    n_features_in_, feature_names_in_
        As in scikit-learn."""


class Ensemble(BaseEstimator):
    """What both estimators share."""

    estimator: Any
    n_estimators: int
    vary: Mapping[str, Any] | None
    bootstrap: bool
    select: str | None
    validation_fraction: float
    oob_score: bool
    random_state: Any
    n_threads: int | None

    estimators_: list[Any]
    counts_: Array
    n_features_in_: int

    _base: type

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 16,
        *,
        vary: Mapping[str, Any] | None = None,
        bootstrap: bool = False,
        select: str | None = None,
        validation_fraction: float = 0.1,
        oob_score: bool = False,
        random_state: Any = None,
        n_threads: int | None = None,
    ) -> None:
        keep_parameters(self, locals())

    # What a subclass decides

    def _learn_targets(self, y: Any) -> Array:
        """Check targets, and note what they tell."""
        raise NotImplementedError

    def _outputs_of(self, estimator: Any, X: Any) -> Array:
        """Values of one copy, ``(n, n_outputs)``."""
        raise NotImplementedError

    def _chosen(self, outputs: Array, y: Array, weight: Array | None) -> Array:
        """How often each copy counts, from outputs ``(k, n, n_outputs)``."""
        raise NotImplementedError

    def _score_outputs(self, y: Array, outputs: Array, weight: Array | None) -> float:
        raise NotImplementedError

    # Fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, comm: Any) -> None:
        cluster = None if comm is None else Cluster(comm, None)
        if cluster is None:
            x, y, weight, space = self._checked(X, y, sample_weight)
        else:
            x, y, weight, space = cluster.together(
                lambda: self._checked(X, y, sample_weight), self._words
            )
        n, state = x.shape[0], random_state_of(self.random_state)
        if cluster is not None:
            state = as_first(cluster, state, self.random_state)
        train: Array | None = None
        if self.select:
            stratum = y if isinstance(self, ClassifierMixin) else None
            train, held_out = train_and_validation(n, self.validation_fraction, state, stratum)
            train.sort()
        base = self._base() if self.estimator is None else self.estimator
        fitted, drawn, samples = [], [], []
        for _ in range(self.n_estimators):
            found = settings.draw(space, state)
            own = {"random_state": int(state.randint(2**31 - 1)), "n_threads": 1, **found}
            fitted.append(copy_of(base, own))
            drawn.append(found)
            samples.append(self._sample(n, train, state))
        team = Team(x, y, weight, self.n_threads)
        self.estimators_ = fitted = team.fit(fitted, samples, cluster)
        self.settings_, self.estimators_samples_ = drawn, samples
        self.counts_ = np.ones(len(fitted), np.intp)
        if self.select:
            rows, truth, weights = team.rows(held_out)
            self.counts_ = self._chosen(self._all(rows), truth, weights)
        if self.oob_score:
            self._score_out_of_bag(x, y, weight)

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Array, Any, Any]:
        """Rows, targets, weights of rows, and what varies."""
        self._check_parameters()
        x, y = validate(self, X, y, reset=True, y_numeric=self._base is MLPRegressor)
        y = self._learn_targets(y)
        weight = row_weights(sample_weight, x, np.dtype(np.float64))
        return x, y, weight, settings.check_space("vary", self.vary or {})

    def _words(self, found: tuple[Any, Array, Any, Any]) -> list[str]:
        """What ranks compare."""
        params = {k: v for k, v in self.get_params(deep=False).items() if k not in FREE}
        told = zip(("rows", "targets", "weights"), found, strict=False)
        return [
            *(without_addresses(f"{name}={value!r}") for name, value in params.items()),
            *(f"the {name} {ranks.word(value)}" for name, value in told),
        ]

    def _check_parameters(self) -> None:
        count("n_estimators", self.n_estimators, 1)
        if self.select not in (None, "greedy"):
            raise ValueError(f"select must be 'greedy' or None, got {self.select!r}")
        if not 0 < number("validation_fraction", self.validation_fraction) < 1:
            raise ValueError(
                f"validation_fraction must lie between 0 and 1, got {self.validation_fraction}"
            )
        if self.oob_score and not self.bootstrap:
            raise ValueError("oob_score needs bootstrap=True: else every copy has seen every row")
        if self.estimator is not None and not isinstance(self.estimator, self._base):
            raise TypeError(
                f"estimator must be a {self._base.__name__}, got {type(self.estimator).__name__}"
            )

    def _sample(self, n: int, train: Array | None, state: np.random.RandomState) -> Array | slice:
        """The rows that one copy is fitted to."""
        if not self.bootstrap:
            return slice(0, n) if train is None else train
        drawn: Array = np.sort(state.randint(0, n if train is None else len(train), size=n))
        return drawn if train is None else train[drawn[: len(train)]]

    def _score_out_of_bag(self, x: Any, y: Array, weight: Array | None) -> None:
        n, pairs = x.shape[0], zip(self.estimators_, self.estimators_samples_, strict=True)
        seen = np.zeros(n, np.intp)
        total: Array = np.zeros((n, 1))
        for times, (one, rows) in zip(self.counts_, pairs, strict=True):
            out = np.ones(n, bool)
            out[rows] = False
            if not (times and out.any()):
                continue
            values = self._outputs_of(one, x[out])
            if values.shape[1] != total.shape[1]:
                total = np.zeros((n, values.shape[1]))
            total[out] += times * values
            seen[out] += times
        if not seen.any():
            raise ValueError("oob_score needs rows that some copy was not fitted to: more rows")
        judged = seen > 0
        outputs = total[judged] / seen[judged, None]
        weights = None if weight is None else weight[judged]
        self.oob_score_ = self._score_outputs(y[judged], outputs, weights)

    # Prediction

    def _all(self, X: Any) -> Array:
        """Values of every copy, ``(k, n, n_outputs)``."""
        return np.stack([self._outputs_of(one, X) for one in self.estimators_])

    def _moments(self, X: Any) -> tuple[Array, Array]:
        if not hasattr(self, "estimators_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            )
        x = validate(self, X, reset=False)
        pairs = zip(self.estimators_, self.counts_, strict=True)
        outputs = np.stack([self._outputs_of(one, x) for one, times in pairs if times])
        return moments(outputs, self.counts_[self.counts_ > 0] / self.counts_.sum())

    # scikit-learn

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        return tags
