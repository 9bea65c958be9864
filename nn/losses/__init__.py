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
``LogCosh``            ``Σ log cosh(a - y)``                         any
``Poisson``            ``Σ a - y log a + (y log y - y)``             exp
``BinaryCrossEntropy`` ``Σ -y log a - (1 - y) log(1 - a)``           sigmoid
``CrossEntropy``       ``-Σ y log a``                                softmax
``Hinge``              ``Σ max(0, 1 - y z)``                         identity
``SquaredHinge``       ``Σ max(0, 1 - y z)²``                        identity
``MulticlassHinge``    ``max(0, 1 + max_{j≠k} z_j - z_k)``           identity
====================== ============================================= ==============================

``GaussianNLL`` learns a mean and a variance for each target, ``Quantile`` with several levels that
many quantiles, ``Weighted`` gives each output a factor.

Targets are values ``(n, n_out)`` or class labels ``(n,)``, which stand for one-hot rows; for the
hinges, whose values are -1 and 1, for 1 at the label and -1 elsewhere (one against the rest).

A new loss is a formula in each backend of ``fastmlp.kernels`` and one class here; one written in
NumPy for a single network is made by :func:`custom`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp import kernels
from fastmlp.kernels import CustomLoss

from .. import _naming
from ._base import Loss
from ._of_outputs import AbsoluteError, Huber, LogCosh, Quantile, SquaredError
from ._of_scores import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    MulticlassHinge,
    Poisson,
    SquaredHinge,
)
from ._of_targets import GaussianNLL, Weighted

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "LogCosh",
    "Loss",
    "MulticlassHinge",
    "Poisson",
    "Quantile",
    "SquaredError",
    "SquaredHinge",
    "Weighted",
    "custom",
    "get",
]


def get(loss: str | Loss | kernels.Loss | CustomLoss) -> Loss | CustomLoss:
    """Return a loss itself, or the one of that name with its default constants.

    Parameters
    ----------
    loss : str, Loss or CustomLoss
        A name such as ``"huber"``, or an object.

    Returns
    -------
    Loss or CustomLoss
        With its constants.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything else, such as a loss's class instead of an object.

    Examples
    --------
    >>> from fastmlp import losses
    >>> losses.get("huber")
    Huber(delta=1.0)
    """
    if isinstance(loss, (Loss, CustomLoss)):
        return loss
    if isinstance(loss, kernels.Loss):
        return Loss.registry[loss.name](**loss.constants)
    if not isinstance(loss, str):
        raise TypeError(
            f"loss must be a name or an object such as fastmlp.losses.Huber(), got {loss!r}"
        )
    known: dict[str, type[Loss]] = {**Loss.registry, GaussianNLL.name: GaussianNLL}
    return known[_naming.find("loss", loss, known, "fastmlp.losses")]()


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

    Notes
    -----
    ``f`` is traced once for each number of outputs: numbers and arrays that it takes from outside
    are those of that moment.

    Examples
    --------
    Errors below the target cost three times as much as those above:

    >>> import numpy as np
    >>> from fastmlp import MLP, losses
    >>> careful = losses.custom(lambda z, y: np.where(z < y, 3 * (y - z), z - y))
    >>> X, y = np.linspace(0, 1, 50)[:, None], np.linspace(0, 1, 50)
    >>> history = MLP([1, 8, 1], random_state=0).fit(X, y, loss=careful, epochs=5)
    """
    from .._graphs import custom as _custom  # brings automatic differentiation along

    return _custom.loss(f, derivative, name=name, n_outputs=n_outputs)
