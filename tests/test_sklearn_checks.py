"""scikit-learn's checks of estimators: every one of them, for both classes."""

from __future__ import annotations

import pytest
from fastmlp import MLPClassifier, MLPRegressor

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

# The checks fit for a few epochs only, and pass columns where rows are expected on purpose.
pytestmark = pytest.mark.filterwarnings("ignore")


@parametrize_with_checks(
    [
        MLPClassifier(max_iter=100),
        # With less of a penalty probabilities round to 0, whose logarithms are finite here.
        MLPClassifier(solver="lbfgs", alpha=0.1, max_iter=100),
        MLPClassifier(solver="sgd", max_iter=100),
        MLPRegressor(max_iter=100),
        MLPRegressor(solver="lbfgs", max_iter=100),
        MLPRegressor(solver="sgd", max_iter=100),
    ]
)
def test_scikit_learns_check(estimator, check):
    check(estimator)
