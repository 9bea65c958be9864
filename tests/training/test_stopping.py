"""Stop rules: each stops where it says, says why, and leaves the right parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fastmlp import MLP, stopping
from fastmlp.optimizers import SGD
from problems import line


def network(**options):
    return MLP([3, 1], dtype=np.float64, random_state=0, **options)


# In a fit


def test_all_epochs():
    history = network().fit(*line(), epochs=3)
    assert (history.stop_reason, history.epochs) == ("epochs", 3)
    assert history.stop_message == "all 3 epochs are done"


def test_gradient_norm(backend):
    x, y = line()
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
    x, y = line()
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
        *line(),
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
        *line(), optimizer=SGD(0.3), epochs=500, stop=stopping.Plateau(tol=1e-3, n_iter_no_change=4)
    )
    assert history.stop_reason == "plateau"
    best = np.minimum.accumulate(history.loss)
    assert best[-5] - 1e-3 <= min(history.loss[-4:])
    assert history.epochs < 100


def test_early_stopping_restores_the_best_weights(backend):
    x, y = line(12)
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
    x, y = line(12)
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

    history = network().fit(*line(), epochs=99, stop=stopping.TimeLimit(1), callbacks=slow)
    assert history.stop_reason == "time_limit"
    assert 4 <= history.epochs <= 5  # the clock is looked at before the callbacks
    assert network().fit(*line(), epochs=9, stop=stopping.TimeLimit(0)).epochs == 1


def test_time_limit_cuts_an_epoch_without_changing_what_it_computes(backend, monkeypatch):
    from fastmlp._training import run as _run
    from fastmlp.stopping import _watches

    x, y = line(200)
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
        *line(), epochs=9, callbacks=lambda network, history: history.epochs == 2
    )
    assert (history.stop_reason, history.epochs) == ("callback", 2)


def test_the_first_rule_that_holds_is_the_reason():
    rules = [stopping.TimeLimit(0), stopping.Plateau(tol=1e9, n_iter_no_change=1)]
    history = network().fit(*line(), epochs=9, stop=rules)
    assert history.stop_reason == "time_limit"
    history = network().fit(*line(), epochs=9, stop=rules[::-1])
    assert (history.stop_reason, history.epochs) == ("time_limit", 1)
    history = network().fit(*line(), epochs=9, stop=[rules[1], "time_limit"])
    assert (history.stop_reason, history.epochs) == ("plateau", 2)


# Losses that are not finite


def test_a_loss_that_is_not_finite_stops_at_once_and_keeps_the_last_finite_weights(backend):
    x, y = line()
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
    x, y = line()
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
