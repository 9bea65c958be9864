"""Rules of stopping without a fit: patience, scores that are NaN, names, wrong rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fastmlp import MLP, schedules, stopping
from fastmlp.history import History
from problems import line


def network(**options):
    return MLP([3, 1], dtype=np.float64, random_state=0, **options)


def watch(rule, curve, values):
    """Feed a curve to a rule; return the epoch that stops it and the parameters it leaves."""
    rule, history = rule.watch(), History()
    parameters, stopped = np.zeros(1), None
    for epoch, value in enumerate(values, 1):
        history.loss.append(value)
        if curve != "loss":
            history.metrics.setdefault(curve, []).append(value)
        parameters[0] = epoch
        if rule.epoch_ended(history, parameters) is not None:
            stopped = epoch
            break
    rule.training_ended(history, parameters)
    return stopped, int(parameters[0]), history.best_epoch


def test_patience_counts_epochs_without_improvement():
    rule = stopping.EarlyStopping("loss", patience=3)
    assert watch(rule, "loss", [5, 4, 3, 3, 3, 3, 1]) == (6, 3, 3)
    assert watch(rule, "loss", [5, 6, 6, 4, 5, 5, 5, 5]) == (7, 4, 4)
    rule = stopping.EarlyStopping("loss", patience=2, min_delta=0.5)
    assert watch(rule, "loss", [5, 4.8, 4.6, 4.4]) == (3, 1, 1)
    rule = stopping.EarlyStopping("loss", patience=2, restore_best_weights=False)
    assert watch(rule, "loss", [5, 6, 6, 6]) == (3, 3, None)


def test_a_score_that_is_nan_does_not_reset_patience():
    nan = math.nan
    rule = stopping.EarlyStopping("score", patience=3, mode="max")
    assert watch(rule, "score", [1, nan, nan, nan, 5]) == (4, 1, 1)
    assert watch(rule, "score", [nan, nan, nan]) == (3, 3, None)
    assert watch(rule, "score", [nan, 1, nan, 2, nan, nan, nan]) == (7, 4, 4)
    rule = stopping.EarlyStopping("loss", patience=3)
    assert watch(rule, "loss", [1, nan, nan, nan]) == (4, 1, 1)
    assert watch(stopping.Plateau(n_iter_no_change=2), "loss", [1, nan, nan]) == (3, 3, None)


def test_a_validation_loss_that_is_nan_does_not_reset_patience_in_a_fit():
    x, y = line()
    broken = x.copy()
    broken[0, 0] = np.nan
    with pytest.warns(RuntimeWarning, match="validation_data: X must be finite, got nan") as said:
        history = network().fit(
            *(x, y),
            epochs=50,
            validation_data=(broken, y),
            stop=stopping.EarlyStopping(patience=3),
        )
    assert said[0].filename == __file__
    assert np.isnan(history.validation_loss).all()
    assert (history.stop_reason, history.epochs) == ("early_stopping", 3)
    assert "never" in history.stop_message


def test_which_way_is_better_follows_from_the_name():
    for monitor, sign in (("validation_accuracy", 1), ("validation_rmse", -1), ("r2", 1)):
        rule = stopping.EarlyStopping(monitor, patience=1)
        assert watch(rule, monitor, [sign * 1, sign * 2, sign * 1])[0] == 3


def test_names():
    assert set(stopping.StopRule.registry) == {
        *("gradient_norm", "step_norm", "plateau", "early_stopping", "time_limit"),
    }
    for name, kind in stopping.StopRule.registry.items():
        assert stopping.get(name) == [kind()]
        assert kind.reason == name


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: stopping.get("patience"), ValueError, "patience"),
        (lambda: stopping.get([3]), TypeError, "3"),
        (lambda: stopping.get(stopping.Plateau), TypeError, "Plateau"),
        (lambda: stopping.GradientNorm(-1), ValueError, "epsilon"),
        (lambda: stopping.StepNorm(0), ValueError, "theta"),
        (lambda: stopping.Plateau(n_iter_no_change=0), ValueError, "n_iter_no_change"),
        (lambda: stopping.EarlyStopping(patience=0), ValueError, "patience"),
        (lambda: stopping.EarlyStopping(mode="best"), ValueError, "mode"),
        (lambda: stopping.EarlyStopping(min_delta=math.nan), ValueError, "min_delta"),
        (lambda: stopping.TimeLimit(-1), ValueError, "seconds"),
        (
            lambda: network().fit(*line(), stop="early_stopping"),
            ValueError,
            "validation_data",
        ),
        (
            lambda: network().fit(*line(), stop=stopping.EarlyStopping("accuracy")),
            ValueError,
            "accuracy",
        ),
        (lambda: stopping.TimeLimit("60"), TypeError, "seconds must be a number"),
        (lambda: stopping.StepNorm(None), TypeError, "theta must be a number"),
        (lambda: stopping.Plateau(n_iter_no_change=2.5), TypeError, "n_iter_no_change"),
        (lambda: stopping.EarlyStopping(3), TypeError, "monitor must be the name"),
        (lambda: schedules.Step(gamma="a"), TypeError, "gamma must be a number"),
        (lambda: schedules.Exponential(decay_steps=None), TypeError, "decay_steps must be"),
        (lambda: schedules.OneCycle(div_factor=None), TypeError, "div_factor must be a number"),
        (lambda: network().fit(*line(), callbacks=3), TypeError, "callbacks must be"),
    ],
)
def test_wrong_rules(make, error, message):
    with pytest.raises(error, match=message):
        make()
