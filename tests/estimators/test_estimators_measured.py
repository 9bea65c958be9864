"""What estimators measure of validation rows: scorers, weights, classes, and who is warned."""

from __future__ import annotations

import warnings

import fastmlp
import numpy as np
import pytest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
W = RNG.uniform(0.5, 1.5, 60)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def classifier(**options):
    return fastmlp.MLPClassifier((4,), max_iter=3, random_state=0, **options)


def plain(estimator, X, y):
    """The documented signature."""
    return float((estimator.predict(X) == y).mean())


@pytest.mark.parametrize("scoring", [plain, lambda e, X, y, sample_weight: sample_weight.sum()])
def test_scorers_are_given_the_weights_that_they_take(scoring):
    model = classifier(early_stopping=True, scoring=scoring).fit(X, Y, sample_weight=W)
    assert len(model.validation_scores_) == 3
    assert (max(model.validation_scores_) <= 1) == (scoring is plain)


def test_scorers_in_ensembles_which_weigh_rows():
    ensemble = pytest.importorskip("sklearn.ensemble")
    theirs = pytest.importorskip("sklearn.metrics")

    def worst(y_true, y_pred):  # without weights
        return float(np.abs(y_true - y_pred).max())

    for scoring in (
        lambda e, X, y: -worst(y, e.predict(X)),
        theirs.make_scorer(worst, greater_is_better=False),
        "neg_max_error",
        "r2",
    ):
        inner = fastmlp.MLPRegressor(
            hidden_layer_sizes=(3,), max_iter=2, early_stopping=True, scoring=scoring
        )
        ensemble.BaggingRegressor(inner, 2, random_state=0).fit(X, X[:, 0], sample_weight=W)


@pytest.mark.parametrize("label", [0, 1, "yes"])
def test_a_single_class_is_always_right(label):
    y = np.full(60, label)
    model = classifier(early_stopping=True, validation_fraction=0.25).fit(X, y)
    assert model.validation_scores_ == [1.0] * 3
    assert model.score(X, y) == 1


def test_rows_of_weight_0_on_one_side_of_the_split_are_said():
    held_out = X[:, 0] * 0
    for side in (0, 1):
        weight = np.full(60, float(side))
        order = np.random.RandomState(0)
        from fastmlp.estimators._sklearn.split import train_and_validation

        model = fastmlp.MLPRegressor(
            hidden_layer_sizes=(), max_iter=2, early_stopping=True, random_state=0
        )
        # With no hidden layer the draws before the split are those of one layer.
        order.uniform(size=(3, 1)), order.uniform(size=1)
        _, rows = train_and_validation(60, 0.1, order, None)
        weight[rows] = 1.0 - side
        with pytest.raises(ValueError, match=("to train on", "weight 0")[side]):
            model.fit(X, held_out, sample_weight=weight)


def test_class_weights_reach_the_validation_rows():
    weighted = classifier(class_weight={0: 5.0}).fit(X, Y, X_val=X[:20], y_val=Y[:20])
    given = classifier(class_weight={0: 5.0}).fit(
        *(X, Y), X_val=X[:20], y_val=Y[:20], sample_weight_val=np.ones(20)
    )
    by_hand = classifier().fit(
        *(X, Y, np.where(Y == 0, 5.0, 1.0)),
        X_val=X[:20],
        y_val=Y[:20],
        sample_weight_val=np.where(Y[:20] == 0, 5.0, 1.0),
    )
    for model in (weighted, given):
        assert model.validation_loss_curve_ == by_hand.validation_loss_curve_
        assert model.validation_scores_ == by_hand.validation_scores_


def test_balanced_weights_of_validation_rows_are_those_of_the_training_rows():
    y = (X[:, 0] > 1).astype(int)
    counts = np.bincount(y)
    factors = 60 / (2 * counts)
    balanced = classifier(class_weight="balanced").fit(X, y, X_val=X[:20], y_val=y[:20])
    by_hand = classifier().fit(
        *(X, y, factors[y]), X_val=X[:20], y_val=y[:20], sample_weight_val=factors[y[:20]]
    )
    assert balanced.validation_loss_curve_ == by_hand.validation_loss_curve_


def test_class_weights_that_leave_nothing_are_an_error():
    for solver in ("adam", "lbfgs"):
        model = classifier(class_weight={0: 0, 1: 0}, solver=solver)
        with pytest.raises(ValueError, match="leave every row the weight zero"):
            model.fit(X, Y)
    model = classifier(class_weight={0: 0})
    with pytest.raises(ValueError, match=r"X_val.*leave every row the weight zero"):
        model.fit(X, Y, X_val=X[Y == 0], y_val=Y[Y == 0])


@pytest.mark.parametrize("bad", [(X[:, :2], Y), (np.where(X > 1, np.nan, X), Y), (X, Y[:-1])])
def test_errors_in_validation_rows_name_them(bad):
    with pytest.raises(ValueError, match="X_val"):
        classifier().fit(X, Y, X_val=bad[0], y_val=bad[1])


@pytest.mark.filterwarnings("default")
def test_warnings_point_at_the_users_line_also_through_ensembles():
    ensemble = pytest.importorskip("sklearn.ensemble")
    inner = fastmlp.MLPRegressor(hidden_layer_sizes=(3,), max_iter=2)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ensemble.BaggingRegressor(inner, 2).fit(X, X[:, 0])
        inner.fit(X, X[:, 0])
    assert [w.filename for w in said] == [__file__] * 3


def test_warnings_are_silenced_as_in_scikit_learns_examples():
    exceptions = pytest.importorskip("sklearn.exceptions")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=exceptions.ConvergenceWarning, module="sklearn")
        fastmlp.MLPRegressor(hidden_layer_sizes=(3,), max_iter=2).fit(X, X[:, 0])
