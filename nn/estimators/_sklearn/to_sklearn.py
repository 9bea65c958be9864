"""From fastmlp's estimators to scikit-learn's of the same parameters and fitted attributes."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

from ..._typing import Array
from .._fitting.optimizer import StochasticOptimizer
from .._names import CLASSIFIER

#: What scikit-learn's perceptron can compute.
_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
_LOSSES = ("squared_error", "poisson")
#: Fitted attributes that are taken over as they are.
ATTRIBUTES = (
    *("n_layers_", "n_outputs_", "n_features_in_", "feature_names_in_", "out_activation_"),
    *("classes_", "loss_", "best_loss_", "loss_curve_", "validation_scores_"),
    *("best_validation_score_", "n_iter_", "t_", "_no_improvement_count", "_random_state"),
)


def convert(estimator: Any) -> Any:
    """See :meth:`MLPClassifier.to_sklearn`."""
    try:
        from sklearn import neural_network  # type: ignore[import-untyped,unused-ignore]
        from sklearn.preprocessing import (  # type: ignore[import-untyped,unused-ignore]
            LabelBinarizer,
        )
    except ImportError as error:
        raise ImportError(
            "to_sklearn needs scikit-learn: pip install 'fastmlp[sklearn]'"
        ) from error
    activation = "logistic" if estimator.activation == "sigmoid" else estimator.activation
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise ValueError(
            f"scikit-learn's perceptron has the activations {_ACTIVATIONS}, "
            f"not {estimator.activation!r}"
        )
    known_losses = ("log_loss",) if estimator._known_losses == CLASSIFIER else _LOSSES
    if not isinstance(estimator.loss, str) or estimator.loss not in known_losses:
        raise ValueError(f"scikit-learn's perceptron has no loss {estimator.loss!r}")
    kind = getattr(neural_network, _public_name(estimator))
    known = inspect.signature(kind).parameters
    given = {name: value for name, value in vars(estimator).items() if name in known}
    given["activation"] = activation
    new = kind(**{name: copy.deepcopy(value) for name, value in given.items()})
    if not hasattr(estimator, "coefs_"):
        return new
    copy_attributes(estimator, new)
    if hasattr(estimator, "classes_"):
        labels = estimator._labels()
        binarizer = new._label_binarizer = LabelBinarizer()
        binarizer.classes_ = labels.classes_.copy()
        binarizer.y_type_ = labels.y_type_
        binarizer.sparse_input_ = getattr(labels, "sparse_input_", False)
    new.coefs_ = [np.array(w) for w in estimator.coefs_]
    new.intercepts_ = [np.array(b) for b in estimator.intercepts_]
    # Where a warm start with early stopping begins.
    new._best_coefs = [w.copy() for w in new.coefs_]
    new._best_intercepts = [b.copy() for b in new.intercepts_]
    optimizer = estimator.__dict__.get("_optimizer")
    if optimizer is not None and estimator.optimizer is None:
        new._optimizer = _optimizer(new, optimizer, estimator._architecture())
    return new


def _public_name(estimator: Any) -> str:
    return "MLPClassifier" if estimator._known_losses == CLASSIFIER else "MLPRegressor"


def copy_attributes(source: Any, to: Any) -> None:
    """Copy the fitted attributes that both have in common."""
    for name in ATTRIBUTES:
        if name in vars(source):
            setattr(to, name, copy.deepcopy(vars(source)[name]))


def _optimizer(new: Any, ours: StochasticOptimizer, architecture: Any) -> Any:
    """scikit-learn's optimizer with the state of ours."""
    from sklearn.neural_network import (  # type: ignore[import-untyped,unused-ignore]
        _stochastic_optimizers as theirs,
    )

    parameters = new.coefs_ + new.intercepts_
    vectors: list[list[Array]] = []
    if ours.state is not None:
        for vector in ours.state:
            weights, biases = architecture.views(vector.copy())
            vectors.append([*weights, *biases])
    optimizer: Any
    if ours.rule.name == "adam":
        optimizer = theirs.AdamOptimizer(
            parameters, ours.learning_rate_init, new.beta_1, new.beta_2, new.epsilon
        )
        if vectors:
            optimizer.ms, optimizer.vs = vectors
            optimizer.t = ours.step
    else:
        optimizer = theirs.SGDOptimizer(
            parameters,
            ours.learning_rate_init,
            new.learning_rate,
            new.momentum,
            new.nesterovs_momentum,
            new.power_t,
        )
        if vectors:
            optimizer.velocities = vectors[0]
    optimizer.learning_rate = ours.learning_rate
    return optimizer
