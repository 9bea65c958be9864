"""What a regressor learns of a target beside one value: a mean with its deviation, quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from .._typing import Array
from ..losses import GaussianNLL, Quantile
from . import _names
from ._methods import available_if

#: What is asked of a normal distribution by default.
BAND = (0.05, 0.5, 0.95)


def _has_deviation(estimator: Any) -> None:
    """Raise ``AttributeError`` unless a variance of each target is learnt."""
    if not isinstance(_names.described(estimator.loss), GaussianNLL):
        raise AttributeError("it needs loss=fastmlp.losses.GaussianNLL(), which learns a variance")


def _has_quantiles(estimator: Any) -> None:
    """Raise ``AttributeError`` unless quantiles of each target are known."""
    if not isinstance(_names.described(estimator.loss), (GaussianNLL, Quantile)):
        raise AttributeError("it needs loss=fastmlp.losses.Quantile([…]), or losses.GaussianNLL()")


class Distributions:
    """The part of a regressor whose loss describes a target by one output or several."""

    loss: Any
    n_outputs_: int
    _outputs: Any

    @property
    def _n_targets(self) -> int:
        """Columns of ``y`` that the fitted network has outputs for."""
        return self.n_outputs_ // _names.described(self.loss).outputs_a_target

    @available_if(_has_deviation, reason=True)
    def predict_distribution(self, X: Any) -> tuple[Array, Array]:
        """Mean and standard deviation of the target of each row; for ``losses.GaussianNLL``.

        The same as ``predict(X, return_std=True)``, under the name that :class:`fastmlp.MLP` has
        for it.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.

        Returns
        -------
        mean : (n,) or (n, n_targets) array
            Of each target.
        deviation : (n,) or (n, n_targets) array
            Of the noise of a new target; what is uncertain about the network is not in it.
        """
        loss: Any = _names.described(self.loss)
        mean, deviation = loss.distribution(self._checked_outputs(X))
        return _as_targets(mean), _as_targets(deviation)

    @available_if(_has_quantiles, reason=True)
    def predict_quantiles(self, X: Any, quantiles: Sequence[float] | None = None) -> Array:
        """Quantiles of the target of each row; for ``losses.Quantile`` and ``losses.GaussianNLL``.

        Parameters
        ----------
        X : (n, n_features) array-like or sparse matrix
            Rows.
        quantiles : sequence of float, optional
            Which ones. Of ``losses.Quantile`` some of its levels, by default all. Of
            ``losses.GaussianNLL`` any between 0 and 1, by default 0.05, 0.5 and 0.95.

        Returns
        -------
        (n, n_quantiles) or (n, n_targets, n_quantiles) array
            In the order of ``quantiles``.

        Raises
        ------
        ValueError
            For a level that was not learnt, or one that is not between 0 and 1.
        """
        loss: Any = _names.described(self.loss)
        if isinstance(loss, GaussianNLL):
            levels = _levels(BAND if quantiles is None else quantiles)
            mean, deviation = loss.distribution(self._checked_outputs(X))
            steps = np.array([NormalDist().inv_cdf(q) for q in levels], mean.dtype)
            values: Array = mean[:, :, None] + deviation[:, :, None] * steps
        else:
            known = np.atleast_1d(loss.quantile).tolist()
            levels = _levels(known if quantiles is None else quantiles)
            if missing := [q for q in levels if q not in known]:
                raise ValueError(f"quantiles must be among {known}, as learnt, got {missing[0]}")
            values = loss.values(self._checked_outputs(X))
            if quantiles is not None:
                values = values[:, :, [known.index(q) for q in levels]]
        return _as_targets(values)

    def _checked_outputs(self, X: Any) -> Array:
        """Outputs of the network, which are those of the loss."""
        outputs: Array = self._outputs(X)
        each = _names.described(self.loss).outputs_a_target
        if outputs.shape[1] % each:
            raise ValueError(
                f"loss={self.loss!r} has {each} outputs for each target, and the fitted network "
                f"{outputs.shape[1]} in all: fit it with this loss"
            )
        return outputs

    def _points(self, X: Any) -> Array:
        """One value for each target: ``(n,)`` or ``(n, n_targets)``."""
        loss = _names.described(self.loss)
        if loss.outputs_a_target == 1:
            return _as_targets(self._outputs(X))
        return _as_targets(loss.point(self._checked_outputs(X)))


def _as_targets(values: Array) -> Array:
    return values[:, 0] if values.shape[1] == 1 else values


def _levels(quantiles: Any) -> list[float]:
    levels: list[float] = np.asarray(quantiles, np.float64).ravel().tolist()
    if not levels or not all(0 < q < 1 for q in levels):
        raise ValueError(f"quantiles must lie between 0 and 1, got {quantiles!r}")
    return levels
