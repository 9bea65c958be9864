"""Losses of a network's outputs ``a`` and targets ``y``, for any output activation.

``expression`` is the loss of one output, of ``r = a - y``, in NumPy as graphs trace it. It is
written apart from the kernels, and checks them.
"""

from __future__ import annotations

import bisect
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from fastmlp import kernels
from numpy.typing import ArrayLike

from .._inputs.numbers import number, switch
from .._typing import Array
from ._base import Loss


class OfOutputs(Loss, kind=True):
    """Base of the losses of outputs."""

    @abstractmethod
    def expression(self, r: Any) -> Any:
        """The loss of one output, elementwise."""


@dataclass(frozen=True)
class SquaredError(OfOutputs):
    """``½ Σ (a - y)²`` of each row, as scikit-learn's; derivative by ``a``: ``a - y``."""

    def expression(self, r: Any) -> Any:
        return 0.5 * np.square(r)


@dataclass(frozen=True)
class AbsoluteError(OfOutputs):
    """``Σ |a - y|`` of each row; derivative by ``a``: the sign of ``a - y``, 0 at 0."""

    def expression(self, r: Any) -> Any:
        return np.abs(r)


@dataclass(frozen=True)
class Huber(OfOutputs):
    """With ``r = a - y``: ``½ r²`` where ``|r| ≤ d``, else ``d (|r| - ½ d)``.

    Parameters
    ----------
    delta : float, default 1
        ``d > 0``, as in torch and Keras.

    References
    ----------
    P. Huber, "Robust estimation of a location parameter", 1964.
    """

    delta: float = 1.0

    def expression(self, r: Any) -> Any:
        line = self.delta * (np.abs(r) - 0.5 * self.delta)
        return np.where(np.abs(r) <= self.delta, 0.5 * np.square(r), line)


@dataclass(frozen=True)
class Quantile(OfOutputs):
    """``q max(y - a, 0) + (1 - q) max(a - y, 0)``, whose minimum is the q-quantile.

    Its derivative is ``1 - q`` above the target, ``-q`` below and 0 on it.

    Parameters
    ----------
    quantile : float or sequence of float, default 0.5
        ``0 < q < 1``. Several, rising, are those of each target: the network then has as many
        outputs for each target, side by side.
    ordered : bool, default False
        Keep several from crossing: the outputs are then the lowest quantile and the steps up from
        there, as softplus of them. :meth:`values` gives quantiles.

    References
    ----------
    R. Koenker, G. Bassett, "Regression quantiles", 1978; scikit-learn's ``pinball_loss``.
    """

    quantile: float | Sequence[float] = 0.5
    ordered: bool = False

    def __post_init__(self) -> None:
        switch("ordered", self.ordered)
        if not isinstance(self.quantile, (list, tuple, np.ndarray)):
            number("quantile", self.quantile)
            if self.ordered:
                raise ValueError("ordered=True is for several quantiles")
            self.spec()
            return
        several = tuple(number("quantile", q) for q in self.quantile)
        rising = all(a < b for a, b in pairwise(several))
        if not several or not rising or not 0 < several[0] <= several[-1] < 1:
            raise ValueError(f"several quantiles must rise, between 0 and 1, got {several}")
        object.__setattr__(self, "quantile", several)

    def spec(self) -> kernels.Loss:
        if isinstance(self.quantile, tuple):
            raise TypeError("several quantiles are for a network with its outputs: give it to fit")
        level: Any = self.quantile
        return kernels.Loss(self.name, {"quantile": level})

    @property
    def outputs_a_target(self) -> int:  # type: ignore[override]
        return len(self.quantile) if isinstance(self.quantile, tuple) else 1

    def for_network(self, n_out: int, output: str) -> kernels.Loss | kernels.CustomLoss:
        if not isinstance(self.quantile, tuple):
            return self.spec()
        found: kernels.CustomLoss = self.several().for_network(n_out, output)
        return found

    def several(self) -> Any:
        """The loss of all levels together.

        Returns
        -------
        object
            With a ``for_network`` of its own; only where there are several levels.
        """
        from ._of_targets import Quantiles

        assert isinstance(self.quantile, tuple)
        return Quantiles(self.quantile, self.ordered)

    def values(self, outputs: ArrayLike) -> Array:
        """The quantiles of outputs of a network, ``(n, n_targets, n_quantiles)``.

        Parameters
        ----------
        outputs : (n, n_targets · n_quantiles) array-like
            What ``predict`` has given.

        Returns
        -------
        (n, n_targets, n_quantiles) array
            In the order of the levels.
        """
        from ._of_targets import levels

        array = np.asarray(outputs)
        if self.ordered:
            return levels(array, self.outputs_a_target)
        return array.reshape(len(array), -1, self.outputs_a_target)

    def point(self, outputs: Array) -> Array:
        """The median of each target, ``(n, n_targets)``.

        Parameters
        ----------
        outputs : (n, n_out) array
            What ``predict`` has given.

        Returns
        -------
        (n, n_targets) array
            Where ½ is none of several levels: on the line between the levels on either side of it,
            or at the level that is nearest to it. Of one level the outputs themselves.
        """
        levels = self.quantile
        if not isinstance(levels, tuple):
            return outputs
        values = self.values(outputs)
        above = bisect.bisect_left(levels, 0.5)
        if above == len(levels) or above == 0 or levels[above] == 0.5:
            return values[:, :, min(above, len(levels) - 1)]
        low, high = levels[above - 1], levels[above]
        share = outputs.dtype.type((0.5 - low) / (high - low))
        middle: Array = (1 - share) * values[:, :, above - 1] + share * values[:, :, above]
        return middle

    def expression(self, r: Any) -> Any:
        level: Any = self.quantile  # one number: several have an expression of their own
        below = np.where(r < 0, -level * r, 0.0)
        return np.where(r > 0, (1 - level) * r, below)


@dataclass(frozen=True)
class LogCosh(OfOutputs):
    """``Σ log cosh(a - y)`` of each row: ``½ r²`` near 0, ``|r| - log 2`` far from it.

    Its derivative by ``a`` is ``tanh(a - y)``; as in Keras.
    """

    def expression(self, r: Any) -> Any:
        return np.logaddexp(r, -r) - np.log(2.0)
