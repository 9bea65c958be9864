"""Ensembles with scikit-learn's contract."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array
from ..estimators import MLPClassifier, MLPRegressor, _labels
from ..estimators._sklearn.compat import ClassifierMixin, RegressorMixin
from .base import ATTRIBUTES, PARAMETERS, Ensemble
from .selection import greedy


class MLPEnsembleClassifier(ClassifierMixin, Ensemble):
    __doc__ = f"""Classifier whose probabilities are the mean of many networks'.

    Parameters
    ----------
    {PARAMETERS.format(base="MLPClassifier")}

    Attributes
    ----------
    classes_ : (n_classes,) array
    {ATTRIBUTES.format(base="MLPClassifier", score="the accuracy")}
    """

    classes_: Array
    _base = MLPClassifier

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, comm: Any = None
    ) -> MLPEnsembleClassifier:
        """Fit all copies to rows and their labels.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.
        y : (n,) array-like
            Labels.
        sample_weight : (n,) array-like, optional
            Factor of each row, not negative.
        comm : communicator of mpi4py, optional
            The ranks that share the copies, each called with the same arguments: a copy is fitted
            by one of them, and all end with all copies, to the bit as without a communicator.

        Returns
        -------
        self
            The fitted ensemble.
        """
        self._fit(X, y, sample_weight, comm)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Predict the mean probability of each class.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.

        Returns
        -------
        (n, n_classes) array
            In the order of ``classes_``.
        """
        return self._moments(X)[0]

    def predict(self, X: Any) -> Array:
        """Predict the class with the highest mean probability.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.

        Returns
        -------
        (n,) array
            Labels as ``fit`` was given them.
        """
        proba = self.predict_proba(X)
        return np.asarray(self.classes_[proba.argmax(axis=1)])

    def _learn_targets(self, y: Any) -> Array:
        codes = _labels.LabelCodes.of(_labels.plain(_labels.flatten_column(y)))
        if codes.y_type_ == _labels.MULTILABEL:
            raise ValueError("an MLPEnsembleClassifier takes one label a row, got several")
        if len(codes.classes_) < 2:
            raise ValueError(f"y must hold two classes at least, got {len(codes.classes_)} class")
        self.classes_ = codes.classes_
        return np.asarray(_labels.plain(_labels.flatten_column(y)))

    def _outputs_of(self, estimator: Any, X: Any) -> Array:
        proba: Array = estimator.predict_proba(X)
        if len(estimator.classes_) == len(self.classes_):
            return proba
        # A copy has not seen the classes that its rows lack: it gives them no chance.
        whole = np.zeros((len(proba), len(self.classes_)), proba.dtype)
        whole[:, np.searchsorted(self.classes_, estimator.classes_)] = proba[
            :, : len(estimator.classes_)
        ]
        return whole

    def _chosen(self, outputs: Array, y: Array, weight: Array | None) -> Array:
        labels = np.searchsorted(self.classes_, y).astype(np.intp)
        return greedy(outputs, labels, "cross_entropy", "softmax", weight)[0]

    def _score_outputs(self, y: Array, outputs: Array, weight: Array | None) -> float:
        right = self.classes_[outputs.argmax(axis=1)] == y
        return float(np.average(right, weights=weight))


class MLPEnsembleRegressor(RegressorMixin, Ensemble):
    __doc__ = f"""Regressor whose prediction is the mean of many networks'.

    Parameters
    ----------
    {PARAMETERS.format(base="MLPRegressor")}

    Attributes
    ----------
    {ATTRIBUTES.format(base="MLPRegressor", score="R²")}
    """

    _base = MLPRegressor

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, comm: Any = None
    ) -> MLPEnsembleRegressor:
        """Fit all copies to rows and their targets.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.
        y : (n,) or (n, n_outputs) array-like
            Targets.
        sample_weight : (n,) array-like, optional
            Factor of each row, not negative.
        comm : communicator of mpi4py, optional
            The ranks that share the copies, each called with the same arguments: a copy is fitted
            by one of them, and all end with all copies, to the bit as without a communicator.

        Returns
        -------
        self
            The fitted ensemble.
        """
        self._fit(X, y, sample_weight, comm)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the mean of the copies, and how far they differ.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.
        return_std : bool, default False
            Also return their standard deviation, which tells rows unlike those of the fit from
            others; noise of the targets is not in it.

        Returns
        -------
        mean : (n,) or (n, n_outputs) array
            Of the copies, as often as each counts.
        std : (n,) or (n, n_outputs) array
            Only with ``return_std``.
        """
        mean, std = self._moments(X)
        if mean.shape[1] == 1:
            mean, std = mean[:, 0], std[:, 0]
        return (mean, std) if return_std else mean

    def _learn_targets(self, y: Any) -> Array:
        return np.asarray(_labels.flatten_column(y))

    def _outputs_of(self, estimator: Any, X: Any) -> Array:
        values: Array = estimator.predict(X)
        return values.reshape(len(values), -1)

    def _chosen(self, outputs: Array, y: Array, weight: Array | None) -> Array:
        target = y.reshape(len(y), -1)
        return greedy(outputs, target, "squared_error", "identity", weight)[0]

    def _score_outputs(self, y: Array, outputs: Array, weight: Array | None) -> float:
        from ..metrics import r2

        return float(r2(y.reshape(outputs.shape), outputs, weight))
