"""Optimizers: how a gradient changes the parameters, as small immutable descriptions.

============================================ ==================================================
``SGD``                                      plain, with momentum, with Nesterov's look ahead
``Adagrad``, ``Adadelta``, ``RMSprop``,      steps scaled by past squares of each gradient
``Ftrl``
``Adam``, ``AdamW``, ``Adamax``, ``Nadam``,  the same with momentum
``RAdam``, ``Yogi``
``Lion``, ``Rprop``                          steps by the gradient's sign
``GradientDescent``, ``LBFGS``               all rows in every step, with line search
``LevenbergMarquardt``,                      all rows, solving with the curvature of the loss:
``BayesianRegularization``                   for small networks, to high accuracy
============================================ ==================================================

An optimizer holds constants only. Its state (velocities, moments) lives in the engine and is
fresh in every ``fit``, so one object may be shared by any number of networks. Each is also known
by its name in snake_case, ``"rmsprop"`` or ``"gradient_descent"``, with its default constants.

``weight_decay = λ`` is decoupled in all of them: every parameter is multiplied by ``1 - η λ``
before its update (I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019), as
``AdamW`` is known for. A penalty in the loss is ``l2`` of ``MLP.fit``.

A new optimizer is one class in a file here, over an update rule of ``fastmlp.kernels``: it derives
from :class:`Optimizer`, and its name in snake_case becomes the string that ``fit`` accepts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .. import _naming
from ._adam import Adam, Adamax, AdamW, Nadam, RAdam, Yogi
from ._base import Optimizer
from ._scaled import Adadelta, Adagrad, Ftrl, RMSprop
from ._sgd import SGD
from ._sign import Lion, Rprop

if TYPE_CHECKING:
    from ._full_batch import LBFGS, GradientDescent
    from ._second_order import BayesianRegularization, LevenbergMarquardt

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "BayesianRegularization",
    "Ftrl",
    "GradientDescent",
    "LevenbergMarquardt",
    "Lion",
    "Nadam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Yogi",
    "get",
]

#: Imported when first asked for: they bring line searches along.
_FULL_BATCH = {
    "gradient_descent": "GradientDescent",
    "lbfgs": "LBFGS",
    "levenberg_marquardt": "LevenbergMarquardt",
    "bayesian_regularization": "BayesianRegularization",
}


def get(optimizer: str | Optimizer) -> Optimizer:
    """Return an optimizer itself, or the one of that name with its default constants.

    Parameters
    ----------
    optimizer : str or Optimizer
        A name such as ``"sgd"`` or ``"adam"``, or an object of this module.

    Returns
    -------
    Optimizer
        With its constants.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything else, such as an optimizer's class instead of an object.

    Examples
    --------
    >>> from fastmlp import optimizers
    >>> optimizers.get("sgd")
    SGD(learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=0.0)
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(
            "optimizer must be a name or an object such as fastmlp.optimizers.Adam(), "
            f"got {optimizer!r}"
        )
    if optimizer in Optimizer.registry:
        return Optimizer.registry[optimizer]()
    names = sorted({*Optimizer.registry, *_FULL_BATCH})
    name = _naming.find("optimizer", optimizer, names, "fastmlp.optimizers")
    if name in _FULL_BATCH:
        _load_full_batch(_FULL_BATCH[name])
    return Optimizer.registry[name]()


def _load_full_batch(name: str) -> Any:
    lines = name in ("GradientDescent", "LBFGS")
    module = "_full_batch" if lines else "_second_order"
    return getattr(importlib.import_module(f"fastmlp.optimizers.{module}"), name)


def __getattr__(name: str) -> Any:
    if name not in _FULL_BATCH.values():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _load_full_batch(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FULL_BATCH.values()})
