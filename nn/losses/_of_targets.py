"""Losses that look at targets in another way than one number for each output.

Several outputs may stand for one target: the loss is then an expression of the scores ``z`` of one
target, which is spread to one for each output; it is traced, and every backend runs it as native
code, target by target. Factors of outputs and missing targets are weights of targets, see
``_inputs/weights.py``; losses only say that they have them.
"""

from __future__ import annotations

import functools
import math
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CustomLoss

from .._inputs.numbers import number
from .._typing import Array
from ._base import Loss

Expression = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class WeightedLoss(kernels.Loss):
    """A loss with a name whose targets have weights.

    Attributes
    ----------
    missing : bool
        Whether NaN stands for a target that was not observed.
    factors : tuple of float
        One for each output; none for equal ones.
    """

    missing: bool = False
    factors: tuple[float, ...] = ()

    __hash__ = kernels.Loss.__hash__


@dataclass(frozen=True, eq=False)
class TargetLoss(CustomLoss):
    """A traced loss; ``missing`` as in :class:`WeightedLoss`."""

    missing: bool = False


class OfTargets(Loss, kind=True):
    """Base of the losses of this file."""

    def __init_subclass__(cls, *, kind: bool = False) -> None:
        """Name it; the kernels, whose names are registered, do not know it."""
        super().__init_subclass__(kind=True)
        cls.name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise where a constant is outside its range."""

    def spec(self) -> kernels.Loss:
        raise TypeError(
            f"{type(self).__name__} is made for a network with its outputs: give it to fit"
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("identity",)


class Traced(OfTargets, kind=True):
    """Base of those that are an expression of one target and its outputs."""

    @abstractmethod
    def expression(self) -> Expression:
        """``(z, y) -> (n,)`` losses of one target, both ``(n, outputs_a_target)``."""

    def for_network(self, n_out: int, output: str) -> kernels.Loss:
        several = self.outputs_a_target
        if n_out % several:
            raise ValueError(
                f"{type(self).__name__} needs {several} outputs for each target, and the network "
                f"has {n_out}"
            )
        return _traced(self)


@dataclass(frozen=True)
class GaussianNLL(Traced):
    """``½ (s + (y - m)² exp(-s))``: a normal distribution of each target, of which both are learnt.

    The network has two outputs for each target, side by side: the mean ``m`` and the logarithm of
    the variance, ``s``. ``MLP.predict_distribution`` gives means and standard deviations. (The
    constant ``½ log 2π`` is left out, as in torch.)

    References
    ----------
    D. Nix, A. Weigend, "Estimating the mean and variance of the target probability distribution",
    1994.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP, losses
    >>> X = np.linspace(0, 1, 200)[:, None]
    >>> y = X + X * np.random.default_rng(0).normal(size=X.shape)
    >>> net = MLP([1, 16, 2], "tanh", random_state=0)
    >>> history = net.fit(X, y, loss=losses.GaussianNLL(), epochs=60, learning_rate=0.01)
    >>> mean, deviation = net.predict_distribution([[0.1], [0.9]])
    >>> bool(deviation[0, 0] < deviation[1, 0])
    True
    """

    outputs_a_target = 2

    def distribution(self, outputs: Array) -> tuple[Array, Array]:
        """Means and standard deviations of outputs of a network.

        Parameters
        ----------
        outputs : (n, 2 · n_targets) array
            What ``predict`` has given.

        Returns
        -------
        mean : (n, n_targets) array
            ``m``.
        deviation : (n, n_targets) array
            ``exp(s / 2)``.
        """
        return self.point(outputs), np.exp(0.5 * outputs[:, 1::2])

    def point(self, outputs: Array) -> Array:
        """The mean of each target.

        Parameters
        ----------
        outputs : (n, 2 · n_targets) array
            What ``predict`` has given.

        Returns
        -------
        (n, n_targets) array
            ``m``.
        """
        return outputs[:, 0::2].copy()

    def expression(self) -> Expression:
        def f(z: Any, y: Any) -> Any:
            # Sums, which native code has, in the place of indices, which it has not.
            first, second = np.eye(2, dtype=z.dtype)
            m, s = np.sum(z * first, axis=1), np.sum(z * second, axis=1)
            return 0.5 * (s + np.square(np.sum(y * first, axis=1) - m) * np.exp(-s))

        return f


@dataclass(frozen=True)
class Weighted(OfTargets):
    """A loss with a factor for each output.

    Parameters
    ----------
    loss : str or Loss
        One that is a sum over outputs: not cross-entropy, and not the multiclass hinge.
    weights : sequence of float
        A factor for each output, not negative.

    Examples
    --------
    >>> from fastmlp import MLP, losses
    >>> net = MLP([1, 4, 2], random_state=0)
    >>> loss = losses.Weighted("huber", [1.0, 10.0])
    >>> loss_1 = net.loss([[1.0]], [[2.0, 3.0]], loss)
    """

    loss: Any = "squared_error"
    weights: Sequence[float] = (1.0,)

    def check(self) -> None:
        object.__setattr__(self, "weights", tuple(number("weights", w) for w in self.weights))
        if not all(w >= 0 and math.isfinite(w) for w in self.weights) or not any(self.weights):
            raise ValueError(
                f"weights must be finite, not negative and not all 0, got {self.weights}"
            )
        object.__setattr__(self, "loss", _inner(self.loss))

    @property
    def outputs(self) -> tuple[str, ...]:
        found: tuple[str, ...] = self.loss.outputs
        return found

    def for_network(self, n_out: int, output: str) -> kernels.Loss:
        if len(self.weights) != n_out:
            raise ValueError(f"weights must hold {n_out} numbers, one for each output")
        inner = self.loss.spec()
        return WeightedLoss(inner.name, inner.constants, factors=tuple(self.weights))


@dataclass(frozen=True)
class Quantiles(Traced):
    """Several quantiles of each target; see :class:`fastmlp.losses.Quantile`."""

    quantiles: tuple[float, ...] = (0.5,)
    ordered: bool = False

    @property
    def outputs_a_target(self) -> int:  # type: ignore[override]
        return len(self.quantiles)

    def expression(self) -> Expression:
        q = np.array(self.quantiles)

        def f(z: Any, y: Any) -> Any:
            level = q.astype(z.dtype)
            r = (_levels(z, len(q)) if self.ordered else z) - y
            return np.sum(np.where(r > 0, (1 - level) * r, -level * r), axis=1)

        return f


def _levels(z: Any, several: int) -> Any:
    """Scores as quantiles that rise: the first one, and then steps of softplus."""
    place = np.arange(several)
    first = (place == 0).astype(np.float64)
    steps = z * first + np.logaddexp(0.0, z) * (1 - first)
    total: Any = 0.0
    for k in range(several):
        own = np.sum(steps * (place == k).astype(np.float64), axis=1, keepdims=True)
        total = total + own * (place >= k).astype(np.float64)
    return total


def levels(outputs: Array, several: int) -> Array:
    """The quantiles that outputs of an ordered loss stand for, in NumPy."""
    shaped = outputs.reshape(len(outputs), -1, several)
    steps = np.concatenate((shaped[:, :, :1], np.logaddexp(0, shaped[:, :, 1:])), axis=2)
    return np.cumsum(steps, axis=2, dtype=outputs.dtype)


@functools.lru_cache(maxsize=64)
def observed(loss: kernels.Loss, n_out: int) -> kernels.Loss:
    """A loss that takes NaN for targets that were not observed."""
    if kernels.targets_of_a_row(loss, n_out) is None:
        raise ValueError(
            f"missing_targets='ignore' needs a loss that is a sum over outputs, and {loss.name!r} "
            "is no sum over outputs"
        )
    if isinstance(loss, CustomLoss):
        return TargetLoss(loss.name, loss.function, loss.outputs_a_target, missing=True)
    factors = getattr(loss, "factors", ())
    return WeightedLoss(loss.name, loss.constants, missing=True, factors=factors)


@functools.lru_cache(maxsize=64)
def _traced(loss: Traced) -> TargetLoss:
    from .._graphs import custom  # brings automatic differentiation along

    function = custom.OfRows(loss.expression(), None, loss.outputs_a_target)
    return TargetLoss(type(loss).__name__, function, loss.outputs_a_target)


def _inner(loss: Any) -> Loss:
    from . import get

    found = get(loss)
    if isinstance(found, (CustomLoss, OfTargets)):
        raise TypeError(f"Weighted takes a loss of fastmlp with a name, got {found!r}")
    if kernels.targets_of_a_row(found.spec(), 1) is None:
        raise ValueError(f"Weighted takes a loss that is a sum over outputs, got {found!r}")
    return found
