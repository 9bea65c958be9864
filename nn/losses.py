"""Losses: what training makes small, as small immutable descriptions.

``a`` is the network's output, ``z`` the scores before the output activation, ``y`` the target; the
loss of a row is a sum over its outputs, that of a batch the mean over its rows, weighted where
sample weights are given. All are computed from scores, so that no finite score gives an infinite
loss; kinks are said below. Each is also known by its name in snake_case, ``"squared_error"``.

====================== ============================================= ==============================
class                  of a row                                      outputs it goes with
====================== ============================================= ==============================
``SquaredError``       ``½ Σ (a - y)²``                              any
``AbsoluteError``      ``Σ |a - y|``                                 any
``Huber``              squares near 0, straight lines beyond         any
``Quantile``           pinball: errors weigh by their sign           any
``Poisson``            ``Σ a - y log a + (y log y - y)``             exp
``BinaryCrossEntropy`` ``Σ -y log a - (1 - y) log(1 - a)``           sigmoid
``CrossEntropy``       ``-Σ y log a``                                softmax
``Hinge``              ``Σ max(0, 1 - y z)``                         identity
``SquaredHinge``       ``Σ max(0, 1 - y z)²``                        identity
``MulticlassHinge``    ``max(0, 1 + max_{j≠k} z_j - z_k)``           identity
====================== ============================================= ==============================

Targets are values ``(n, n_out)`` or class labels ``(n,)``, which stand for one-hot rows; for the
hinges, whose values are -1 and 1, for 1 at the label and -1 elsewhere (one against the rest).

A new loss is a formula in each backend of ``fastmlp.kernels`` and one class here; one written in
NumPy for a single network is made by :func:`custom`.
"""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from fastmlp import kernels
from fastmlp.kernels import CustomLoss
from numpy.typing import ArrayLike

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Hinge",
    "Huber",
    "Loss",
    "MulticlassHinge",
    "Poisson",
    "Quantile",
    "SquaredError",
    "SquaredHinge",
    "custom",
    "get",
]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Loss(ABC):
    """Base of all losses.

    Attributes
    ----------
    name : str
        In snake_case, as the kernels know it.
    outputs : tuple of str
        Output activations that it is defined for.
    """

    name: ClassVar[str]
    #: Every loss by its name.
    registry: ClassVar[dict[str, type[Loss]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        Loss.registry[cls.name] = cls

    def __post_init__(self) -> None:
        self.spec()  # checks the constants

    def spec(self) -> kernels.Loss:
        """Return the kernels' loss and its constants."""
        return kernels.Loss(self.name, {f.name: getattr(self, f.name) for f in fields(self)})

    @property
    def outputs(self) -> tuple[str, ...]:
        return kernels.LOSS_OUTPUTS[self.name]

    def __call__(
        self,
        scores: ArrayLike,
        target: ArrayLike,
        output: str | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Mean loss over the rows.

        Parameters
        ----------
        scores : (n, n_out) array-like
            ``z``, before the output activation.
        target : (n, n_out) or (n,) array-like
        output : str, optional
            Output activation, by default the first of ``outputs``.
        sample_weight : (n,) array-like, optional
        """
        arrays = self._arrays(scores, target, sample_weight)
        return kernels.loss_value(
            *arrays[:2], self.spec(), output or self.outputs[0], sample_weight=arrays[2]
        )

    def derivative(
        self,
        scores: ArrayLike,
        target: ArrayLike,
        output: str | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Array:
        """Output error ``δ = ∂C/∂z`` of each row, ``(n, n_out)``; parameters as in a call."""
        arrays = self._arrays(scores, target, sample_weight)
        return kernels.output_delta(
            *arrays[:2], self.spec(), output or self.outputs[0], sample_weight=arrays[2]
        )

    @staticmethod
    def _arrays(scores: Any, target: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        z = np.asarray(scores)
        z = z if z.dtype == np.float32 else z.astype(np.float64)
        y = np.asarray(target)
        if y.ndim != 1 or y.dtype.kind not in "iu":
            y = y.astype(z.dtype)
        return z, y, None if sample_weight is None else np.asarray(sample_weight, z.dtype)


@dataclass(frozen=True)
class SquaredError(Loss):
    """``½ Σ (a - y)²`` of each row, as scikit-learn's; derivative by ``a``: ``a - y``."""


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """``Σ |a - y|`` of each row; derivative by ``a``: the sign of ``a - y``, 0 at 0."""


@dataclass(frozen=True)
class Huber(Loss):
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


@dataclass(frozen=True)
class Quantile(Loss):
    """``q max(y - a, 0) + (1 - q) max(a - y, 0)``, whose minimum is the q-quantile.

    Its derivative is ``1 - q`` above the target, ``-q`` below and 0 on it.

    Parameters
    ----------
    quantile : float, default 0.5
        ``0 < q < 1``.

    References
    ----------
    R. Koenker, G. Bassett, "Regression quantiles", 1978; scikit-learn's ``pinball_loss``.
    """

    quantile: float = 0.5


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance, ``exp z - y z + (y log y - y)`` for counts ``y ≥ 0``.

    It is 0 where ``exp z = y`` (``0 log 0 = 0``); scikit-learn's ``loss="poisson"``.
    """


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """``log(1 + exp z) - y z`` of each output, for ``y`` from 0 to 1.

    Parameters
    ----------
    label_smoothing : float, default 0
        ``0 ≤ s < 1``: targets become ``y (1 - s) + s / 2``, as in Keras.
    """

    label_smoothing: float = 0.0


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """``log(Σ exp z) Σ y - Σ y z``, for one class (label or one-hot) or a distribution ``y``.

    Parameters
    ----------
    label_smoothing : float, default 0
        ``0 ≤ s < 1``: targets become ``y (1 - s) + s / K`` for K classes, as in torch.
    """

    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Hinge(Loss):
    """``max(0, 1 - y z)`` of each output, ``y`` -1 or 1; the derivative at the kink is 0.

    References
    ----------
    C. Cortes, V. Vapnik, "Support-vector networks", 1995.
    """


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """``max(0, 1 - y z)²`` of each output, ``y`` -1 or 1."""


@dataclass(frozen=True)
class MulticlassHinge(Loss):
    """``max(0, 1 + max_{j≠k} z_j - z_k)``, ``k`` the class of the row; 2 outputs at least.

    The class is the label, or the place of the row's first largest target. Of several largest
    rivals the first counts; where the margin is exactly 0, so is the derivative.

    References
    ----------
    K. Crammer, Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", JMLR 2001.
    """


def get(loss: str | Loss | kernels.Loss | CustomLoss) -> Loss | CustomLoss:
    """Return a loss itself, or the one of that name with its default constants.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything else, such as a loss's class instead of an object.
    """
    if isinstance(loss, (Loss, CustomLoss)):
        return loss
    if isinstance(loss, kernels.Loss):
        return Loss.registry[loss.name](**loss.constants)
    if not isinstance(loss, str):
        raise TypeError(
            f"loss must be a name or an object such as fastmlp.losses.Huber(), got {loss!r}"
        )
    if loss not in Loss.registry:
        raise ValueError(
            f"loss must be one of {tuple(Loss.registry)} or an object of fastmlp.losses, "
            f"got {loss!r}"
        )
    return Loss.registry[loss]()


def custom(
    f: Callable[[Any, Any], Any],
    derivative: Callable[[Any, Any], Any] | None = None,
    *,
    name: str | None = None,
    n_outputs: int | None = None,
) -> CustomLoss:
    """A loss from a function of scores and targets written in NumPy.

    Parameters
    ----------
    f : callable
        ``(z, y) -> loss`` for ``(n, n_out)`` arrays: scores ``z`` of the output layer, before its
        activation (with ``output="identity"``: the predictions), and targets ``y``; class labels
        come as one-hot rows. The result is ``(n, n_out)``, which is summed over the outputs, or
        ``(n,)``, where ``f`` has reduced them with ``axis=1``. The loss of a batch is the mean
        over its rows, with sample weights where they are given.
    derivative : callable, optional
        ``(z, y) -> ∂loss/∂z``, ``(n, n_out)``, in place of the graph's.
    name : str, optional
        By default the function's own.
    n_outputs : int, optional
        Outputs for which ``f`` is written, where it holds a number for each of them (such as
        weights of classes). By default any.

    Returns
    -------
    CustomLoss
        For ``loss=`` of :meth:`fastmlp.MLP.fit` and the estimators.

    Raises
    ------
    TypeError
        Where ``f`` uses something without a derivative rule, named with what has one.
    ValueError
        Where the result has another shape, or a row's loss depends on other rows.

    Examples
    --------
    Errors below the target cost three times as much as those above:

    >>> import numpy as np
    >>> from fastmlp import MLP, losses
    >>> careful = losses.custom(lambda z, y: np.where(z < y, 3 * (y - z), z - y))
    >>> X, y = np.linspace(0, 1, 50)[:, None], np.linspace(0, 1, 50)
    >>> history = MLP([1, 8, 1], random_state=0).fit(X, y, loss=careful, epochs=5)
    """
    from . import _custom  # brings automatic differentiation along

    return _custom.loss(f, derivative, name=name, n_outputs=n_outputs)
