"""The regressor: real numbers in, real numbers out."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _labels
from ._base import BaseMLP, stochastic_only
from ._compat import RegressorMixin
from ._scores import r2

__all__ = ["MLPRegressor"]

Array = np.ndarray[Any, Any]


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron for one or more real outputs.

    Takes the place of ``sklearn.neural_network.MLPRegressor``: equal parameters, and with equal
    seeds equal draws, so that losses and predictions agree up to rounding.

    Parameters
    ----------
    loss : {"squared_error"}, default "squared_error"
        ``½ (a - y)²``, averaged over rows.
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
        ``"identity"``.

    Notes
    -----
    With several outputs the objective is the sum over outputs, ``½ ‖a - y‖²``, plus the penalty,
    for every solver. ``loss_`` and ``loss_curve_`` show it divided by the number of outputs;
    scikit-learn's differ by dividing the data's part only. (Its ``lbfgs`` also hands scipy a
    gradient of the sum with a loss that is the mean, so results differ there.) Pickles do not hold
    optimizer state: ``partial_fit`` of an unpickled estimator starts with fresh moments.
    """

    _y_numeric = True

    def __init__(
        self,
        loss: str = "squared_error",
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
        self.loss = loss
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Fit to rows ``X``, ``(n, n_features)``, and their targets.

        Parameters
        ----------
        X : (n, n_features) array-like
        y : (n,) or (n, n_outputs) array-like
        sample_weight : (n,) array-like, optional

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, incremental=False)
        return self

    @stochastic_only
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Go once over the rows, from the present parameters and optimizer state.

        Arguments and result as in :meth:`fit`.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Predicted values, ``(n,)``, or ``(n, n_outputs)`` for several outputs."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _targets(self, y: Array, dtype: Any, first_pass: bool, incremental: bool) -> Array:
        if self.loss != "squared_error":
            raise ValueError(f"loss must be 'squared_error', got {self.loss!r}")
        y = _labels.flatten_column(y)
        y = y.reshape(len(y), -1)
        if not first_pass and y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y must have {self.n_outputs_} outputs as in the previous call, got {y.shape[1]}"
            )
        self.n_outputs_ = y.shape[1]
        self.out_activation_ = "identity"
        return y.astype(dtype, copy=False)

    def _stratum(self, target: Array) -> Array | None:
        return None

    def _score_outputs(self, target: Array, outputs: Array, weight: Array | None) -> float:
        return r2(target, outputs, weight) if np.isfinite(outputs).all() else float("nan")

    def _loss_divisor(self) -> float:
        return float(self.n_outputs_)
