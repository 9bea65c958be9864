"""Estimators with scikit-learn's parameters, methods and fitted attributes, on fastmlp's engine.

``classifier``, ``regressor``  the two public classes
``_base``           what they share: fitting and predictions
``_fitted``         fitted arrays that belong to the caller; copies and pickles
``_descent``        sgd, adam and others: epochs of the engine
``_watching``       losses, validation rows and their scores, between the epochs
``_optimizer``      update rule, learning rate and state
``_lbfgs``          scipy's L-BFGS-B on the engine's loss and gradient
``_callbacks``      scikit-learn's callback protocol
``_labels``, ``_losses``       class labels to targets and back; names of losses
``_split``, ``_scores``        the validation rows of early stopping; accuracy and R²
``_validation``     constructor parameters
``_sparse``         rows of scipy.sparse
``_engine``         the way to the kernels and their backends
``_conversion``     ``from_sklearn`` and ``to_sklearn``
``_documentation``  what both docstrings say, among it every deviation from scikit-learn
``_compat``         scikit-learn's base classes where it is installed; ``_standalone`` where not
"""

from ._sklearn.conversion import from_sklearn
from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn"]
