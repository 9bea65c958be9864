"""From scikit-learn's estimators to fastmlp's, fitted or not."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

from .._fitting.optimizer import StochasticOptimizer
from .._labels import LabelCodes
from ..classifier import MLPClassifier
from ..regressor import MLPRegressor
from .to_sklearn import copy_attributes


def from_sklearn(estimator: Any) -> Any:
    """Take a model over from scikit-learn, fitted or not.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
        What is copied.

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
    >>> import fastmlp
    >>> from sklearn.neural_network import MLPRegressor
    >>> theirs = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0)
    >>> fastmlp.from_sklearn(theirs)
    MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0)
    """
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
    copy_attributes(estimator, new)
    binarizer = getattr(estimator, "_label_binarizer", None)
    if binarizer is not None:
        new._label_binarizer = LabelCodes(
            binarizer.classes_.copy(), binarizer.y_type_, binarizer.sparse_input_
        )
    new.coefs_ = [w.copy() for w in estimator.coefs_]
    new.intercepts_ = [b.copy() for b in estimator.intercepts_]
    new._adopt(new._packed())
    new._hidden_sizes = tuple(w.shape[1] for w in new.coefs_[:-1])
    if hasattr(estimator, "_optimizer"):
        new._optimizer = _optimizer(estimator, new)
    return new


def _optimizer(theirs: Any, ours: Any) -> StochasticOptimizer:
    """Our optimizer with the state of scikit-learn's."""
    state = theirs._optimizer
    optimizer = StochasticOptimizer(ours)
    if optimizer.rule.name == "adam":
        slots = [state.ms, state.vs]
        optimizer.step = int(state.t)
    else:
        # scikit-learn keeps velocities of plain descent too, which nothing depends on.
        slots = [state.velocities] if optimizer.rule.slots else []
    optimizer.learning_rate_init = float(state.learning_rate_init)
    optimizer.learning_rate = float(state.learning_rate)
    vectors = [np.concatenate([np.ravel(a) for a in slot]) for slot in slots]
    dtype = ours._flat.dtype
    optimizer.state = np.array(vectors, dtype).reshape(len(vectors), ours._flat.size)
    return optimizer
