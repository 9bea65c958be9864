"""The classifier: labels in, classes and probabilities out."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _labels
from ._base import BaseMLP, stochastic_only
from ._compat import ClassifierMixin
from ._scores import accuracy

__all__ = ["MLPClassifier"]

Array = np.ndarray[Any, Any]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron for classes: binary, multiclass or multilabel.

    Takes the place of ``sklearn.neural_network.MLPClassifier``: equal parameters, and with equal
    seeds equal draws, so that losses and predictions agree up to rounding.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        Neurons of each hidden layer.
    activation : {"identity", "logistic", "tanh", "relu"}, default "relu"
        Activation of the hidden layers.
    solver : {"adam", "sgd", "lbfgs"}, default "adam"
        ``lbfgs`` (needs scipy) takes all rows in every step and computes in float64.
    alpha : float, default 1e-4
        Weight of the penalty ``½ α Σ W² / n``, ``n`` being the rows of the step.
    batch_size : int or "auto", default "auto"
        Rows of a step; ``"auto"`` is ``min(200, n)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Schedule of ``sgd``. ``invscaling``: ``η = η₀ / (rows seen + 1)^power_t``, set after each
        epoch. ``adaptive``: η is divided by 5 where others would stop.
    learning_rate_init : float, default 0.001
        ``η₀``.
    power_t : float, default 0.5
        Exponent of ``invscaling``.
    max_iter : int, default 200
        Epochs (steps of ``lbfgs``) at most.
    shuffle : bool, default True
        Visit the rows in a new order in each epoch.
    random_state : int, numpy.random.RandomState or None
        Draws initial parameters, the validation rows and the shuffles, in this order.
    tol : float, default 1e-4
        Training stops after more than ``n_iter_no_change`` epochs without an improvement of at
        least ``tol``; for ``lbfgs`` it is the bound on the gradient.
    verbose : bool or int, default False
        Print the loss of each epoch.
    warm_start : bool, default False
        Let ``fit`` go on from the present parameters.
    momentum, nesterovs_momentum : float, default 0.9, and bool, default True
        Of ``sgd``.
    early_stopping : bool, default False
        Set validation rows apart, stop by their score and keep the best parameters.
    validation_fraction : float, default 0.1
        Share of these rows.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        Of ``adam``; epsilon is added before the bias correction, as scikit-learn does.
    n_iter_no_change : int, default 10
        See ``tol``.
    max_fun : int, default 15000
        Evaluations of ``lbfgs`` at most.

    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays
        ``(n_in, n_out)`` and ``(n_out,)`` of each layer; edits and replacements take effect.
    loss_ : float
        Loss of the last epoch, penalty included.
    loss_curve_ : list of float
        One value per epoch (not for ``lbfgs``).
    best_loss_ : float or None
        Lowest of them; ``None`` with early stopping.
    validation_scores_, best_validation_score_ : list of float and float, or None
        Of early stopping.
    n_iter_, t_, n_layers_, n_outputs_, n_features_in_ : int
        Epochs, rows seen, layers (input included), outputs and inputs.
    out_activation_ : str
        ``"softmax"`` for more than two classes, else ``"logistic"``.
    classes_ : (n_classes,) array
        Sorted labels; column numbers for multilabel targets.

    Notes
    -----
    Losses are computed from the scores, not from clipped probabilities: they differ from
    scikit-learn's where a probability is within one machine epsilon of 0 or 1. Pickles do not hold
    optimizer state: ``partial_fit`` of an unpickled estimator starts with fresh moments.
    """

    classes_: Array

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
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
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Fit to rows ``X``, ``(n, n_features)``, and their labels.

        Parameters
        ----------
        X : (n, n_features) array-like
        y : (n,) array-like of labels, or (n, n_labels) of zeros and ones
        sample_weight : (n,) array-like, optional

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, incremental=False)
        return self

    @stochastic_only
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Go once over the rows, from the present parameters and optimizer state.

        Parameters
        ----------
        X, y, sample_weight
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
        if classes is not None:
            given = np.unique(np.asarray(classes))
            if known is None:
                self._first_classes = given
            elif not np.array_equal(given, known):
                raise ValueError(
                    f"`classes={classes!r}` is not the same as on last call to partial_fit, "
                    f"was: {known!r}"
                )
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Labels, ``(n,)``, or zeros and ones ``(n, n_labels)`` for multilabel targets."""
        outputs = self._outputs(X)
        return _labels.decode(outputs, np.asarray(self.classes_), self.out_activation_)

    def predict_proba(self, X: Any) -> Array:
        """Probability of each class, ``(n, n_classes)``; of each label for multilabel targets."""
        outputs = self._outputs(X)
        if outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of :meth:`predict_proba`, computed from the scores: finite for finite ones."""
        z = self._outputs(X, output="identity")
        if self.out_activation_ == "softmax":
            shifted = z - z.max(axis=1, keepdims=True)
            log_proba: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            return log_proba
        zero = z.dtype.type(0)
        positive: Array = -np.logaddexp(zero, -z)
        if z.shape[1] == 1:
            return np.hstack([-np.logaddexp(zero, z), positive])
        return positive

    def _targets(self, y: Array, dtype: Any, first_pass: bool, incremental: bool) -> Array:
        y = _labels.flatten_column(y)
        found = _labels.find_classes(y)
        if incremental and first_pass and hasattr(self, "_first_classes"):
            known = found if y.ndim == 2 else self._first_classes
        else:
            known = found if first_pass else self.classes_
        # `partial_fit` may see a part of the classes, a warm start must see the same.
        again = self.warm_start and not first_pass and not incremental
        if again and not np.array_equal(found, known):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {known}, `y` has {found}"
            )
        unknown = np.setdiff1d(found, known)
        if len(unknown):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {known}. "
                f"'y' has {found}."
            )
        multilabel = y.ndim == 2
        if not first_pass and multilabel != self._multilabel():
            raise ValueError("y must hold the same kind of labels as in the previous call")
        if first_pass:
            self.classes_ = known
            self.out_activation_ = "logistic"
            self.n_outputs_ = 1
            if multilabel:
                self.n_outputs_ = y.shape[1]
            elif len(known) > 2:
                self.n_outputs_ = len(known)
                self.out_activation_ = "softmax"
            self.__dict__.pop("_first_classes", None)
        return _labels.encode(y, np.asarray(known), dtype)

    def _multilabel(self) -> bool:
        return self.out_activation_ == "logistic" and self.n_outputs_ > 1

    def _stratum(self, target: Array) -> Array | None:
        # scikit-learn balances the parts for a single output column only.
        return target[:, 0] if self.n_outputs_ == 1 else None

    def _score_outputs(self, target: Array, outputs: Array, weight: Array | None) -> float:
        if self.out_activation_ == "softmax":
            return accuracy(target, outputs.argmax(axis=1), weight)
        return accuracy(target > 0.5, outputs > 0.5, weight)

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()  # type: ignore[misc]
        tags.classifier_tags.multi_label = True
        return tags
