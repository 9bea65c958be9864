"""The classifier: labels in, classes and probabilities out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .._inputs import sparse
from .._network import decisions
from .._streams.rows import is_source
from .._typing import (
    ActivationName,
    Array,
    ClassifierLoss,
    InitializerName,
    OptimizerName,
    ScheduleName,
    SolverName,
)
from ..metrics import accuracy
from . import _labels, _names
from ._base import BaseMLP
from ._fitting import sources
from ._labels import MULTILABEL, LabelCodes, are_plain_labels
from ._methods import available_if, keep_parameters, stochastic
from ._sklearn.compat import ClassifierMixin
from ._sklearn.constraints import ParameterConstraints
from ._sklearn.documentation import document

__all__ = ["MLPClassifier"]


@document
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron for classes: binary, multiclass or multilabel.

    Takes the place of ``sklearn.neural_network.MLPClassifier``: equal parameters, and with equal
    seeds equal draws, so that losses and predictions agree up to rounding.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}
    out_activation_ : str
        ``"softmax"`` for more than two classes, else ``"logistic"``; ``"identity"`` for margins.
    classes_ : (n_classes,) array
        Sorted labels; column numbers for multilabel targets.

    Other Parameters
    ----------------
    loss : str or object of ``fastmlp.losses``, default "log_loss"
        ``"log_loss"`` is the cross-entropy; ``"squared_error"``, ``"absolute_error"`` and
        ``"huber"`` are those of the probabilities; ``"hinge"``, ``"squared_hinge"`` (one versus
        rest) and ``"multiclass_hinge"`` are losses of margins, with ``decision_function`` in the
        place of probabilities.
    class_weight : dict, "balanced" or None
        Factor of the rows of each class; ``"balanced"`` is ``n / (n_classes count)``.
    {extras}

    Notes
    -----
    "Other parameters" are fastmlp's own; their defaults change nothing.

    {deviations}

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["no", "yes", "yes", "no"]
    >>> model = MLPClassifier(hidden_layer_sizes=(8,), solver="lbfgs", random_state=1)
    >>> model.fit(X, y).predict([[0, 1], [1, 1]]).tolist()
    ['yes', 'no']
    """

    loss: Any
    class_weight: Any
    classes_: Array
    _parameter_constraints = ParameterConstraints("MLPClassifier")
    _known_losses = _names.CLASSIFIER
    _learns_classes = True

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Literal["logistic"] | ActivationName | Any = "relu",
        *,
        solver: SolverName | str = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] | str = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] | str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: ClassifierLoss | Any = "log_loss",
        class_weight: Any = None,
        optimizer: OptimizerName | Any = None,
        schedule: ScheduleName | Any = None,
        init: InitializerName | Any = None,
        l1: float = 0.0,
        dropout: Any = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        max_norm: float | None = None,
        stop: Any = None,
        max_time: float | None = None,
        scoring: Any = None,
        callbacks: Any = (),
        progress: bool = False,
        n_threads: int | None = None,
        backend: str | None = None,
        dtype: Any = None,
        pickle_optimizer: bool = True,
    ) -> None:
        keep_parameters(self, locals())

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        classes: Any = None,
    ) -> MLPClassifier:
        """Fit to rows ``X``, ``(n, n_features)``, and their labels.

        Parameters
        ----------
        X : (n, n_features) array-like, sparse matrix, or source of blocks ``(X, y)``
            A source (see :mod:`fastmlp.data`) is read while the network is trained.
        y : (n,) array-like of labels, or (n, n_labels) of zeros and ones; not for a source
        sample_weight : (n,) array-like or float, optional
        X_val, y_val, sample_weight_val : as above, optional
            Validation rows, weighed by ``class_weight`` as those of ``X``: their score and loss
            are noted after each epoch, and with early stopping they are used instead of a part
            of ``X``. ``X_val`` alone may be a source.
        classes : (n_classes,) array-like, optional
            All labels of a source, which spares the pass over its targets that finds them.

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, False, (X_val, y_val, sample_weight_val), classes)
        return self

    @available_if(stochastic)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Go once over the rows, from the present parameters and optimizer state.

        Parameters
        ----------
        X, y, sample_weight : arrays
            As in :meth:`fit`.
        classes : (n_classes,) array-like
            All labels that will ever come; needed in the first call.

        Returns
        -------
        self
        """
        known = getattr(self, "classes_", None)
        if classes is None and known is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        given = None if classes is None else np.unique(_labels.plain(classes))
        if given is not None and known is not None and not np.array_equal(given, known):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, "
                f"was: {known!r}"
            )
        self._fit(X, y, sample_weight, True, classes=given)
        return self

    def predict(self, X: Any, *, out: Any = None) -> Any:
        """Labels, ``(n,)``, or zeros and ones ``(n, n_labels)`` for multilabel targets.

        ``X`` may be a source, which is read block by block; ``out`` is where to write them.
        """
        if out is not None or is_source(X):
            return sources.predict(self.predict, X, out)
        outputs = self._outputs(X)
        threshold = 0.0 if self.out_activation_ == "identity" else 0.5
        return _labels.decode(outputs, self._labels(), threshold)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows (by weight) whose label is predicted, of several labels all."""
        if sample_weight is None and are_plain_labels(y, getattr(self, "classes_", None)):
            # The ordinary case needs none of the checks behind scikit-learn's metric.
            predicted = self.predict(X)
            if predicted.shape == y.shape:
                return accuracy(y, predicted)
        result: float = super().score(X, y, sample_weight)
        return result

    @available_if(_names.has_probabilities)
    def predict_proba(self, X: Any, *, out: Any = None) -> Any:
        """Probability of each class, ``(n, n_classes)``; of each label for multilabel targets.

        ``X`` and ``out`` as in :meth:`predict`.
        """
        if out is not None or is_source(X):
            return sources.predict(self.predict_proba, X, out)
        outputs = self._outputs(X)
        if outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    @available_if(_names.has_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of :meth:`predict_proba`, finite also where a probability rounds to 0."""
        proba: Array = self.predict_proba(X)
        tiny = proba < np.finfo(proba.dtype).tiny
        with np.errstate(divide="ignore"):
            log_proba: Array = np.log(proba)
        if tiny.any():
            scores = self._outputs(X, "identity")
            output = _names.OUTPUTS[self.out_activation_]
            logs = decisions.log_probabilities(scores, output)
            if scores.shape[1] == 1:
                logs = np.hstack([decisions.log_probabilities(-scores, output), logs])
            log_proba[tiny] = logs[tiny]
        return log_proba

    @available_if(_names.has_margins)
    def decision_function(self, X: Any) -> Array:
        """Margins ``(n, n_outputs)``, or ``(n,)`` for two classes; above 0 means yes."""
        outputs = self._outputs(X)
        if self._labels().y_type_ != "binary":
            return outputs
        # Two outputs are those of the multiclass hinge, which compares them.
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]

    def _labels(self) -> Any:
        """Codes of the labels, also where fitted attributes were assigned by hand."""
        known = self.__dict__.get("_label_binarizer")
        if known is not None:
            return known
        classes = np.asarray(self.classes_)
        codes = LabelCodes.of_classes(classes)
        if self.out_activation_ == "logistic" and len(self.intercepts_[-1]) > 1:
            codes = LabelCodes(classes, MULTILABEL)
        return codes

    # Fitting

    def _shape_targets(self, y: Any) -> Any:
        return y if sparse.is_sparse(y) else _labels.plain(_labels.flatten_column(y))

    def _learn_targets(self, y: Array, first_pass: bool, incremental: bool, classes: Any) -> None:
        found = LabelCodes.of(y)
        known: Any = found
        first = classes is not None and not hasattr(self, "classes_")
        if first and found.y_type_ != MULTILABEL:
            known = LabelCodes.of_classes(classes)
        elif hasattr(self, "classes_") and (self.warm_start or incremental):
            known = self._labels()
            # `partial_fit` may see a part of the classes, a warm start must see the same.
            if self.warm_start and not np.array_equal(found.classes_, known.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {known.classes_}, `y` has "
                    f"{found.classes_}"
                )
            if (found.y_type_ == MULTILABEL) != (known.y_type_ == MULTILABEL):
                raise ValueError("y must hold the same kind of labels as in the previous call")
        self._check_known(found, known)
        if first_pass:
            self.n_outputs_, self.out_activation_ = _names.outputs_for(self.loss, known)
        elif not hasattr(self, "n_outputs_"):
            self.n_outputs_ = len(self.intercepts_[-1])
        self._label_binarizer = known
        self.classes_ = known.classes_

    def _check_known(self, found: LabelCodes, known: Any) -> None:
        if found is known or np.array_equal(found.classes_, known.classes_):
            return
        if len(np.setdiff1d(found.classes_, known.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {known.classes_}. "
                f"'y' has {found.classes_}."
            )

    def _check_validation_targets(self, y: Any) -> None:
        self._check_known(LabelCodes.of(y), self._label_binarizer)

    def _encode(self, y: Array, dtype: Any) -> Array:
        low = -1.0 if self.out_activation_ == "identity" else 0.0
        return _labels.encode(y, self._label_binarizer, self.n_outputs_, dtype, low)

    def _class_factors(self, y: Any, weight: Array | None, incremental: bool) -> Array | None:
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once; give partial_fit a dict"
            )
        return _labels.class_factors(self.class_weight, self._label_binarizer, y, weight)

    def _weigh(self, factors: Array | None, y: Any, weight: Array | None, dtype: Any) -> Any:
        if factors is None:
            return weight
        return _labels.weigh(factors, self._label_binarizer, y, weight, dtype)

    def _stratum(self, target: Array) -> Array | None:
        # scikit-learn balances the parts for a single output column only.
        return target[:, 0] if self.n_outputs_ == 1 else None

    def _score_outputs(self, target: Array, outputs: Array, weight: Array | None) -> float:
        if len(self.classes_) == 1 and self._label_binarizer.y_type_ != MULTILABEL:
            return 1.0  # as for `predict`, there is nothing else
        if target.ndim == 1:
            return accuracy(target, outputs.argmax(axis=1), weight)
        threshold = 0.0 if self.out_activation_ == "identity" else 0.5
        return accuracy(target > threshold, outputs > threshold, weight)

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
