"""Schedules: formulas, equality with torch's, composition, and what a fit makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from descents import BATCHES, EPOCHS, rates, reductions
from fastmlp import MLP, schedules
from fastmlp.optimizers import SGD
from fastmlp.schedules._rates import Rates

FORMULAS = [
    (schedules.Constant, {}, lambda t: 1),
    (schedules.InverseScaling, {"power_t": 0.3}, lambda t: (t + 1) ** -0.3),
    (schedules.InverseTime, {}, lambda t: 1 / (1 + t)),
    (
        schedules.InverseTime,
        {"decay_rate": 0.5, "decay_steps": 3},
        lambda t: 1 / (1 + 0.5 * t / 3),
    ),
    (schedules.Step, {"step_size": 4, "gamma": 0.2}, lambda t: 0.2 ** (t // 4)),
    (schedules.Exponential, {"decay_rate": 0.9, "decay_steps": 2}, lambda t: 0.9 ** (t / 2)),
    (
        schedules.Cosine,
        {"decay_steps": 8, "alpha": 0.1},
        lambda t: 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(t / 8, 1))),
    ),
    (schedules.Factor, {"function": lambda t: 1 / (t + 2)}, lambda t: 1 / (t + 2)),
    (schedules.Rate, {"function": lambda t: 1 / (t + 2)}, lambda t: 2 / (t + 2)),
]


@pytest.mark.parametrize(("kind", "constants", "formula"), FORMULAS)
def test_formulas(kind, constants, formula):
    by_epoch = rates(kind(**constants, every="epoch"))
    expected = [[0.5 * formula(epoch)] * BATCHES for epoch in range(EPOCHS)]
    np.testing.assert_allclose(by_epoch, expected, rtol=1e-14)
    by_step = rates(kind(**constants, every="step")).ravel()
    np.testing.assert_allclose(
        by_step, [0.5 * formula(step) for step in range(EPOCHS * BATCHES)], rtol=1e-14
    )


def test_by_the_epoch_is_one_number_and_by_the_step_an_array():
    by_epoch = Rates(0.1, schedules.Cosine(), 10, 7).of_epoch(3)
    assert isinstance(by_epoch, float)
    by_step = Rates(0.1, schedules.Cosine(every="step"), 10, 7).of_epoch(3)
    assert by_step.dtype == np.float64
    assert by_step.shape == (7,)


def test_the_default_span_is_the_whole_run():
    levels = rates("step")[:, 0]
    np.testing.assert_allclose(levels, [0.5] * 4 + [0.05] * 4 + [0.005] * 4)
    cosine = rates("cosine")[:, 0]
    assert cosine[0] == 0.5
    assert cosine[6] == pytest.approx(0.25)
    assert 0 < cosine[-1] < 0.02


def test_warmup_by_the_epoch_before_a_schedule_by_the_epoch():
    values = rates(schedules.Warmup(4, "step", start_factor=0.2, every="epoch"))
    assert np.ptp(values, axis=1).max() == 0
    # The rest of 8 epochs is three levels by thirds.
    expected = [0.1, 0.2, 0.3, 0.4] + [0.5] * 3 + [0.05] * 3 + [0.005] * 2
    np.testing.assert_allclose(values[:, 0], expected)


def test_warmup_by_the_step_ends_within_an_epoch():
    values = rates(schedules.Warmup(7, start_factor=0)).ravel()
    np.testing.assert_allclose(values[:7], 0.5 * np.arange(7) / 7)
    assert (values[7:] == 0.5).all()


def test_reduce_on_plateau():
    assert reductions([3, 2, 2, 2, 2, 2], factor=0.5, patience=2) == [1, 1, 1, 1, 0.5, 0.5]
    assert reductions([5, 4, 3, 2, 1, 0], patience=1) == [1] * 6
    # Less than min_delta is no improvement.
    assert reductions([5, 4.9, 4.8], factor=0.5, patience=1, min_delta=0.5) == [1, 1, 0.5]
    assert reductions([1] * 4, factor=0.1, patience=1, min_lr=0.03) == [1, 1, 0.1, 0.03]
    assert reductions([1] * 6, factor=0.5, patience=1, cooldown=2) == [1, 1, 0.5, 0.5, 0.5, 0.25]


def test_reduce_on_plateau_takes_nan_for_no_improvement():
    nan = math.nan
    assert reductions([1, nan, nan, nan], factor=0.5, patience=2) == [1, 1, 1, 0.5]
    assert reductions([nan, nan, nan], factor=0.5, patience=2) == [1, 1, 0.5]


def test_reduce_on_plateau_watches_the_validation_data_where_there_are_any():
    falling, flat = [3, 2, 1], [1, 1, 1]
    assert reductions(falling, flat, factor=0.5, patience=1) == [1, 1, 0.5]
    assert reductions(falling, flat, factor=0.5, patience=1, monitor="loss") == [1, 1, 1]


def test_reduce_on_plateau_after_a_warmup():
    schedule = schedules.Warmup(2, schedules.ReduceOnPlateau(patience=3), every="epoch")
    assert schedule.plateau == schedules.ReduceOnPlateau(patience=3)


@pytest.mark.parametrize("name", list(schedules.Schedule.registry))
def test_every_schedule_by_its_name(name):
    schedule = schedules.get(name)
    assert type(schedule).__name__.lower() == name.replace("_", "")
    values = rates(name)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    # 60 updates are not enough for the default warm-up of 100.
    assert values.max() == pytest.approx(0.5 if name != "warmup" else 0.5 * (0.01 + 0.99 * 0.59))


def test_names():
    assert set(schedules.Schedule.registry) == {
        *("constant", "inverse_scaling", "inverse_time", "step", "exponential", "cosine"),
        *("one_cycle", "warmup", "reduce_on_plateau"),
    }


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: schedules.get("linear"), ValueError, "linear"),
        (lambda: schedules.get(3), TypeError, "3"),
        (lambda: schedules.get(schedules.Cosine), TypeError, "Cosine"),
        (lambda: schedules.Cosine(every="batch"), ValueError, "batch"),
        (lambda: schedules.Cosine(decay_steps=0), ValueError, "decay_steps"),
        (lambda: schedules.Step(gamma=-1), ValueError, "gamma"),
        (lambda: schedules.OneCycle(pct_start=2), ValueError, "pct_start"),
        (lambda: schedules.Warmup(after="linear"), ValueError, "linear"),
        (lambda: schedules.InverseScaling(math.nan), ValueError, "power_t"),
        (lambda: schedules.ReduceOnPlateau(factor=3), ValueError, "factor"),
        (lambda: schedules.ReduceOnPlateau(monitor="accuracy"), ValueError, "monitor"),
        (lambda: rates(lambda epoch: 1.0 - epoch), ValueError, "not negative, got .-1.* times .2"),
        (lambda: rates(lambda epoch: math.nan), ValueError, "finite"),
    ],
)
def test_wrong_schedules(make, error, message):
    with pytest.raises(error, match=message):
        make()


# Functions, and what a fit checks


def fit(learning_rate, **options):
    x = np.random.default_rng(0).normal(size=(20, 2))
    net = MLP([2, 3, 1], random_state=0)
    before = net.parameters.copy()
    try:
        options = {"optimizer": SGD(0.4), "epochs": 4, "batch_size": 10} | options
        return net.fit(x, x[:, :1], learning_rate=learning_rate, **options).learning_rate
    except ValueError:
        np.testing.assert_array_equal(net.parameters, before)
        raise


def test_a_function_gives_the_rate_itself_and_a_factor_multiplies_it():
    assert fit(lambda epoch: 0.1 / (1 + epoch)) == [0.1, 0.1 / 2, 0.1 / 3, 0.1 / 4]
    by_factor = fit(schedules.Factor(lambda epoch: 1 / (1 + epoch)))
    assert by_factor == [0.4, 0.4 / 2, 0.4 * (1 / 3), 0.4 / 4]
    assert fit(schedules.Rate(lambda step: 1.0 + step, every="step")) == [2, 4, 6, 8]
    warmed = fit(schedules.Warmup(2, lambda epoch: 7.0 + epoch, start_factor=0, every="epoch"))
    assert warmed == [0, 0.2, 7, 8]
    assert schedules.Function is schedules.Factor


@pytest.mark.parametrize("after", [False, True])
def test_a_plateau_of_validation_data_needs_them(after):
    schedule = schedules.ReduceOnPlateau(monitor="validation_loss")
    if after:
        schedule = schedules.Warmup(2, schedule)
    with pytest.raises(ValueError, match=r"reduce_on_plateau monitors 'validation_loss'.*give"):
        fit(schedule)
    x = np.ones((3, 2))
    assert len(fit(schedule, validation_data=(x, x[:, :1]))) == 4
    assert len(fit("reduce_on_plateau")) == 4


@pytest.mark.parametrize("wrong", [3, "cosine", None])
def test_a_factor_needs_a_function(wrong):
    with pytest.raises(TypeError, match="function"):
        schedules.Factor(wrong)
