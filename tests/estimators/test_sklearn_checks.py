"""scikit-learn's checks of estimators: every one of them, for both classes."""

from __future__ import annotations

import pytest
from fastmlp import MLPClassifier, MLPRegressor, losses

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import estimator_checks_generator

# The checks fit for a few epochs only, and pass columns where rows are expected on purpose.
pytestmark = pytest.mark.filterwarnings("ignore")

ESTIMATORS = (
    MLPClassifier(max_iter=100),
    MLPClassifier(solver="sgd", max_iter=100),
    # With less of a penalty probabilities round to 0, whose logarithms are finite here.
    MLPClassifier(solver="lbfgs", alpha=0.1, max_iter=100),
    MLPRegressor(max_iter=100),
    MLPRegressor(solver="sgd", max_iter=100),
    MLPRegressor(hidden_layer_sizes=(10,), solver="lbfgs", max_iter=50),
    MLPRegressor(loss="gaussian_nll", max_iter=100),
    MLPRegressor(loss=losses.Quantile([0.1, 0.5, 0.9]), max_iter=100),
)
#: Both classes and both loops of training; the others are for the long suite.
SHORT = (ESTIMATORS[0], ESTIMATORS[5])


def name_of(check):
    """Name of a check, which comes wrapped and with arguments."""
    words = [f"{key}={value}" for key, value in getattr(check, "keywords", {}).items()]
    return " ".join([getattr(check, "func", check).__name__, *words])


CHECKS = [pair for estimator in ESTIMATORS for pair in estimator_checks_generator(estimator)]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(
            *(estimator, check),
            id=f"{estimator!r}-{name_of(check)}",
            marks=[] if estimator in SHORT else [pytest.mark.sweep],
        )
        for estimator, check in CHECKS
    ],
)
def test_scikit_learns_check(estimator, check):
    check(estimator)


def test_no_check_of_scikit_learns_own_estimators_is_missing():
    from sklearn import neural_network

    for ours in (MLPClassifier, MLPRegressor):
        theirs = getattr(neural_network, ours.__name__)
        have, want = (list(estimator_checks_generator(cls())) for cls in (ours, theirs))
        assert {name_of(check) for _, check in want} <= {name_of(check) for _, check in have}
