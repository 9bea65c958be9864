"""What both estimators share: fitting and predictions."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from fastmlp import kernels

from .. import initializers
from .._inputs import sparse
from .._network import blocks, construction
from .._network.predictor import Predictor
from .._streams.rows import is_source
from .._typing import Array
from ..interop._methods import EstimatorExports
from . import _names
from ._derivatives import EstimatorDerivatives
from ._fitted import FittedArrays
from ._fitting import ranks, sources
from ._fitting.descent import check_watching
from ._fitting.draws import generator_of
from ._fitting.given import Given
from ._fitting.optimizer import check_endless
from ._fitting.single_step import check_finite
from ._fitting.solvers import solve
from ._fitting.watching import Rows, forget_curves
from ._holes import WholeTargets
from ._sklearn.callbacks import Context
from ._sklearn.compat import (
    CallbackSupportMixin,
    NotFittedError,
    validate,
    with_callbacks,
)
from ._sklearn.parameters import STOCHASTIC_SOLVERS, check_parameters, hidden_sizes, start_generator


class BaseMLP(
    WholeTargets, EstimatorExports, EstimatorDerivatives, CallbackSupportMixin, FittedArrays
):
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
    schedule: Any

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
    _learns_classes = False  # whether targets are labels

    def _shape_targets(self, y: Any) -> Any:
        """``y`` in the shape that the rest takes it in."""
        raise NotImplementedError

    def _learn_targets(self, y: Array, first_pass: bool, incremental: bool, classes: Any) -> None:
        """Check ``y``, and note what it tells: classes, outputs, output activation.

        ``classes`` are all that will ever come, where ``partial_fit`` was told so.
        """
        raise NotImplementedError

    def _classes_of_partial_fit(self, classes: Any) -> Any:
        """All labels that will ever come, sorted, where they were given."""
        return classes

    def _check_validation_targets(self, y: Any) -> None:
        """Check targets of validation rows against those of the fit."""
        raise NotImplementedError

    def _encode(self, y: Array, dtype: Any) -> Array:
        """The engine's targets for checked ``y``."""
        raise NotImplementedError

    def _class_factors(self, y: Any, weight: Array | None, incremental: bool) -> Array | None:
        """What the parameters multiply weights of rows by, for each class."""
        return None

    def _weigh(self, factors: Array | None, y: Any, weight: Array | None, dtype: Any) -> Any:
        """Weights of rows with these factors, or ``None``."""
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

    # Fitting

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        incremental: bool,
        held_out: tuple[Any, Any, Any] = (None, None, None),
        classes: Any = None,
        comm: Any = None,
    ) -> None:
        # Fits of one object wait for each other: none meets what another has half done.
        with self.__dict__.setdefault("_lock", threading.RLock()):
            self._fit_alone(Given(X, y, sample_weight, incremental, held_out, classes), comm)

    def _fit_alone(self, given: Given, comm: Any) -> None:
        cluster, incremental = ranks.cluster_of(comm), given.incremental
        first_pass = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        rows, validation = ranks.read(
            cluster, self, first_pass, lambda: self._checked_rows(given, first_pass)
        )
        if given.epochs is None or first_pass:
            start_generator(self)
        ranks.begin(cluster, self)
        if first_pass:
            self._initialize(self.n_features_in_, rows.dtype)
        context = Context.of(self, *given.shown) if ranks.speaks(cluster) else None
        solve(self, rows, validation, context, given, cluster=cluster)
        if context is not None:
            context.end()
        check_finite(self._packed())

    def _go_on(self, X: Any, y: Any, sample_weight: Any, classes: Any, epochs: int) -> None:
        """Make further epochs: calls lead to what one fit leads to that no plateau ends."""
        with self.__dict__.setdefault("_lock", threading.RLock()):
            given = Given(X, y, sample_weight, True, classes=classes, epochs=epochs)
            self._fit_alone(given, None)

    def _checked_rows(self, given: Given, first_pass: bool) -> tuple[Any, Any]:
        """Training and validation rows, after a look at the parameters."""
        incremental = given.incremental
        if incremental:
            given = given._replace(classes=self._classes_of_partial_fit(given.classes))
        if not (incremental and hasattr(self, "coefs_")):
            check_parameters(self)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._check_going_on(first_pass, incremental)
        rows: Any
        if given.y is None and not incremental and is_source(given.X):
            rows, validation = sources.rows_of_fit(self, given, first_pass)
        else:
            rows, factors = self._rows(given, first_pass)
            validation = self._validation_rows(given.held_out, rows.dtype, factors)
        if self.solver in STOCHASTIC_SOLVERS:
            check_watching(self, validation is not None)
        return rows, validation

    def _rows(self, given: Given, first_pass: bool) -> tuple[Rows, Array | None]:
        """Checked training rows in memory, and the factors of their classes."""
        incremental, own = given.incremental, given.sample_weight
        if given.classes is not None and not incremental:
            raise ValueError("classes is for a source: the labels in an array are all known")
        x, y = self._validate(given.X, given.y, first_pass)
        y = self._shape_targets(y)
        dtype = self._dtype_of_fit(x.dtype, first_pass)
        weight = self._weights(own, x, dtype)
        self._learn_targets(y, first_pass, incremental, given.classes)
        factors = self._class_factors(y, weight, incremental)
        weight = self._weigh(factors, y, weight, dtype)
        target, weight = self._weigh_targets(own, self._encode(y, dtype), weight, dtype)
        return Rows(x.astype(dtype, copy=False), y, target, weight), factors

    def _check_going_on(self, first_pass: bool, incremental: bool) -> None:
        """Check what must not have changed since the network was made, and the schedule."""
        if not first_pass:
            sizes = hidden_sizes(self)
            made_with = self.__dict__.get("_hidden_sizes", sizes)
            if sizes != made_with:
                raise ValueError(
                    f"hidden_layer_sizes must be {made_with}, as the network was made with, to go "
                    f"on training it, got {sizes}; use fit with warm_start=False for a new one"
                )
            self._output()
        if self.schedule is not None and self.solver in STOCHASTIC_SOLVERS:
            optimizer = None if first_pass else self.__dict__.get("_optimizer")
            if incremental:
                check_endless(self.schedule, None if optimizer is None else optimizer.followed)

    def _validation_rows(
        self, held_out: tuple[Any, Any, Any], dtype: Any, factors: Array | None
    ) -> Rows | sources.SourceRows | None:
        """Checked validation rows, where some were given to ``fit``."""
        X, y, sample_weight = held_out
        if X is None and y is None and sample_weight is None:
            return None
        of_source = y is None and sample_weight is None and is_source(X)
        if X is None or (y is None and not of_source):
            raise ValueError("X_val and y_val must be given together")
        if self.solver not in STOCHASTIC_SOLVERS:
            raise ValueError(f"X_val needs solver 'sgd' or 'adam', got {self.solver!r}")
        try:
            if of_source:
                return sources.validation_rows(self, X, dtype, factors)
            x, y = self._validate(X, y, False)
            y = self._shape_targets(y)
            self._check_validation_targets(y)
            weight = self._weigh(factors, y, self._weights(sample_weight, x, dtype), dtype)
            target = self._encode(y, dtype)
            target, weight = self._weigh_targets(sample_weight, target, weight, dtype)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"validation rows X_val, y_val: {error}") from None
        return Rows(x.astype(dtype, copy=False), y, target, weight)

    def _dtype_of_fit(self, dtype: Any, first_pass: bool) -> Any:
        """What a fit computes in: ``dtype`` where it is given, else what the rows have.

        Rows and parameters of two types meet in float64, as they do in NumPy.
        """
        if self.dtype is not None:
            return construction.float_type(self.dtype)
        return np.dtype(dtype) if first_pass else np.result_type(dtype, self._packed())

    def _initialize(self, n_features: int, dtype: Any) -> None:
        """Draw the initial parameters, layer by layer."""
        hidden = hidden_sizes(self)
        architecture = self._architecture_of((n_features, *hidden, self.n_outputs_))
        flat = architecture.zeros(dtype)
        views = architecture.views(flat)
        for weights, biases in zip(*views, strict=True):
            n_in, n_out = weights.shape
            weights[...], biases[...] = self._init_coef(n_in, n_out, dtype)
        self.n_layers_ = len(architecture.sizes)
        self.n_iter_ = self.t_ = 0
        self._hidden_sizes = hidden
        self._hold(flat, architecture.sizes, *views)
        forget_curves(self)

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[Array, Array]:
        """Draw a layer's weights ``(fan_in, fan_out)``, then its biases, uniform in ±bound.

        Glorot and Bengio (2010) with ``√(6 / (fan_in + fan_out))``, and 2 for 6 for the logistic
        activation, for biases as well: scikit-learn's choice, in its order of draws. With ``init``
        weights are that initialiser's, and biases 0. A subclass may draw others from
        ``self._random_state``.
        """
        if self.init is not None:
            initializer = initializers.get(self.init)
            with generator_of(self._random_state) as generator:
                weights = initializer.draw(generator, fan_in, fan_out)
            return weights.astype(dtype, copy=False), np.zeros(fan_out, dtype)
        several = isinstance(self.activation, (list, tuple))
        names = self.activation if several else [self.activation]
        bound = math.sqrt((2.0 if "logistic" in names else 6.0) / (fan_in + fan_out))
        drawn = self._random_state.uniform(-bound, bound, (fan_in + 1, fan_out))
        drawn = drawn.astype(dtype, copy=False)
        return drawn[:-1], drawn[-1]

    # Prediction

    def _outputs(self, X: Any, output: str | None = None) -> Array:
        """Values of the output layer, ``(n, n_outputs)``, or of another output activation."""
        if output is None:
            outputs = self._fast_outputs(X)
            if outputs is not None:
                return outputs
        self._need_fit()
        if output is None and self.out_activation_ not in _names.OUTPUTS:
            # Of a network that was cut after a hidden layer, for example.
            return self._activated(X)
        x = validate(self, X, reset=False)
        flat = self._packed()
        dtype = flat.dtype
        if x.dtype != dtype and self.dtype is None:
            # As NumPy would: float32 rows and float64 weights meet in float64.
            dtype = np.dtype(np.float64)
        network = self._network(dtype, output)
        result = blocks.predict(
            network, flat.astype(dtype, copy=False), sparse.for_engine(x, dtype)
        )
        if output is None:
            self._prepare()
        return result

    def _need_fit(self) -> None:
        if not hasattr(self, "coefs_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            )

    def predictor(self) -> Predictor:
        """The fitted network as it is now, made ready for many calls of any number of threads.

        It gives values of the output layer, ``(n, n_outputs)``: of a regressor its predictions, of
        a classifier the probability (or margin) of each class, of two classes that of the second.
        Rows are read as numbers, without the names of their features.

        Returns
        -------
        Predictor
            Called as ``predictor(X)``, or with ``out=``.
        """
        self._need_fit()
        return Predictor(self._architecture(), self._packed(), self.n_threads, self.backend)

    def _activated(self, X: Any) -> Array:
        """Outputs with an output activation that only hidden layers have while training."""
        name = _names.activation_name(self.out_activation_)
        if not (isinstance(name, kernels.CustomActivation) or name in kernels.ACTIVATIONS):
            known = sorted({*_names.OUTPUTS, *kernels.ACTIVATIONS})
            raise ValueError(f"out_activation_ must be one of {known}, got {name!r}")
        scores = self._outputs(X, "identity")
        activated: Array = _names.backend(self.backend).activate(scores, name)
        return activated

    # scikit-learn

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        if tags.transformer_tags is None:  # there is transform
            from sklearn.utils import TransformerTags  # type: ignore[import-untyped,unused-ignore]

            tags.transformer_tags = TransformerTags(preserves_dtype=[])
        return tags
