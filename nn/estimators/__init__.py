"""Estimators with scikit-learn's parameters, methods and fitted attributes, on fastmlp's engine.

=============================  ====================================================================
``classifier``, ``regressor``  the two public classes
``_base``                      what they share: fitting and predictions
``_fitted``                    fitted arrays that belong to the caller; copies and pickles
``_labels``                    class labels to targets of the engine, and outputs back to labels
``_names``                     names of activations and losses; the way to the backends
``_fitting``                   minibatch descent and L-BFGS, with what happens between the epochs
``_sklearn``                   all that is there for scikit-learn's sake: checks of parameters and
                               rows, base classes, the split of early stopping, documentation,
                               ``from_sklearn`` and ``to_sklearn``
=============================  ====================================================================
"""

from ._sklearn.from_sklearn import from_sklearn
from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn"]
