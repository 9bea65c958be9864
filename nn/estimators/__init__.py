"""Estimators with scikit-learn's parameters, methods and fitted attributes, on fastmlp's engine.

``classifier``, ``regressor``  the two public classes
``_base``        what they share: fitting, predictions, and fitted arrays that belong to the caller
``_solvers``     sgd and adam (epochs of the engine, stop rules), lbfgs (scipy on its gradients)
``_labels``      class labels to targets and back
``_split``       the validation rows of early stopping
``_validation``  constructor parameters
``_compat``      scikit-learn's base classes where it is installed; ``_standalone`` where not
"""

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
