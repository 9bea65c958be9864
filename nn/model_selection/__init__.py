"""Folds and searches whose networks are trained side by side, over shared rows.

:func:`cross_validate` scores an estimator on folds, :class:`MLPSearchCV` finds good parameters:
all candidates and folds in one pool of threads, with successive halving on epochs, so that a
candidate that goes on is not trained anew. :class:`loguniform`, :class:`uniform` and
:class:`integers` are what parameters are drawn from; lists and the distributions of scipy.stats do
as well. scikit-learn's own searches take the estimators, too.
"""

from .._many.settings import integers, loguniform, uniform
from ._cross_validation import cross_validate
from ._search import MLPSearchCV

__all__ = ["MLPSearchCV", "cross_validate", "integers", "loguniform", "uniform"]
