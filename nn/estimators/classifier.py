"""The classifier: labels in, classes and probabilities out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

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
from ._fitting import sources
from ._labels import are_plain_labels
from ._methods import available_if, keep_parameters, stochastic
from ._sklearn.compat import ClassifierMixin
from ._sklearn.constraints import ParameterConstraints
from ._sklearn.documentation import document
from ._targets import Labelled

__all__ = ["MLPClassifier"]


@document
class MLPClassifier(ClassifierMixin, Labelled):
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
        comm: Any = None,
    ) -> MLPClassifier:
        """Fit to rows ``X``, ``(n, n_features)``, and their labels.

        Parameters
        ----------
        X : (n, n_features) array-like, sparse matrix, or source of blocks ``(X, y)``
            A source (see :mod:`fastmlp.data`) is read while the network is trained.
        y : (n,) array-like of labels, or (n, n_labels) of zeros and ones; not for a source
            Of a source the targets are in its blocks.
        sample_weight : (n,) array-like or float, optional
            Factor of each row, not negative.
        X_val, y_val, sample_weight_val : as above, optional
            Validation rows, weighed by ``class_weight`` as those of ``X``: their score and loss
            are noted after each epoch, and with early stopping they are used instead of a part
            of ``X``. ``X_val`` alone may be a source.
        classes : (n_classes,) array-like, optional
            All labels of a source, which spares the pass over its targets that finds them.
        comm : communicator of mpi4py, optional
            The ranks that fit this estimator together, each called with the same rows and
            parameters: see :meth:`fastmlp.MLP.fit`. All end with the same fitted estimator, to the
            bit that of 1, 2, 4 or 8 ranks; only rank 0 prints, warns and calls callbacks.

        Returns
        -------
        self
            The fitted estimator.
        """
        held_out = X_val, y_val, sample_weight_val
        self._fit(X, y, sample_weight, False, held_out, classes, comm)
        return self

    @available_if(stochastic)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        comm: Any = None,
    ) -> MLPClassifier:
        """Go once over the rows, from the present parameters and optimizer state.

        Parameters
        ----------
        X, y, sample_weight : arrays
            As in :meth:`fit`.
        classes : (n_classes,) array-like
            All labels that will ever come; needed in the first call.
        comm : communicator of mpi4py, optional
            The ranks that go over these rows together, as in :meth:`fit`; each was fitted to the
            same rows before.

        Returns
        -------
        self
            With one more epoch.

        Raises
        ------
        ValueError
            Where ``classes`` are missing in the first call, differ from an earlier call's, or ``y``
            has others.
        """
        self._fit(X, y, sample_weight, True, classes=classes, comm=comm)
        return self

    def _classes_of_partial_fit(self, classes: Any) -> Any:
        known = getattr(self, "classes_", None)
        if classes is None and known is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        given = None if classes is None else np.unique(_labels.plain(classes))
        if given is not None and known is not None and not np.array_equal(given, known):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, "
                f"was: {known!r}"
            )
        return given

    def predict(self, X: Any, *, out: Any = None) -> Any:
        """Labels, ``(n,)``, or zeros and ones ``(n, n_labels)`` for multilabel targets.

        A source is read block by block.

        Parameters
        ----------
        X : (n, n_features) array-like, sparse matrix, or source
            Rows.
        out : array, optional
            Where to write the labels.

        Returns
        -------
        (n,) array, or (n, n_labels) array of int
            Labels as ``fit`` was given them; ``out`` where it was given.
        """
        if out is not None or is_source(X):
            return sources.predict(self.predict, X, out)
        outputs = self._outputs(X)
        threshold = 0.0 if self.out_activation_ == "identity" else 0.5
        return _labels.decode(outputs, self._labels(), threshold)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows (by weight) whose label is predicted, of several labels all.

        Parameters
        ----------
        X : (n, n_features) array-like, sparse matrix, or source
            Rows.
        y : array-like
            Their labels, as in :meth:`fit`.
        sample_weight : (n,) array-like, optional
            Factor of each row, not negative.

        Returns
        -------
        float
            Between 0 and 1.
        """
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

        Parameters
        ----------
        X : (n, n_features) array-like, sparse matrix, or source
            Rows.
        out : array, optional
            Where to write the probabilities.

        Returns
        -------
        (n, n_classes) array
            In the order of ``classes_``; ``out`` where it was given.
        """
        if out is not None or is_source(X):
            return sources.predict(self.predict_proba, X, out)
        outputs = self._outputs(X)
        if outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    @available_if(_names.has_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of :meth:`predict_proba`, finite also where a probability rounds to 0.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.

        Returns
        -------
        (n, n_classes) array
            In the order of ``classes_``.
        """
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
        """Margins ``(n, n_outputs)``, or ``(n,)`` for two classes; above 0 means yes.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.

        Returns
        -------
        (n,) or (n, n_outputs) array
            Scores before the output activation.
        """
        outputs = self._outputs(X)
        if self._labels().y_type_ != "binary":
            return outputs
        # Two outputs are those of the multiclass hinge, which compares them.
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
