"""Stop rules: each stops where it says, says why, and leaves the right parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fastmlp import MLP, schedules, stopping
from fastmlp.history import History
from fastmlp.optimizers import SGD


def data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, x @ [1.0, -2, 0.5] + 0.3


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


# In a fit


def test_all_epochs():
    history = network().fit(*data(), epochs=3)
    assert (history.stop_reason, history.epochs) == ("epochs", 3)
    assert history.stop_message == "all 3 epochs are done"


def test_gradient_norm(backend):
    x, y = data()
    net = network()
    history = net.fit(
        *(x, y),
        optimizer=SGD(0.3),
        batch_size="full",
        epochs=500,
        stop=stopping.GradientNorm(1e-3),
    )
    assert history.stop_reason == "gradient_norm"
    assert history.gradient_norm[-1] <= 1e-3 < history.gradient_norm[-2]
    assert "0.001" in history.stop_message


def test_gradient_norm_is_that_of_the_whole_cost_before_the_last_step(backend):
    x, y = data()
    net = network()
    before = []
    history = net.fit(
        *(x, y),
        optimizer=SGD(0.1),
        batch_size="full",
        l2=0.2,
        epochs=4,
        track_gradient_norm=True,
        callbacks=lambda network, history: before.append(network.parameters.copy()),
    )
    net.parameters[:] = before[2]
    _, ((dw, db),) = net.loss_and_gradients(x, y)
    dw = dw + 0.2 * net.weights[0]
    expected = math.hypot(np.linalg.norm(dw), np.linalg.norm(db))
    assert history.gradient_norm[3] == pytest.approx(expected, rel=1e-10)


def test_step_norm(backend):
    history = network().fit(
        *data(),
        optimizer=SGD(0.2),
        learning_rate="inverse_scaling",
        batch_size="full",
        epochs=500,
        stop=stopping.StepNorm(1e-3),
    )
    assert history.stop_reason == "step_norm"
    steps = np.multiply(history.learning_rate, history.gradient_norm)
    assert steps[-1] < 1e-3 <= steps[-2]


def test_plateau(backend):
    history = network().fit(
        *data(), optimizer=SGD(0.3), epochs=500, stop=stopping.Plateau(tol=1e-3, n_iter_no_change=4)
    )
    assert history.stop_reason == "plateau"
    best = np.minimum.accumulate(history.loss)
    assert best[-5] - 1e-3 <= min(history.loss[-4:])
    assert history.epochs < 100


def test_early_stopping_restores_the_best_weights(backend):
    x, y = data(12)
    rng = np.random.default_rng(1)
    x_val, y_val = rng.normal(size=(30, 3)), rng.normal(size=30)
    net = MLP([3, 16, 1], "tanh", dtype=np.float64, random_state=0)
    seen = []
    history = net.fit(
        *(x, y),
        optimizer=SGD(0.1),
        epochs=500,
        validation_data=(x_val, y_val),
        stop=stopping.EarlyStopping(patience=5),
        callbacks=lambda network, history: seen.append(network.parameters.copy()),
    )
    best = int(np.argmin(history.validation_loss))
    assert history.stop_reason == "early_stopping"
    assert history.epochs == best + 1 + 5
    assert history.best_epoch == best + 1
    assert np.array_equal(net.parameters, seen[best])
    assert net.loss(x_val, y_val) == history.validation_loss[best]
    assert f"in epoch {best + 1}" in history.stop_message


def test_early_stopping_restores_also_where_the_epochs_end_first():
    x, y = data(12)
    net = MLP([3, 16, 1], "tanh", dtype=np.float64, random_state=0)
    rng = np.random.default_rng(1)
    held_out = rng.normal(size=(30, 3)), rng.normal(size=30)
    history = net.fit(x, y, optimizer=SGD(0.1), epochs=40, validation_data=held_out)
    best = int(np.argmin(history.validation_loss)) + 1
    again = MLP([3, 16, 1], "tanh", dtype=np.float64, random_state=0)
    stopped = again.fit(
        *(x, y),
        optimizer=SGD(0.1),
        epochs=best + 2,
        validation_data=held_out,
        stop="early_stopping",
    )
    assert stopped.stop_reason == "epochs"
    assert stopped.best_epoch == best
    assert again.loss(*held_out) == stopped.validation_loss[best - 1]


def test_early_stopping_by_a_score(backend):
    rng = np.random.default_rng(2)
    x, labels = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    history = MLP([3, 8, 2], output="softmax", random_state=0).fit(
        *(x, labels),
        epochs=200,
        validation_data=(x[:20], labels[:20]),
        metrics=["accuracy"],
        stop=stopping.EarlyStopping("validation_accuracy", patience=8),
    )
    curve = history.metrics["validation_accuracy"]
    assert history.stop_reason == "early_stopping"
    assert history.best_epoch == int(np.argmax(curve)) + 1 == history.epochs - 8


class Clock:
    """A clock on which every look takes a moment."""

    def __init__(self, tick):
        self.now, self.tick = 0.0, tick

    def perf_counter(self):
        self.now += self.tick
        return self.now


def test_time_limit(monkeypatch):
    from fastmlp._training import run as _run
    from fastmlp.stopping import _watches

    clock = Clock(1e-9)
    for module in (_run, _watches):
        monkeypatch.setattr(module, "time", clock)

    def slow(network, history):
        clock.now += 0.25

    history = network().fit(*data(), epochs=99, stop=stopping.TimeLimit(1), callbacks=slow)
    assert history.stop_reason == "time_limit"
    assert 4 <= history.epochs <= 5  # the clock is looked at before the callbacks
    assert network().fit(*data(), epochs=9, stop=stopping.TimeLimit(0)).epochs == 1


def test_time_limit_cuts_an_epoch_without_changing_what_it_computes(backend, monkeypatch):
    from fastmlp._training import run as _run
    from fastmlp.stopping import _watches

    x, y = data(200)
    options = {"optimizer": SGD(0.05), "batch_size": 2, "shuffle": False, "epochs": 3}
    # Pieces of 1, 2, 4, … of the 100 steps, each a millisecond long.
    for module in (_run, _watches):
        monkeypatch.setattr(module, "time", Clock(1e-3))
    whole, cut, short = network(), network(), network()
    expected = whole.fit(x, y, **options)
    history = cut.fit(x, y, stop=stopping.TimeLimit(1e9), **options)
    np.testing.assert_allclose(cut.parameters, whole.parameters, rtol=1e-12)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
    # 15 steps in pieces of 1, 2, 4 and 8 are done when the time is over.
    for module in (_run, _watches):
        monkeypatch.setattr(module, "time", Clock(1e-2))
    watching = _watches.time
    monkeypatch.setattr(_run, "time", watching)
    history = short.fit(x, y, stop=stopping.TimeLimit(0.055), **options)
    assert (history.epochs, history.stop_reason) == (1, "time_limit")
    part = network()
    part.fit(x[:30], y[:30], **{**options, "epochs": 1})
    np.testing.assert_allclose(short.parameters, part.parameters, rtol=1e-12)


def test_a_callback():
    history = network().fit(
        *data(), epochs=9, callbacks=lambda network, history: history.epochs == 2
    )
    assert (history.stop_reason, history.epochs) == ("callback", 2)


def test_the_first_rule_that_holds_is_the_reason():
    rules = [stopping.TimeLimit(0), stopping.Plateau(tol=1e9, n_iter_no_change=1)]
    history = network().fit(*data(), epochs=9, stop=rules)
    assert history.stop_reason == "time_limit"
    history = network().fit(*data(), epochs=9, stop=rules[::-1])
    assert (history.stop_reason, history.epochs) == ("time_limit", 1)
    history = network().fit(*data(), epochs=9, stop=[rules[1], "time_limit"])
    assert (history.stop_reason, history.epochs) == ("plateau", 2)


# Losses that are not finite


def test_a_loss_that_is_not_finite_stops_at_once_and_keeps_the_last_finite_weights(backend):
    x, y = data()
    net = network()
    seen = []
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match=r"the loss became .* in"):
        history = net.fit(
            *(x, y),
            optimizer=SGD(1e30),
            epochs=50,
            validation_data=(x, y),
            callbacks=lambda network, history: seen.append(network.parameters.copy()),
        )
    assert history.stop_reason == "non_finite_loss"
    assert not math.isfinite(history.loss[-1])
    assert np.isfinite(history.loss[:-1]).all()
    assert f"in epoch {history.epochs}" in history.stop_message
    assert np.isfinite(net.parameters).all()
    finite = [p for p in seen if np.isfinite(p).all()]
    assert np.array_equal(net.parameters, finite[-1])
    assert len(history.validation_loss) == history.epochs == len(seen)


def test_parameters_that_overflow_in_the_last_step_are_found(backend):
    # The loss of the only epoch is measured before the step that breaks the weights.
    net = network()
    before = net.parameters.copy()
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="infinite in epoch 1"):
        history = net.fit(
            [[1e150, 0, 0]], [1.0], optimizer=SGD(1e200), epochs=1, loss="squared_error"
        )
    assert history.stop_reason == "non_finite_loss"
    assert math.isfinite(history.loss[0])
    assert np.array_equal(net.parameters, before)


def test_the_best_weights_survive_a_loss_that_is_not_finite():
    x, y = data()
    net = network()

    def explode(network, history):
        if history.epochs == 4:
            network.parameters[:] = 1e200

    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="epoch 5"):
        history = net.fit(
            *(x, y),
            epochs=9,
            validation_data=(x, y),
            stop="early_stopping",
            callbacks=explode,
        )
    assert history.best_epoch == 4
    assert net.loss(x, y) == history.validation_loss[3]


# Rules on curves


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
    x, y = data()
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
            lambda: network().fit(*data(), stop="early_stopping"),
            ValueError,
            "validation_data",
        ),
        (
            lambda: network().fit(*data(), stop=stopping.EarlyStopping("accuracy")),
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
        (lambda: network().fit(*data(), callbacks=3), TypeError, "callbacks must be"),
    ],
)
def test_wrong_rules(make, error, message):
    with pytest.raises(error, match=message):
        make()
