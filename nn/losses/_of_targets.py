"""Losses that look at targets in another way than one number for each output.

There is one mechanism for all of them, and for missing targets: the loss is an expression of the
scores ``z`` and of targets that have been spread to one for each output, it is traced, and every
backend runs it as native code. A missing target is NaN, at which an expression and its derivative
are 0; a row without any target has the weight 0.
"""

from __future__ import annotations

import functools
import math
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
from ._of_outputs import Quantile

Expression = Callable[[Any, Any], Any]


@dataclass(frozen=True, eq=False)
class TargetLoss(CustomLoss):
    """A traced loss that says how targets are spread over outputs.

    Attributes
    ----------
    outputs_a_target : int
        Outputs of each target, which stand side by side.
    missing : bool
        Whether NaN stands for a target that was not observed.
    meant : str
        Name of the loss that is meant, for the values that it takes.
    """

    outputs_a_target: int = 1
    missing: bool = False
    meant: str = ""


class OfTargets(Loss, kind=True):
    """Base of the losses of this file."""

    def __init_subclass__(cls, *, kind: bool = False) -> None:
        """Name it; the kernels, whose names are registered, do not know it."""
        super().__init_subclass__(kind=True)
        cls.name = cls.__name__.lower()

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

    @abstractmethod
    def expression(self, n_out: int, output: str) -> Expression:
        """``(z, y) -> loss`` of rows, or of each output, for targets spread to ``(n, n_out)``."""

    def for_network(self, n_out: int, output: str) -> CustomLoss:
        return _traced(self, n_out, output, missing=False)


@dataclass(frozen=True)
class GaussianNLL(OfTargets):
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

    def expression(self, n_out: int, output: str) -> Expression:
        def f(z: Any, y: Any) -> Any:
            total = 0.0
            for target in range(n_out // 2):
                chosen = [np.arange(n_out) == 2 * target + k for k in range(2)]
                m, s = (np.sum(z * mask.astype(z.dtype), axis=1) for mask in chosen)
                own = np.sum(y * chosen[0].astype(z.dtype), axis=1)
                total = total + 0.5 * (s + np.square(own - m) * np.exp(-s))
            return total

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

    def expression(self, n_out: int, output: str) -> Expression:
        if len(self.weights) != n_out:
            raise ValueError(f"weights must hold {n_out} numbers, one for each output")
        each = _of_each_output(self.loss, output)
        weights = np.array(self.weights)
        return lambda z, y: each(z, y) * weights.astype(z.dtype)


@dataclass(frozen=True)
class Quantiles(OfTargets):
    """Several quantiles of each target; see :class:`fastmlp.losses.Quantile`."""

    quantiles: tuple[float, ...] = (0.5,)
    ordered: bool = False

    @property
    def outputs_a_target(self) -> int:  # type: ignore[override]
        return len(self.quantiles)

    def expression(self, n_out: int, output: str) -> Expression:
        several = len(self.quantiles)
        q = np.tile(self.quantiles, n_out // several)

        def f(z: Any, y: Any) -> Any:
            level = q.astype(z.dtype)
            r = (_levels(z, n_out, several) if self.ordered else z) - y
            return np.where(r > 0, (1 - level) * r, -level * r)

        return f


def _levels(z: Any, n_out: int, several: int) -> Any:
    """Scores as quantiles that rise: the first one, and then steps of softplus."""
    place = np.arange(n_out)
    first = (place % several == 0).astype(np.float64)
    steps = z * first + np.logaddexp(0.0, z) * (1 - first)
    total: Any = 0.0
    for k in range(n_out):
        later = (place >= k) & (place // several == k // several)
        own = np.sum(steps * (place == k).astype(np.float64), axis=1, keepdims=True)
        total = total + own * later.astype(np.float64)
    return total


def levels(outputs: Array, several: int) -> Array:
    """The quantiles that outputs of an ordered loss stand for, in NumPy."""
    shaped = outputs.reshape(len(outputs), -1, several)
    steps = np.concatenate((shaped[:, :, :1], np.logaddexp(0, shaped[:, :, 1:])), axis=2)
    return np.cumsum(steps, axis=2, dtype=outputs.dtype)


def observed(loss: Any, n_out: int, output: str) -> TargetLoss:
    """A loss that takes NaN for targets that were not observed."""
    if isinstance(loss, CustomLoss):
        raise ValueError(
            f"missing_targets='ignore' is for the losses of fastmlp, got {loss.name!r}"
        )
    if isinstance(loss, Quantile) and loss.outputs_a_target > 1:
        loss = loss.several()
    if getattr(loss, "label_smoothing", 0):
        raise ValueError("missing_targets='ignore' goes without label_smoothing")
    return _traced(loss, n_out, output, missing=True)


@functools.lru_cache(maxsize=64)
def _traced(loss: Any, n_out: int, output: str, *, missing: bool) -> TargetLoss:
    from .._graphs import custom  # brings automatic differentiation along

    several = loss.outputs_a_target
    if n_out % several:
        raise ValueError(
            f"{type(loss).__name__} needs {several} outputs for each target, and the network has "
            f"{n_out}"
        )
    own = isinstance(loss, OfTargets)
    f = loss.expression(n_out, output) if own else _of_each_output(loss, output)
    if missing:
        f = _where_observed(f)
    function = custom.OfRows(f, None, n_out if own else None)
    name = type(loss).__name__ + (" where observed" if missing else "")
    return TargetLoss(name, function, several, missing, loss.name)


def _where_observed(f: Expression) -> Expression:
    def g(z: Any, y: Any) -> Any:
        absent = np.isnan(y)
        value = f(z, np.where(absent, 0.0, y))
        if value.ndim == 1:  # of a row with all of its targets, or none
            missed = np.sum(np.where(absent, 1.0, 0.0), axis=1)
            return np.where(missed > 0, 0.0, value)
        return np.where(absent, 0.0, value)

    return g


def _of_each_output(loss: Loss, output: str) -> Expression:
    from .._graphs import networks

    return networks.of_each_output(loss.spec(), output)


def _inner(loss: Any) -> Loss:
    from . import get

    found = get(loss)
    if isinstance(found, (CustomLoss, OfTargets)):
        raise TypeError(f"Weighted takes a loss of fastmlp with a name, got {found!r}")
    return found
