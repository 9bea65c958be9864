"""fastmlp: multilayer perceptrons at the speed of the hardware.

==================== ===========================================================================
``MLP``              a network: ``fit``, ``predict``, gradients, ``weights`` and ``biases``
``fit_many``,        train and predict with many networks at once; ``each`` marks an option that is
``predict_many``     given one for each
``GroupedMLP``       a network for each group of rows, with a shared start
``MLPEnsemble``,     networks that answer together, and how far they differ; with scikit-learn's
and its estimators   contract ``MLPEnsembleClassifier`` and ``MLPEnsembleRegressor``
``MLPClassifier``,   estimators with scikit-learn's parameters and attributes; they are real
``MLPRegressor``     scikit-learn estimators where it is installed, and work without it
``from_sklearn``     takes a model of scikit-learn over; ``to_sklearn()`` gives one back
``Trainer``          what ``net.trainer(…)`` gives: one step at a time, its state read and saved
``load_model``       reads what ``fastmlp train`` wrote: a ``Model`` of raw rows
``model_selection``  folds and searches whose networks are trained side by side
``optimizers``       ``SGD``, ``Adam``, …: constants of an update rule
``losses``           ``SquaredError``, ``CrossEntropy``, …; custom ones
``activations``      formulas, functions and derivatives; custom ones
``schedules``        how the learning rate changes
``stopping``         when to stop
``initializers``     how weights are drawn
``metrics``          how good predictions are, apart from the loss
``callbacks``        what runs between epochs, or between batches
``History``          learning curves
``plot``             learning curves, decision regions, weights, loss surfaces
``datasets``         data to start with, and readers
``data``             sources of blocks of rows, for data larger than memory
``plan``             how long steps would take on several processes
``from_onnx``,       take networks over from other libraries; ``net.to_onnx()`` and its like
``from_torch``,      give them back, ``net.to_c()`` as a header for C
``from_keras``
``explain``          how much each input adds to an output
``interop``          other libraries and formats: what comes in and goes out
``autodiff``         computation graphs and derivatives of functions written in NumPy
``check_gradients``  compares a network's gradients with its graph's and finite differences
``kernels``          the computations themselves, in three backends, and the choice of backend
==================== ===========================================================================

How the folders relate: ``mlp`` is the network, over ``_network`` (parameters, losses, gradients,
decisions). It turns what users pass into arrays with ``_inputs`` and is written to files by
``serialization``. In ``_training``, ``plan`` checks everything that ``fit`` takes, and a
``trainer`` keeps all that the next step depends on, in its ``engine`` and beside it; a
``checkpoint`` is that in a file. ``loop`` carries a ``run`` of epochs out, for the ``estimators``
as well, with what each of them adds as hooks. ``_many`` trains many networks at once. Nothing in
``kernels`` knows this package.

All but ``MLP`` and ``kernels`` is imported when first used, so that ``import fastmlp`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import kernels
from .mlp import MLP

if TYPE_CHECKING:
    from . import (
        activations,
        autodiff,
        callbacks,
        data,
        datasets,
        estimators,
        explain,
        initializers,
        interop,
        losses,
        metrics,
        model_selection,
        optimizers,
        plot,
        schedules,
        stopping,
    )
    from ._cluster.plan import plan
    from ._many.arguments import each
    from ._many.ensemble import MLPEnsemble
    from ._many.estimators import MLPEnsembleClassifier, MLPEnsembleRegressor
    from ._many.fitting import fit_many
    from ._many.groups import GroupedMLP
    from ._many.prediction import predict_many
    from ._model import Model, load_model
    from ._network.gradient_check import check_gradients
    from ._network.predictor import Predictor
    from ._training.trainer import Trainer
    from .estimators import MLPClassifier, MLPRegressor, from_sklearn
    from .history import History
    from .interop._incoming import from_keras, from_onnx, from_torch

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "GroupedMLP",
    "History",
    "MLPClassifier",
    "MLPEnsemble",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPRegressor",
    "Model",
    "Predictor",
    "Trainer",
    "__version__",
    "activations",
    "autodiff",
    "callbacks",
    "check_gradients",
    "data",
    "datasets",
    "each",
    "estimators",
    "explain",
    "fit_many",
    "from_keras",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "initializers",
    "interop",
    "kernels",
    "load_model",
    "losses",
    "metrics",
    "model_selection",
    "optimizers",
    "plan",
    "plot",
    "predict_many",
    "schedules",
    "stopping",
]

#: What is imported when it is first asked for: objects with their modules, and modules.
_LAZY = {
    "GroupedMLP": "_many.groups",
    "History": "history",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "check_gradients": "_network.gradient_check",
    "Model": "_model",
    "MLPEnsemble": "_many.ensemble",
    "MLPEnsembleClassifier": "_many.estimators",
    "MLPEnsembleRegressor": "_many.estimators",
    "Predictor": "_network.predictor",
    "each": "_many.arguments",
    "fit_many": "_many.fitting",
    "plan": "_cluster.plan",
    "predict_many": "_many.prediction",
    "Trainer": "_training.trainer",
    "from_keras": "interop._incoming",
    "from_onnx": "interop._incoming",
    "from_sklearn": "estimators",
    "from_torch": "interop._incoming",
    "load_model": "_model",
    **dict.fromkeys(
        (
            *("activations", "autodiff", "callbacks", "data", "datasets", "estimators"),
            *("explain",),
            *(
                "initializers",
                "interop",
                "losses",
                "metrics",
                "model_selection",
                "optimizers",
                "plot",
            ),
            *("schedules", "stopping"),
        )
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    holder = _LAZY[name]
    if holder is None:
        return importlib.import_module(f".{name}", __name__)
    value = getattr(importlib.import_module(f".{holder}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
