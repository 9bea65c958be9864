"""The regressor: real numbers in, real numbers out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from fastmlp.kernels import LOSS_OUTPUTS, LOSS_SPECS

from .._streams.rows import is_source
from .._typing import (
    ActivationName,
    Array,
    InitializerName,
    OptimizerName,
    RegressorLoss,
    ScheduleName,
    SolverName,
)
from . import _labels, _names
from ._base import BaseMLP
from ._distributions import Distributions
from ._fitting import sources
from ._fitting.single_step import step_alone
from ._holes import TargetsWithHoles
from ._methods import available_if, keep_parameters, stochastic
from ._sklearn.compat import RegressorMixin
from ._sklearn.constraints import ParameterConstraints
from ._sklearn.documentation import document

__all__ = ["MLPRegressor"]


@document
class MLPRegressor(RegressorMixin, Distributions, TargetsWithHoles, BaseMLP):
    """Multilayer perceptron for one or more real outputs.

    Takes the place of ``sklearn.neural_network.MLPRegressor``: equal parameters, and with equal
    seeds equal draws, so that losses and predictions agree up to rounding.

    Parameters
    ----------
    loss : str or object of ``fastmlp.losses``, default "squared_error"
        ``"squared_error"`` is ``½ (a - y)²``; ``"poisson"`` is half the Poisson deviance, with an
        exponential output and targets that are not negative. Also ``"absolute_error"``,
        ``"huber"``, ``"log_cosh"`` and ``"quantile"``. ``losses.Quantile([0.05, 0.5, 0.95])`` and
        ``"gaussian_nll"`` learn several outputs for each target: quantiles, or a mean and a
        variance. ``predict`` then gives the median or the mean.
    {parameters}

    Attributes
    ----------
    {attributes}
    out_activation_ : str
        ``"identity"``, or ``"exp"`` for the Poisson loss.

    Other Parameters
    ----------------
    output_reduction : {"mean", "sum"}, default "mean"
        How the squared errors of several outputs are shown in ``loss_`` and ``loss_curve_``, see
        the notes.
    missing_targets : {"error", "ignore"}, default "error"
        What NaN in ``y`` is: an error, or not observed, without a part in loss, gradient and
        ``score``.
    {extras}

    Notes
    -----
    "Other parameters" are fastmlp's own; their defaults change nothing.

    With several outputs the gradient of the squared error is that of the sum over outputs, but the
    loss that scikit-learn shows (and gives to ``lbfgs`` with that gradient) is the mean over
    outputs plus the penalty. ``output_reduction="mean"`` does the same; ``"sum"`` shows and
    minimises the one function ``½ ‖a - y‖²`` plus the penalty, which is faster, too.

    {deviations}

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLPRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> model = MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", random_state=0)
    >>> model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99
    True
    """

    loss: Any
    output_reduction: str
    _parameter_constraints = ParameterConstraints("MLPRegressor")
    _known_losses = _names.REGRESSOR
    _y_numeric = True

    def __init__(
        self,
        loss: RegressorLoss | Any = "squared_error",
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
        output_reduction: str = "mean",
        missing_targets: str = "error",
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
        comm: Any = None,
    ) -> MLPRegressor:
        """Fit to rows ``X``, ``(n, n_features)``, and their targets.

        Parameters
        ----------
        X : (n, n_features) array-like, sparse matrix, or source of blocks ``(X, y)``
            A source (see :mod:`fastmlp.data`) is read while the network is trained.
        y : (n,) or (n, n_outputs) array-like; not for a source
            Of a source the targets are in its blocks.
        sample_weight : (n,) or (n, n_outputs) array-like, or float, optional
            Factor of each row, or of each target of each row, not negative.
        X_val, y_val, sample_weight_val : as above, optional
            Validation rows: their score and loss are noted after each epoch, and with early
            stopping they are used instead of a part of ``X``. ``X_val`` alone may be a source.
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
        self._fit(X, y, sample_weight, False, held_out, comm=comm)
        return self

    @available_if(stochastic, reason=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, comm: Any = None
    ) -> MLPRegressor:
        """Go once over the rows, from the present parameters and optimizer state.

        Arguments and result as in :meth:`fit`.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.
        y : (n,) or (n, n_outputs) array-like
            Their targets.
        sample_weight : (n,) or (n, n_outputs) array-like, optional
            As in :meth:`fit`.
        comm : communicator of mpi4py, optional
            The ranks that go over these rows together, as in :meth:`fit`; each was fitted to the
            same rows before.

        Returns
        -------
        self
            With one more epoch.
        """
        alone = sample_weight is None and comm is None
        if not (alone and step_alone(self, X, y)):
            self._fit(X, y, sample_weight, True, comm=comm)
        return self

    def predict(self, X: Any, return_std: bool = False, *, out: Any = None) -> Any:
        """Predicted values, ``(n,)``, or ``(n, n_targets)`` for several targets.

        Of ``losses.GaussianNLL`` they are the means, of several quantiles the medians. A source is
        read block by block.

        Parameters
        ----------
        X : (n, n_features) array-like, sparse matrix, or source
            Rows.
        return_std : bool, default False
            Also return standard deviations: of rows in memory, for ``losses.GaussianNLL``.
        out : array, optional
            Where to write the values.

        Returns
        -------
        values : (n,) or (n, n_targets) array
            ``out`` where it was given.
        deviation : (n,) or (n, n_targets) array
            Only with ``return_std``.

        Raises
        ------
        ValueError
            For ``return_std`` where the loss learns no variance, or with a source or ``out``.
        """
        if return_std:
            if out is not None or is_source(X):
                raise ValueError("return_std=True is for rows in memory, without out")
            if not hasattr(self, "predict_distribution"):
                raise ValueError(
                    f"return_std=True needs loss=losses.GaussianNLL(), got {self.loss!r}"
                )
            return self.predict_distribution(X)
        if out is not None or is_source(X):
            return sources.predict(self.predict, X, out)
        return self._points(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R², averaged over the outputs.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.
        y : (n,) or (n, n_outputs) array-like
            Right values; with ``missing_targets="ignore"`` each output is measured where it was
            observed.
        sample_weight : (n,) array-like, optional
            Factor of each row, not negative.

        Returns
        -------
        float
            1 at best; 0 for the mean of the targets.
        """
        observed = self._score_of_observed(X, y, sample_weight)
        if observed is not None:
            return observed
        result: float = super().score(X, y, sample_weight)
        return result

    # Fitting

    def _shape_targets(self, y: Any) -> Any:
        return _labels.flatten_column(y)

    def _learn_targets(self, y: Array, first_pass: bool, incremental: bool, classes: Any) -> None:
        outputs = 1 if y.ndim == 1 else y.shape[1]
        self._check_values(y)
        if first_pass:
            self.n_outputs_ = outputs * _names.described(self.loss).outputs_a_target
            outputs_of = LOSS_OUTPUTS.get(_names.loss_name(self.loss))
            if outputs_of is None:  # of an object that knows them, or of a user
                outputs_of = getattr(self.loss, "outputs", ("identity",))
            self.out_activation_ = outputs_of[0]
        else:
            self.n_outputs_ = len(self.intercepts_[-1])
            self._check_validation_targets(y)

    def _check_validation_targets(self, y: Any) -> None:
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if outputs != self._n_targets:
            raise ValueError(f"y must have {self._n_targets} outputs as in the fit, got {outputs}")
        self._check_values(y)

    def _check_values(self, y: Array) -> None:
        if y.dtype.kind not in "fiub":
            raise ValueError(f"y must hold real numbers, got dtype {y.dtype}")
        name = _names.loss_name(self.loss)
        low = np.nan if name not in LOSS_SPECS else LOSS_SPECS[name].targets.low
        if y.size and np.any(y < low):
            lowest = np.nanmin(y)
            raise ValueError(f"loss={name!r} needs targets that are not negative, got {lowest}")

    def _encode(self, y: Array, dtype: Any) -> Array:
        target = y.reshape(len(y), -1).astype(dtype, copy=False)
        each = _names.described(self.loss).outputs_a_target
        return target if each == 1 else np.repeat(target, each, axis=1)

    def _shows_mean(self) -> bool:
        return (
            self.n_outputs_ > 1
            and self.output_reduction == "mean"
            and _names.loss_name(self.loss) == "squared_error"
        )

    def _stratum(self, target: Array) -> Array | None:
        return None

    def _score_outputs(self, target: Array, outputs: Array, weight: Array | None) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        loss = _names.described(self.loss)
        return self._r2(target[:, :: loss.outputs_a_target], loss.point(outputs), weight)
