"""What both estimators share: fitting and predictions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import MethodType
from typing import Any

import numpy as np

from .. import initializers
from .._inputs import sparse
from .._typing import Array
from . import _names
from ._fitted import FittedArrays
from ._fitting.descent import fit_stochastic
from ._fitting.lbfgs import fit_lbfgs
from ._fitting.watching import Rows, forget_curves
from ._sklearn import to_sklearn
from ._sklearn.callbacks import Context
from ._sklearn.compat import (
    CallbackSupportMixin,
    NotFittedError,
    row_weights,
    validate,
    with_callbacks,
)
from ._sklearn.parameters import STOCHASTIC_SOLVERS, check_parameters, hidden_sizes, random_state_of


class BaseMLP(CallbackSupportMixin, FittedArrays):
    """Common part of :class:`MLPClassifier` and :class:`MLPRegressor`."""

    # Constructor parameters, set by the subclasses.
    hidden_layer_sizes: Any
    solver: str
    loss: Any
    random_state: Any
    warm_start: bool
    early_stopping: bool
    dtype: Any
    init: Any

    # What fitting adds (and, per solver, the curves of `_watching`).
    loss_: float
    n_iter_: int
    n_layers_: int
    n_outputs_: int
    n_features_in_: int
    t_: int
    stop_reason_: str

    # What a subclass decides

    #: Names that ``loss`` may have.
    _known_losses: tuple[str, ...]
    #: Whether targets are numbers.
    _y_numeric = False

    def _shape_targets(self, y: Any) -> Any:
        """``y`` in the shape that the rest takes it in."""
        raise NotImplementedError

    def _learn_targets(self, y: Array, first_pass: bool, incremental: bool) -> None:
        """Check ``y``, and note what it tells: classes, outputs, output activation."""
        raise NotImplementedError

    def _check_validation_targets(self, y: Any) -> None:
        """Check targets of validation rows against those of the fit."""
        raise NotImplementedError

    def _encode(self, y: Array, dtype: Any) -> Array:
        """The engine's targets for checked ``y``."""
        raise NotImplementedError

    def _weigh(self, y: Array, weight: Array | None, incremental: bool, dtype: Any) -> Array | None:
        """Row weights, with what the parameters add to them."""
        return weight

    def _score_outputs(self, target: Array, outputs: Array, weight: Array | None) -> float:
        """Score for early stopping, from the network's outputs."""
        raise NotImplementedError

    def _stratum(self, target: Array) -> Array | None:
        """Classes that early stopping's split is to balance."""
        raise NotImplementedError

    def _shows_mean(self) -> bool:
        """Whether the loss that is shown is the mean over outputs, not the sum."""
        return False

    def _engine_loss(self) -> Any:
        return _names.engine_loss(self.loss, self.out_activation_)

    # Fitting

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        incremental: bool,
        held_out: tuple[Any, Any, Any] = (None, None, None),
    ) -> None:
        if not (incremental and hasattr(self, "coefs_")):
            check_parameters(self)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first_pass = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        x, y = validate(self, X, y, reset=first_pass, y_numeric=self._y_numeric)
        y = self._shape_targets(y)
        dtype = self._dtype_of_fit(x.dtype, first_pass)
        weight = row_weights(sample_weight, x, dtype)
        self._learn_targets(y, first_pass, incremental)
        weight = self._weigh(y, weight, incremental, dtype)
        rows = Rows(x.astype(dtype, copy=False), y, self._encode(y, dtype), weight)
        validation = self._validation_rows(held_out, dtype)
        self._random_state = random_state_of(self.random_state)
        if first_pass:
            self._initialize(x.shape[1], dtype)
        context = Context.of(self, X, y, sample_weight, 1 if incremental else None)
        if self.solver == "lbfgs":
            fit_lbfgs(self, rows, context)
        else:
            fit_stochastic(self, rows, validation, incremental, context)
        if context is not None:
            context.end()
        if not np.isfinite(self._packed()).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        self._prepare()

    def _validation_rows(self, held_out: tuple[Any, Any, Any], dtype: Any) -> Rows | None:
        """Checked validation rows, where some were given to ``fit``."""
        X, y, sample_weight = held_out
        if X is None and y is None and sample_weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val must be given together")
        if self.solver not in STOCHASTIC_SOLVERS:
            raise ValueError(f"X_val needs solver 'sgd' or 'adam', got {self.solver!r}")
        x, y = validate(self, X, y, reset=False, y_numeric=self._y_numeric)
        y = self._shape_targets(y)
        self._check_validation_targets(y)
        weight = row_weights(sample_weight, x, dtype)
        return Rows(x.astype(dtype, copy=False), y, self._encode(y, dtype), weight)

    def _dtype_of_fit(self, dtype: Any, first_pass: bool) -> Any:
        """What a fit computes in: ``dtype`` where it is given, else what the rows have.

        Rows and parameters of two types meet in float64, as they do in NumPy.
        """
        if self.dtype is not None:
            return np.dtype(self.dtype)
        return np.dtype(dtype) if first_pass else np.result_type(dtype, self._packed())

    def _initialize(self, n_features: int, dtype: Any) -> None:
        """Draw the initial parameters: each layer's weights, then its biases, uniform in ±bound.

        Glorot and Bengio (2010) with ``√(6 / (n_in + n_out))``, and 2 for 6 for the logistic
        activation, for biases as well: scikit-learn's choice, in its order of draws. With ``init``
        weights are that initialiser's, and biases 0.
        """
        sizes = (n_features, *hidden_sizes(self), self.n_outputs_)
        initializer = None if self.init is None else initializers.get(self.init)
        several = isinstance(self.activation, (list, tuple))
        names = self.activation if several else [self.activation]
        factor = 2.0 if "logistic" in names else 6.0
        coefs, intercepts = [], []
        for n_in, n_out in pairwise(sizes):
            if initializer is None:
                bound = np.sqrt(factor / (n_in + n_out))
                coefs.append(self._random_state.uniform(-bound, bound, (n_in, n_out)))
                intercepts.append(self._random_state.uniform(-bound, bound, n_out))
            else:
                generator = np.random.Generator(self._random_state._bit_generator)
                coefs.append(initializer.draw(generator, n_in, n_out))
                intercepts.append(np.zeros(n_out))
        self.n_layers_ = len(sizes)
        self.n_iter_ = 0
        self.t_ = 0
        self.coefs_ = [w.astype(dtype, copy=False) for w in coefs]
        self.intercepts_ = [b.astype(dtype, copy=False) for b in intercepts]
        self.__dict__.pop("_views", None)
        self._adopt(self._packed())
        forget_curves(self)

    # Prediction

    def _outputs(self, X: Any, output: str | None = None) -> Array:
        """Values of the output layer, ``(n, n_outputs)``, or of another output activation."""
        if output is None:
            outputs = self._fast_outputs(X)
            if outputs is not None:
                return outputs
        if not hasattr(self, "coefs_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            )
        x = validate(self, X, reset=False)
        flat = self._packed()
        dtype = flat.dtype
        if x.dtype != dtype and self.dtype is None:
            # As NumPy would: float32 rows and float64 weights meet in float64.
            dtype = np.dtype(np.float64)
        network = self._network(dtype, output)
        result: Array = network.predict(flat.astype(dtype, copy=False), sparse.for_engine(x, dtype))
        if output is None:
            self._prepare()
        return result

    # scikit-learn

    def to_sklearn(self) -> Any:
        """The scikit-learn estimator with equal parameters and fitted attributes.

        See :func:`fastmlp.from_sklearn` for the other direction.

        Raises
        ------
        ImportError
            Where scikit-learn is not installed.
        ValueError
            Where scikit-learn could not predict the same: it does not know the activation or the
            loss. Parameters of fastmlp that matter only while training are left out.
        """
        return to_sklearn.convert(self)

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        return tags


def keep_parameters(estimator: Any, arguments: dict[str, Any]) -> None:
    """Keep the arguments of a constructor (its ``locals()``) under their names, untouched."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


class available_if:
    """A method that exists only where ``check(instance)`` does not raise ``AttributeError``."""

    def __init__(self, check: Callable[[Any], None]) -> None:
        self.check = check

    def __call__(self, function: Callable[..., Any]) -> Any:
        return _Conditional(function, self.check)


class _Conditional:
    def __init__(self, function: Callable[..., Any], check: Callable[[Any], None]) -> None:
        self.function, self.check = function, check
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self.function
        try:
            self.check(instance)
        except AttributeError as error:
            name = type(instance).__name__
            raise AttributeError(f"This {name!r} has no attribute {self.__name__!r}") from error
        return MethodType(self.function, instance)


def stochastic(estimator: Any) -> None:
    """Raise ``AttributeError`` unless the solver can go on row by row."""
    if estimator.solver not in STOCHASTIC_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
