"""``missing_targets`` and weights of single targets in the regressor."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLPClassifier, MLPRegressor, data, losses, metrics

pytestmark = pytest.mark.filterwarnings("ignore:.*(onverge|Maximum iterations)")
RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 2))
HOLES = np.where(RNG.random(Y.shape) < 0.3, np.nan, Y)
HOLES[3] = np.nan
SEEN = np.where(np.isnan(HOLES), 0.0, 1.0)


def regressor(**options):
    given = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, "solver": "adam"}
    return MLPRegressor(**{**given, **options})


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "lm", "br"])
def test_missing_targets_are_those_of_weight_0(solver):
    model = regressor(solver=solver, missing_targets="ignore").fit(X, HOLES)
    same = regressor(solver=solver).fit(X, Y, SEEN)
    for found, expected in zip(model.coefs_, same.coefs_, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert model.loss_ == same.loss_


def test_what_is_never_observed_changes_nothing():
    y = Y.copy()
    y[:, 1] = np.nan
    model = regressor(missing_targets="ignore", alpha=0.0).fit(X, y)
    before = regressor(max_iter=1, learning_rate_init=1e-300).fit(X, Y).coefs_[1][:, 1]
    np.testing.assert_array_equal(model.coefs_[1][:, 1], before)


def test_score_and_validation_are_over_what_was_observed():
    model = regressor(missing_targets="ignore").fit(X, HOLES, X_val=X, y_val=HOLES)
    outputs = model.predict(X)
    each = [metrics.r2(Y[s > 0, k], outputs[s > 0, k]) for k, s in enumerate(SEEN.T)]
    assert model.score(X, HOLES) == pytest.approx(np.mean(each), rel=1e-12)
    assert model.validation_scores_[-1] == pytest.approx(np.mean(each), rel=1e-12)
    assert model.score(X, Y) == regressor().fit(X, Y, SEEN).score(X, Y)
    weight = RNG.random(50)
    each = [metrics.r2(Y[s > 0, k], outputs[s > 0, k], weight[s > 0]) for k, s in enumerate(SEEN.T)]
    assert model.score(X, HOLES, weight) == pytest.approx(np.mean(each), rel=1e-12)


def test_one_output_early_stopping_partial_fit_and_sources():
    y = HOLES[:, 0]
    model = regressor(missing_targets="ignore", early_stopping=True).fit(X, y)
    assert np.isfinite(model.validation_scores_).all()
    step = regressor(missing_targets="ignore")
    for _ in range(2):
        step.partial_fit(X[:4], y[:4])
    assert np.isfinite(step.coefs_[0]).all()
    whole = regressor(missing_targets="ignore", shuffle=False, batch_size=25).fit(X, HOLES)
    source = data.arrays(X, HOLES, block_rows=25)
    by_blocks = regressor(missing_targets="ignore", shuffle=False, batch_size=25).fit(source)
    np.testing.assert_allclose(by_blocks.coefs_[0], whole.coefs_[0], rtol=1e-10)


def test_weights_of_targets_equal_in_a_row_are_the_rows():
    weight = RNG.random(50)
    model = regressor().fit(X, Y, np.repeat(weight[:, None], 2, axis=1))
    same = regressor().fit(X, Y, weight)
    np.testing.assert_array_equal(model.coefs_[0], same.coefs_[0])


def test_a_loss_with_factors_and_tables():
    pandas = pytest.importorskip("pandas")
    model = regressor(loss=losses.Weighted("squared_error", [1.0, 1.0]), output_reduction="sum")
    same = regressor(output_reduction="sum").fit(X, Y)
    np.testing.assert_allclose(model.fit(X, Y).coefs_[0], same.coefs_[0], rtol=1e-12)
    of_frame = regressor(missing_targets="ignore").fit(X, pandas.DataFrame(HOLES))
    of_array = regressor(missing_targets="ignore").fit(X, HOLES)
    np.testing.assert_array_equal(of_frame.coefs_[0], of_array.coefs_[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regressor().fit(X, HOLES), "NaN"),
        (lambda: regressor(missing_targets="skip").fit(X, Y), "'missing_targets' parameter"),
        (lambda: regressor(missing_targets="ignore").fit(X, HOLES * np.nan), "no target that is"),
        (lambda: regressor(missing_targets="ignore").fit(X, np.where(Y > 2, np.inf, HOLES)), "inf"),
        (lambda: regressor().fit(X, Y, np.ones((50, 3))), r"or \(50, 2\) with one for each target"),
        (lambda: MLPClassifier().fit(X, Y > 0, np.ones((50, 2))), "1D array or scalar"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
