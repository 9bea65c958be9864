"""Fitted models across the border: from scikit-learn's estimators to fastmlp's, and back."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

from ..._typing import Array
from .._fitting.optimizer import StochasticOptimizer
from .._labels import LabelCodes
from .._losses import CLASSIFIER

#: What scikit-learn's perceptron can compute.
_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
_LOSSES = ("squared_error", "poisson")
#: Fitted attributes that are taken over as they are.
_ATTRIBUTES = (
    *("n_layers_", "n_outputs_", "n_features_in_", "feature_names_in_", "out_activation_"),
    *("classes_", "loss_", "best_loss_", "loss_curve_", "validation_scores_"),
    *("best_validation_score_", "n_iter_", "t_", "_no_improvement_count", "_random_state"),
)


def from_sklearn(estimator: Any) -> Any:
    """Take a model over from scikit-learn, fitted or not.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor

    Returns
    -------
    MLPClassifier or MLPRegressor
        With copies of all parameters and fitted attributes, and of the optimizer's state, so that
        ``partial_fit`` goes on as it would have there.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> import fastmlp, sklearn.neural_network
    >>> theirs = sklearn.neural_network.MLPRegressor((5,), max_iter=3, random_state=0)
    >>> fastmlp.from_sklearn(theirs)
    MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0)
    """
    from ..classifier import MLPClassifier
    from ..regressor import MLPRegressor

    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
    found = [
        ours[kind.__name__]
        for kind in type(estimator).__mro__
        if kind.__module__.startswith("sklearn.neural_network.") and kind.__name__ in ours
    ]
    if not found:
        raise TypeError(
            "from_sklearn takes sklearn.neural_network's MLPClassifier or MLPRegressor, "
            f"got {type(estimator).__name__}"
        )
    known = inspect.signature(found[0]).parameters
    given = {name: value for name, value in vars(estimator).items() if name in known}
    new = found[0](**{name: copy.deepcopy(value) for name, value in given.items()})
    if not hasattr(estimator, "coefs_"):
        return new
    _copy_attributes(estimator, new)
    binarizer = getattr(estimator, "_label_binarizer", None)
    if binarizer is not None:
        new._label_binarizer = LabelCodes(
            binarizer.classes_.copy(), binarizer.y_type_, binarizer.sparse_input_
        )
    new.coefs_ = [w.copy() for w in estimator.coefs_]
    new.intercepts_ = [b.copy() for b in estimator.intercepts_]
    new._adopt(new._packed())
    if hasattr(estimator, "_optimizer"):
        new._optimizer = _optimizer_from(estimator, new)
    return new


def to_sklearn(estimator: Any) -> Any:
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
    _copy_attributes(estimator, new)
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
        new._optimizer = _optimizer_for(new, optimizer, estimator._architecture())
    return new


def _public_name(estimator: Any) -> str:
    return "MLPClassifier" if estimator._known_losses == CLASSIFIER else "MLPRegressor"


def _copy_attributes(source: Any, to: Any) -> None:
    for name in _ATTRIBUTES:
        if name in vars(source):
            setattr(to, name, copy.deepcopy(vars(source)[name]))


def _optimizer_from(theirs: Any, ours: Any) -> StochasticOptimizer:
    """Our optimizer with the state of scikit-learn's."""
    state = theirs._optimizer
    optimizer = StochasticOptimizer(ours)
    if optimizer.rule.name == "adam":
        slots = [state.ms, state.vs]
        optimizer.step = int(state.t)
    else:
        # scikit-learn keeps velocities of plain descent too, which nothing depends on.
        slots = [state.velocities] if optimizer.rule.slots else []
        optimizer.rate = float(state.learning_rate)
    vectors = [np.concatenate([np.ravel(a) for a in slot]) for slot in slots]
    dtype = ours._flat.dtype
    optimizer.state = np.array(vectors, dtype).reshape(len(vectors), ours._flat.size)
    return optimizer


def _optimizer_for(new: Any, ours: StochasticOptimizer, architecture: Any) -> Any:
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
            parameters, new.learning_rate_init, new.beta_1, new.beta_2, new.epsilon
        )
        if vectors:
            optimizer.ms, optimizer.vs = vectors
            optimizer.t = ours.step
    else:
        optimizer = theirs.SGDOptimizer(
            parameters,
            new.learning_rate_init,
            new.learning_rate,
            new.momentum,
            new.nesterovs_momentum,
            new.power_t,
        )
        if vectors:
            optimizer.velocities = vectors[0]
    optimizer.learning_rate = ours.learning_rate
    return optimizer
