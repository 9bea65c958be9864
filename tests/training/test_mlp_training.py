"""Training a network: wrong arguments change nothing; epochs, callbacks, interruptions."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from fastmlp import MLP
from fastmlp.callbacks import Callback
from fastmlp.optimizers import SGD, Adam
from problems import data

# Wrong arguments


@pytest.mark.parametrize(
    ("output", "y", "message"),
    [
        ("softmax", [0, 1, 3], "0…2"),
        ("softmax", [0, -1, 2], "0…2"),
        ("softmax", [0, 1], "same number of rows"),
        ("softmax", [0.0, 1.0, 2.0], "integer class labels"),
        ("softmax", np.ones((3, 2)), r"\(3, 3\)"),
        ("softmax", -np.ones((3, 3)), "probabilities"),
        ("sigmoid", 2 * np.ones((3, 3)), "0…1"),
        ("identity", np.full((3, 3), np.nan), r"finite, got nan at index \(0, 0\)"),
        ("identity", 1.0, "rows"),
    ],
)
def test_wrong_targets(output, y, message):
    net = MLP([2, 3], output=output, random_state=0)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=message):
        net.fit(np.ones((3, 2)), y)
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"X": np.full((3, 2), np.inf)}, ValueError, "finite"),
        ({"X": np.ones((0, 2)), "y": []}, ValueError, "no rows"),
        ({"y": ["a", "b", "c"]}, TypeError, "MLPClassifier"),
        ({"loss": "cubed_error"}, ValueError, "cubed_error"),
        ({"loss": "cross_entropy"}, ValueError, "softmax"),
        ({"optimizer": "tiger"}, ValueError, "tiger"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"epochs": 1.5}, TypeError, "float"),
        ({"l2": -1}, ValueError, "l2"),
        ({"sample_weight": [1, 2]}, ValueError, r"\(3,\)"),
        ({"sample_weight": [1, -1, 1]}, ValueError, "negative"),
        ({"sample_weight": [0, 0, 0]}, ValueError, "zero"),
        ({"validation_data": ([[1, 2]],)}, ValueError, "validation_data"),
        ({"validation_data": ([[1]], [1])}, ValueError, r"\(1, 1\)"),
        ({"X": [[1, 2], [3]]}, ValueError, "X must be an array"),
        ({"shuffle": "no"}, TypeError, "shuffle must be True or False"),
        ({"verbose": "a"}, TypeError, "verbose must be an integer"),
        ({"callbacks": [3]}, TypeError, "callback"),
    ],
)
def test_wrong_options_of_fit_change_nothing(options, error, message):
    net = MLP([2, 1], random_state=0)
    before = net.parameters.copy()
    arguments = {"X": np.ones((3, 2)), "y": np.ones(3), **options}
    with pytest.raises(error, match=message):
        net.fit(**arguments)
    assert np.array_equal(net.parameters, before)


# Training


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
def test_overfits_a_tiny_set(backend, dtype, output):
    x, labels = data(n=12, n_out=3)
    net = MLP([4, 24, 3], "tanh", output, dtype=dtype, random_state=0)
    history = net.fit(x, np.eye(3)[labels], optimizer=Adam(0.02), epochs=300, batch_size=6)
    assert history.epochs == 300
    assert history.loss[-1] < 0.02 < history.loss[0]
    assert net.predict(x).dtype == dtype
    assert np.array_equal(net.predict(x).argmax(1), labels)


def test_an_epoch_is_the_steps_of_its_batches(backend):
    x, y = data(n=10)
    net = MLP([4, 5, 3], "tanh", "softmax", dtype=np.float64, random_state=0)
    expected = copy.deepcopy(net)
    losses = []
    for start in (0, 4, 8):
        rows = slice(start, start + 4)
        value, gradients = expected.loss_and_gradients(x[rows], y[rows])
        value += 0.5 * 0.1 * sum((w**2).sum() for w in expected.weights)
        losses += [value] * len(y[rows])
        for level, (dw, db) in enumerate(gradients):
            expected.weights[level] -= 0.3 * (dw + 0.1 * expected.weights[level])
            expected.biases[level] -= 0.3 * db
    history = net.fit(x, y, optimizer=SGD(0.3), batch_size=4, epochs=1, shuffle=False, l2=0.1)
    assert history.loss == [pytest.approx(np.mean(losses), rel=1e-12)]
    np.testing.assert_allclose(net.parameters, expected.parameters, rtol=1e-10, atol=1e-13)


def test_shuffles_follow_the_seed_and_are_not_repeated():
    x, y = data()

    def curves():
        net = MLP([4, 5, 3], output="softmax", random_state=3)
        start = net.parameters.copy()
        runs = []
        for _ in range(2):
            net.parameters[:] = start
            runs.append(net.fit(x, y, batch_size=5, epochs=2).loss)
        return runs

    first, second = curves()
    assert first != second
    assert curves() == [first, second]


def test_zero_epochs_change_nothing():
    net = MLP([4, 3], random_state=0)
    before = net.parameters.copy()
    history = net.fit(*data(), epochs=0)
    assert history.epochs == 0
    assert repr(history) == "History(no epochs)"
    assert np.array_equal(net.parameters, before)


def test_validation_loss_is_that_of_the_epochs_end():
    x, y = data()
    net = MLP([4, 5, 3], output="softmax", random_state=0)
    seen = []
    history = net.fit(
        x,
        y,
        epochs=3,
        validation_data=(x[:9], y[:9]),
        callbacks=lambda network, history: seen.append(network.loss(x[:9], y[:9])),
    )
    assert history.validation_loss == seen
    assert len(set(seen)) == 3
    assert history.to_dict() == {
        "epochs": 3,
        "loss": history.loss,
        "validation_loss": seen,
        "seconds": history.seconds,
        "metrics": {},
        "learning_rate": [0.001] * 3,
        "gradient_norm": [],
        "stop_reason": "epochs",
        "stop_message": "all 3 epochs are done",
        "best_epoch": None,
    }


def test_weights_of_rows_act_like_repeated_rows():
    x, y = data(n=6)
    weighted, repeated = (
        MLP([4, 5, 3], output="softmax", dtype=np.float64, random_state=0) for _ in range(2)
    )
    weight = np.array([1, 2, 0, 3, 1, 1])
    options = {"batch_size": 100, "epochs": 5, "shuffle": False}
    weighted.fit(x, y, sample_weight=weight, **options)
    repeated.fit(np.repeat(x, weight, axis=0), np.repeat(y, weight), **options)
    np.testing.assert_allclose(weighted.parameters, repeated.parameters, rtol=1e-8, atol=1e-10)


def test_a_callback_stops_training():
    net = MLP([4, 3], output="softmax")
    history = net.fit(*data(), epochs=50, callbacks=[lambda network, history: history.epochs == 4])
    assert history.epochs == 4


def test_callback_objects_are_called_in_order():
    calls = []

    class Log(Callback):
        def on_train_begin(self, network, history):
            calls.append(("begin", history.epochs))

        def on_epoch_end(self, network, history):
            calls.append(("epoch", history.epochs))

        def on_train_end(self, network, history):
            calls.append(("end", history.epochs))

    MLP([4, 3], output="softmax").fit(*data(), epochs=2, callbacks=Log())
    assert calls == [("begin", 0), ("epoch", 1), ("epoch", 2), ("end", 2)]


def test_what_a_callback_changes_is_trained_on(backend):
    x, y = data()
    changed, in_two_fits = (
        MLP([4, 5, 3], output="softmax", dtype=np.float64, random_state=0) for _ in range(2)
    )

    def halve(network, history):
        network.weights[0] *= 0.5

    options = {"optimizer": SGD(0.5), "shuffle": False}
    changed.fit(x, y, epochs=2, callbacks=halve, **options)
    for _ in range(2):
        in_two_fits.fit(x, y, epochs=1, **options)
        in_two_fits.weights[0] *= 0.5
    # The last change comes after training and stays as well.
    np.testing.assert_array_equal(changed.parameters, in_two_fits.parameters)


def test_what_a_callback_changes_keeps_the_optimizers_state(backend):
    net = MLP([1, 1], dtype=np.float64)
    net.weights[0] = [[1.0]]

    def double(network, history):
        network.parameters[:] *= 2

    net.fit([[2.0]], [1.0], optimizer=SGD(0.1, momentum=0.5), epochs=2, callbacks=double)
    p, v = np.array([1.0, 0.0]), np.zeros(2)
    for _ in range(2):
        residual = 2 * p[0] + p[1] - 1
        v = 0.5 * v - 0.1 * residual * np.array([2, 1])
        p = 2 * (p + v)
    np.testing.assert_allclose(net.parameters, p, rtol=1e-12)


def test_training_is_said_to_end_also_after_an_exception():
    ended = []

    class Failing(Callback):
        def on_epoch_end(self, network, history):
            raise RuntimeError("stop here")

        def on_train_end(self, network, history):
            ended.append(history.epochs)

    with pytest.raises(RuntimeError, match="stop here"):
        MLP([4, 3], output="softmax").fit(*data(), callbacks=Failing())
    assert ended == [1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_the_last_epoch(backend, error):
    x, y = data()
    interrupted, short = (MLP([4, 5, 3], output="softmax", random_state=0) for _ in range(2))

    seen = []

    def interrupt(network, history):
        seen.append(history)
        if history.epochs == 3:
            raise error

    with pytest.raises(error):
        interrupted.fit(x, y, epochs=10, callbacks=interrupt)
    assert seen[-1].stop_reason == "interrupted"
    short.fit(x, y, epochs=3)
    assert np.array_equal(interrupted.parameters, short.parameters)
    assert not np.array_equal(short.parameters, MLP([4, 5, 3], random_state=0).parameters)


def test_divergence_stops_with_a_warning():
    x, y = data()
    net = MLP([4, 5, 3], "identity", random_state=0)
    with (
        np.errstate(all="ignore"),
        pytest.warns(RuntimeWarning, match=r"the loss became (inf|nan) in epoch \d+"),
    ):
        history = net.fit(1e3 * x, y, optimizer=SGD(10.0), epochs=200)
    assert history.epochs < 200


def test_verbose_prints_a_line_per_epoch(capsys):
    x, y = data()
    history = MLP([4, 3], output="softmax").fit(x, y, epochs=2, verbose=1, validation_data=(x, y))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"epoch 2/2  loss {history.loss[1]:.6g}  validation loss")
    MLP([4, 3]).fit(x, y, epochs=2)
    assert capsys.readouterr().out == ""
