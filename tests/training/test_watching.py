"""Watching a fit: metrics, history, callbacks for batches, progress."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from fastmlp.callbacks import Callback, ParameterPath, ProgressBar, progress
from fastmlp.optimizers import SGD, Adam
from problems import assert_same, data, network

# Metrics and history


def test_metrics_of_training_and_validation_rows():
    x, y = data(40)
    net = network()
    history = net.fit(
        *(x[:30], y[:30]),
        epochs=3,
        metrics=["accuracy", "balanced_accuracy", "f1", "log_loss"],
        validation_data=(x[30:], y[30:]),
    )
    names = ["accuracy", "balanced_accuracy", "f1", "log_loss"]
    assert list(history.metrics) == names + [f"validation_{name}" for name in names]
    assert all(len(curve) == 3 for curve in history.metrics.values())
    right = net.predict(x).argmax(1) == y
    assert history.metrics["accuracy"][-1] == right[:30].mean()
    assert history.metrics["validation_accuracy"][-1] == right[30:].mean()
    # The loss of cross-entropy is the log loss, but for clipping.
    assert history.metrics["validation_log_loss"] == pytest.approx(history.validation_loss)


def test_metrics_of_values_and_of_several_kinds_of_targets():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    history = network((4, 2), "identity").fit(x, y, epochs=1, metrics=["r2", "mae", "rmse"])
    assert list(history.metrics) == ["r2", "mae", "rmse"]
    net = network((4, 1), "sigmoid")
    labels = (x[:, 0] > 0).astype(int)
    history = net.fit(x, labels, epochs=1, metrics=["accuracy", "f1", "log_loss"])
    assert history.metrics["accuracy"] == [np.mean((net.predict(x)[:, 0] >= 0.5) == labels)]
    several = (x[:, :3] > 0).astype(int)
    net = network((4, 3), "sigmoid")
    history = net.fit(x, several, epochs=1, metrics=["accuracy", "f1"])
    agree = (net.predict(x) >= 0.5) == several
    assert history.metrics["accuracy"] == [agree.all(axis=1).mean()]
    with pytest.raises(ValueError, match="probabilities"):
        net.fit(x, several, metrics="log_loss")
    with pytest.raises(ValueError, match="classes"):
        network((4, 2), "identity").fit(x, y, metrics="accuracy")


def test_metrics_by_functions():
    x, y = data()
    net = network()
    seen = []

    def share_of_zeros(y_true, y_pred):
        seen.append((y_true, y_pred))
        return np.mean(y_pred == 0)

    history = net.fit(x, y, epochs=2, metrics=share_of_zeros)
    assert history.metrics["share_of_zeros"][-1] == np.mean(net.predict(x).argmax(1) == 0)
    assert np.array_equal(seen[0][0], y)


def test_metrics_use_the_weights_of_rows():
    x, y = data()
    weight = np.random.default_rng(0).uniform(0, 2, 30)
    net = network()
    history = net.fit(x, y, epochs=1, sample_weight=weight, metrics="accuracy")
    right = net.predict(x).argmax(1) == y
    assert history.metrics["accuracy"] == [pytest.approx(np.average(right, weights=weight))]


def test_history_is_lists_rows_and_a_table():
    x, y = data()
    history = network().fit(x, y, epochs=12, validation_data=(x, y), metrics="accuracy")
    names = ["loss", "validation_loss", "learning_rate", "seconds"]
    names += ["accuracy", "validation_accuracy"]
    assert list(history.curves()) == names
    rows = history.rows()
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert rows[4]["loss"] == history.loss[4]
    lines = history.table(every=5).splitlines()
    assert lines[0].split() == ["epoch", *names]
    assert [line.split()[0] for line in lines[1:]] == ["1", "6", "11", "12"]
    assert len({len(line) for line in lines}) == 1
    assert json.loads(json.dumps(history.to_dict()))["metrics"]["accuracy"] == history.curve(
        "accuracy"
    )
    with pytest.raises(ValueError, match="curves"):
        history.curve("recall")
    with pytest.raises(ValueError, match="every"):
        history.table(every=0)


# Callbacks for batches


class Batches(Callback):
    def __init__(self):
        self.seen = []

    def on_batch_end(self, network, history, batch, loss):
        self.seen.append((history.epochs, batch, loss, network.parameters.copy()))


@pytest.mark.parametrize("options", [{}, {"dropout": 0.4}, {"learning_rate": "one_cycle"}])
def test_a_callback_for_batches_sees_every_update_and_changes_nothing(backend, options):
    x, y = data(20)
    plain, watched = network(), network()
    options = {"optimizer": Adam(0.01), "batch_size": 8, "epochs": 2, "l2": 0.1, **options}
    expected = plain.fit(x, y, **options)
    spy = Batches()
    history = watched.fit(x, y, callbacks=spy, **options)
    assert [(epoch, batch) for epoch, batch, _, _ in spy.seen] == [
        (epoch, batch) for epoch in (0, 1) for batch in (0, 1, 2)
    ]
    np.testing.assert_allclose(watched.parameters, plain.parameters, rtol=1e-12)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
    assert history.learning_rate == expected.learning_rate
    losses = [loss for _, _, loss, _ in spy.seen[:3]]
    assert history.loss[0] == pytest.approx((8 * losses[0] + 8 * losses[1] + 4 * losses[2]) / 20)
    assert np.array_equal(spy.seen[-1][3], watched.parameters)
    assert not np.array_equal(spy.seen[0][3], spy.seen[1][3])


def test_what_a_callback_for_batches_changes_is_trained_on():
    class Halve(Callback):
        def on_batch_end(self, network, history, batch, loss):
            network.parameters[:] *= 0.5

    x, y = data(16)
    net, expected = network(), network()
    net.fit(x, y, optimizer=SGD(0.1), batch_size=8, epochs=1, shuffle=False, callbacks=Halve())
    for rows in (slice(0, 8), slice(8, 16)):
        expected.fit(x[rows], y[rows], optimizer=SGD(0.1), batch_size=8, epochs=1, shuffle=False)
        expected.parameters[:] *= 0.5
    assert_same(net, expected)


def test_no_python_between_batches_without_a_callback_for_them(monkeypatch):
    calls = []
    from fastmlp import kernels

    make = kernels.trainer

    def spied(*arguments, **options):
        trainer = make(*arguments, **options)
        run = trainer.run_epoch

        class Spy:
            def __getattr__(self, name):
                return getattr(trainer, name)

            def run_epoch(self, *arguments, **options):
                calls.append(1)
                return run(*arguments, **options)

        return Spy()

    monkeypatch.setattr(kernels, "trainer", spied)
    with kernels.use_backend("reference"):
        network().fit(*data(), epochs=3, batch_size=4, learning_rate="one_cycle", callbacks=[print])
    assert len(calls) == 3


def test_parameter_path():
    x, y = data(20)
    net = network()
    start = net.parameters.copy()
    epochs, batches = ParameterPath(), ParameterPath(every="batch")
    net.fit(x, y, epochs=2, batch_size=8, callbacks=[epochs, batches])
    assert (len(epochs.points), len(batches.points)) == (3, 7)
    assert np.array_equal(epochs.points[0], start)
    for path in (epochs, batches):
        assert np.array_equal(path.points[-1], net.parameters)
    with pytest.raises(ValueError, match="step"):
        ParameterPath(every="step")


@pytest.mark.parametrize("hidden", [(), ("rich",), ("rich", "tqdm")])
def test_progress_bar(capsys, monkeypatch, hidden):
    from fastmlp import callbacks

    monkeypatch.setattr(
        callbacks, "find_spec", lambda name: None if name in hidden else find_spec(name)
    )
    from importlib.util import find_spec

    x, y = data()
    network().fit(x, y, epochs=3, validation_data=(x, y), callbacks=ProgressBar(3))
    out = "".join(capsys.readouterr())
    assert "validation loss" in out
    assert "3/3" in out
    if hidden == ("rich", "tqdm"):
        assert len(out.splitlines()) == 3


def test_verbose_is_a_bar_on_terminals_only(monkeypatch):
    assert type(progress(3, 1)).__name__ == "ProgressLine"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert type(progress(3, 1)).__name__ == "ProgressBar"
    assert type(progress(3, 2)).__name__ == "ProgressLine"
