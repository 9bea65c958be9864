"""What the estimators can do with a run beyond scikit-learn's: watch, stop, score and go on."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import (
    callbacks,
    stopping,
)
from problems import quick_classifier, rings

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")


def test_validation_rows_of_ones_own():
    x, y = rings()
    held_x, held_y = rings(60, seed=1)
    watched = quick_classifier(max_iter=5).fit(x, y, X_val=held_x, y_val=held_y)
    assert watched.loss_curve_ == quick_classifier(max_iter=5).fit(x, y).loss_curve_
    assert watched.validation_scores_[-1] == watched.score(held_x, held_y)
    proba = watched.predict_proba(held_x)[np.arange(60), held_y]
    assert watched.validation_loss_curve_[-1] == pytest.approx(-np.log(proba).mean())
    stopped = quick_classifier(early_stopping=True, n_iter_no_change=3, max_iter=300)
    stopped.fit(x, y, X_val=held_x, y_val=held_y)
    assert stopped.stop_reason_ == "early_stopping"
    assert stopped.t_ == stopped.n_iter_ * len(x)
    assert stopped.score(held_x, held_y) == stopped.best_validation_score_
    with pytest.raises(ValueError, match="together"):
        quick_classifier().fit(x, y, X_val=held_x)
    with pytest.raises(ValueError, match="classes not in"):
        quick_classifier().fit(x, y, X_val=held_x, y_val=held_y + 1)


def test_scoring():
    x, y = rings()
    held_x, held_y = rings(60, seed=1)
    rows = {"X_val": held_x, "y_val": held_y}

    def count(estimator, X, y):
        return float((estimator.predict(X) == y).sum())

    counted = quick_classifier(early_stopping=True, scoring=count, max_iter=5).fit(x, y, **rows)
    shares = quick_classifier(early_stopping=True, max_iter=5).fit(x, y, **rows).validation_scores_
    np.testing.assert_allclose(np.array(counted.validation_scores_) / 60, shares)
    by_loss = quick_classifier(early_stopping=True, scoring="loss", max_iter=5).fit(x, y, **rows)
    assert by_loss.validation_scores_ == [-loss for loss in by_loss.validation_loss_curve_]
    pytest.importorskip("sklearn")
    named = quick_classifier(early_stopping=True, scoring="neg_log_loss", max_iter=5).fit(
        x, y, **rows
    )
    np.testing.assert_allclose(named.validation_scores_, by_loss.validation_scores_)


def test_stop_rules_and_their_names():
    x, y = rings()
    limited = quick_classifier(max_time=1e-9).fit(x, y)
    assert (limited.n_iter_, limited.stop_reason_) == (1, "time_limit")
    flat = quick_classifier(stop=stopping.GradientNorm(1e9)).fit(x, y)
    assert (flat.n_iter_, flat.stop_reason_) == (1, "gradient_norm")
    assert quick_classifier(tol=10.0, n_iter_no_change=2).fit(x, y).stop_reason_ == "plateau"
    rule = stopping.EarlyStopping(patience=2)
    with pytest.raises(ValueError, match="validation_data"):
        quick_classifier(stop=rule).fit(x, y)


def test_callbacks_see_and_stop():
    x, y = rings()
    seen = []

    def look(estimator, history):
        seen.append((history.loss[-1], estimator.predict_proba(x)))
        return len(seen) == 3

    model = quick_classifier(callbacks=look).fit(x, y)
    assert (model.n_iter_, model.stop_reason_) == (3, "callback")
    assert [loss for loss, _ in seen] == model.loss_curve_
    assert np.array_equal(seen[-1][1], model.predict_proba(x))
    assert not np.array_equal(seen[0][1], seen[1][1])
    path = callbacks.ParameterPath()
    model = quick_classifier(callbacks=[path], max_iter=4).fit(x, y)
    assert len(path.points) == 5
    assert np.array_equal(path.points[-1], model.parameters)
    with pytest.raises(ValueError, match="batches"):
        quick_classifier(callbacks=callbacks.ParameterPath("batch")).fit(x, y)


def test_training_goes_on_from_what_a_callback_changed():
    x, y = rings()

    def reset(estimator, history):
        if history.epochs == 2:
            estimator.coefs_[0][:] = 0.5

    changed = quick_classifier(callbacks=reset, max_iter=4).fit(x, y)
    plain = quick_classifier(max_iter=4).fit(x, y)
    assert changed.loss_curve_[:2] == plain.loss_curve_[:2]
    assert changed.loss_curve_[2] != plain.loss_curve_[2]


def test_a_progress_bar(capsys):
    pytest.importorskip("rich")
    quick_classifier(progress=True, max_iter=3).fit(*rings())
    assert "epoch 3/3" in capsys.readouterr().out
