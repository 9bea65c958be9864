"""What both estimators share: fitting, predictions, and fitted arrays that belong to the caller."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from numbers import Real
from types import MethodType
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import Architecture, _chooser

from .. import _inputs
from . import _solvers
from ._compat import BaseEstimator, NotFittedError, validate
from ._validation import (
    ACTIVATIONS,
    STOCHASTIC_SOLVERS,
    check_parameters,
    hidden_sizes,
    random_state_of,
)

Array = np.ndarray[Any, Any]

#: The estimators' names of output activations, and the engine's.
OUTPUTS = {"identity": "identity", "logistic": "sigmoid", "softmax": "softmax"}
LOSSES = {
    "identity": "squared_error",
    "logistic": "binary_cross_entropy",
    "softmax": "cross_entropy",
}


class BaseMLP(BaseEstimator):
    """Common part of :class:`MLPClassifier` and :class:`MLPRegressor`.

    ``coefs_`` and ``intercepts_`` are lists of views into one flat vector that the engine takes as
    it is. They stay the truth: where an entry has been replaced, the next call packs the lists
    anew, so edits and replacements of any kind take effect at once.
    """

    # Constructor parameters, set by the subclasses.
    hidden_layer_sizes: Any
    activation: str
    solver: str
    alpha: float
    batch_size: Any
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int

    # What fitting adds (and, per solver, the curves that `_solvers` describes).
    coefs_: list[Array]
    intercepts_: list[Array]
    loss_: float
    n_iter_: int
    n_layers_: int
    n_outputs_: int
    n_features_in_: int
    out_activation_: str
    t_: int

    # What a subclass decides

    def _targets(self, y: Array, dtype: Any, first_pass: bool, incremental: bool) -> Array:
        """Check ``y``, note what it tells (classes, outputs) and return the engine's targets."""
        raise NotImplementedError

    def _score_outputs(self, target: Array, outputs: Array, weight: Array | None) -> float:
        """Score for early stopping, from the network's outputs."""
        raise NotImplementedError

    def _loss_name(self) -> str:
        return LOSSES[self.out_activation_]

    def _loss_divisor(self) -> float:
        """What the engine's loss is divided by before it is shown."""
        return 1.0

    def _stratum(self, target: Array) -> Array | None:
        """Classes that early stopping's split is to balance."""
        raise NotImplementedError

    #: Whether targets are numbers.
    _y_numeric = False

    # Fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        check_parameters(self)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first_pass = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        x, y = validate(self, X, y, reset=first_pass, y_numeric=self._y_numeric)
        if isinstance(sample_weight, Real):
            sample_weight = np.full(len(x), sample_weight)
        weight = _inputs.weights_of_rows(sample_weight, len(x), x.dtype)
        target = self._targets(y, x.dtype, first_pass, incremental)
        self._random_state = random_state_of(self.random_state)
        if first_pass:
            self._initialize(x.shape[1], x.dtype)
        if self.solver == "lbfgs":
            _solvers.fit_lbfgs(self, x, target, weight)
        else:
            _solvers.fit_stochastic(self, x, target, weight, incremental)
        if not np.isfinite(self._flat).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        return self

    def _initialize(self, n_features: int, dtype: Any) -> None:
        """Draw the initial parameters: each layer's weights, then its biases, uniform in ±bound.

        Glorot and Bengio (2010) with ``√(6 / (n_in + n_out))``, and 2 for 6 for the logistic
        activation, for biases as well: scikit-learn's choice, in its order of draws.
        """
        sizes = (n_features, *hidden_sizes(self), self.n_outputs_)
        factor = 2.0 if self.activation == "logistic" else 6.0
        coefs, intercepts = [], []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt(factor / (n_in + n_out))
            coefs.append(self._random_state.uniform(-bound, bound, (n_in, n_out)))
            intercepts.append(self._random_state.uniform(-bound, bound, n_out))
        self.n_layers_ = len(sizes)
        self.n_iter_ = 0
        self.t_ = 0
        self.coefs_ = [w.astype(dtype, copy=False) for w in coefs]
        self.intercepts_ = [b.astype(dtype, copy=False) for b in intercepts]
        self._adopt(self._packed())
        _solvers.reset(self)

    # Parameters: lists of arrays for the caller, one vector for the engine

    def _packed(self) -> Array:
        """All parameters in one vector: the engine's own where it still is what the lists show."""
        views = self.__dict__.get("_views")
        if (
            views is not None
            and len(views) == len(self.coefs_) + len(self.intercepts_)
            and all(a is b for a, b in zip(views, (*self.coefs_, *self.intercepts_), strict=True))
        ):
            return self._flat
        arrays = [np.asarray(a) for a in (*self.coefs_, *self.intercepts_)]
        dtype = np.float32 if all(a.dtype == np.float32 for a in arrays) else np.float64
        return np.concatenate([a.ravel() for a in arrays]).astype(dtype, copy=False)

    def _adopt(self, flat: Array) -> None:
        """Make the lists views of ``flat``, whose layout is that of the present lists."""
        coefs, intercepts = self._architecture().views(flat)
        self._flat = flat
        self.coefs_, self.intercepts_ = coefs, intercepts
        self._views = [*coefs, *intercepts]

    def _architecture(self, output: str | None = None) -> Architecture:
        sizes = (len(self.coefs_[0]), *(np.shape(w)[1] for w in self.coefs_))
        hidden = (ACTIVATIONS[self.activation],) * (len(sizes) - 2)
        return Architecture(sizes, hidden, output or OUTPUTS[self.out_activation_])

    def _network(self, dtype: Any, output: str | None = None) -> Any:
        """The live backend's network object; the last ones are kept."""
        shapes = [np.shape(w) for w in self.coefs_]
        widths = [np.shape(b) for b in self.intercepts_]
        chained = all(below[1] == above[0] for below, above in pairwise(shapes))
        if not chained or widths != [shape[1:] for shape in shapes]:
            raise ValueError(
                f"coefs_ and intercepts_ do not fit each other: shapes {shapes} and {widths}"
            )
        key = (_chooser.active(), self.activation, self.out_activation_, output, dtype, *shapes)
        kept: dict[Any, Any] = self.__dict__.setdefault("_networks", {})
        if key not in kept:
            if len(kept) >= 4:
                kept.clear()
            kept[key] = kernels.network(self._architecture(output), dtype)
        return kept[key]

    # Prediction

    def _outputs(self, X: Any, output: str | None = None) -> Array:
        """Values of the output layer, ``(n, n_outputs)``, or of another output activation."""
        if not hasattr(self, "coefs_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            )
        x = validate(self, X, reset=False)
        flat = self._packed()
        if x.dtype != flat.dtype:
            # As NumPy would: float32 rows and float64 weights meet in float64.
            x, flat = x.astype(np.float64, copy=False), flat.astype(np.float64, copy=False)
        result: Array = self._network(flat.dtype, output).predict(flat, x)
        return result

    # Pickles hold the fitted arrays once, and neither engine objects nor optimizer state.

    def __getstate__(self) -> dict[str, Any]:
        parent: Any = super().__getstate__()
        state = dict(parent)
        for name in ("_flat", "_views", "_networks", "_optimizer"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "coefs_") and hasattr(self, "out_activation_"):
            self._adopt(self._packed())


class stochastic_only:
    """A method that exists only while ``solver`` is a stochastic one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self.function
        if instance.solver not in STOCHASTIC_SOLVERS:
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{instance.solver} is not stochastic."
            )
        return MethodType(self.function, instance)
