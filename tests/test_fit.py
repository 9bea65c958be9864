"""What ``fit`` offers around the engine: weights, regularisation, metrics, callbacks, tasks."""

from __future__ import annotations

import copy
import json
import sys

import numpy as np
import pytest
from fastmlp import MLP, activations, losses, optimizers, schedules
from fastmlp.callbacks import Callback, ParameterPath, ProgressBar, progress
from fastmlp.kernels import Loss
from fastmlp.optimizers import SGD, Adam
from support import require


def data(n=30, n_in=4, n_out=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_in)), rng.integers(n_out, size=n)


def network(sizes=(4, 5, 3), output="softmax", **options):
    return MLP(sizes, "tanh", output, **{"dtype": np.float64, "random_state": 0, **options})


def fitted(net, *arguments, **options):
    """A copy of the network after a fit of two epochs."""
    net = copy.deepcopy(net)
    net.fit(*arguments, **{"epochs": 2, "batch_size": 8, "optimizer": SGD(0.1), **options})
    return net


def assert_same(one, other):
    np.testing.assert_allclose(one.parameters, other.parameters, rtol=1e-10, atol=1e-13)


# Weights of rows and classes


@pytest.mark.parametrize("given", ["labels", "one-hot", "smooth"])
def test_class_weights_are_weights_of_rows(backend, given):
    x, labels = data()
    y = labels if given == "labels" else np.eye(3)[labels]
    weight = np.array([0.5, 1.0, 4.0])
    if given == "smooth":
        with pytest.raises(ValueError, match="one class a row"):
            network().fit(x, y * 0.9 + 0.05, class_weight={0: 0.5})
        return
    by_class = fitted(network(), x, y, class_weight={0: 0.5, 2: 4.0})
    assert_same(by_class, fitted(network(), x, y, sample_weight=weight[labels]))
    rows = np.random.default_rng(1).uniform(0.5, 2, len(x))
    both = fitted(network(), x, y, class_weight={0: 0.5, 2: 4.0}, sample_weight=rows)
    assert_same(both, fitted(network(), x, y, sample_weight=rows * weight[labels]))


def test_balanced_class_weights_are_scikit_learns():
    utils = pytest.importorskip("sklearn.utils.class_weight")
    x, labels = data()
    labels[labels == 1] = 2  # class 1 does not occur
    rows = utils.compute_sample_weight("balanced", labels)
    balanced = fitted(network(), x, labels, class_weight="balanced")
    assert_same(balanced, fitted(network(), x, labels, sample_weight=rows))


@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_class_weights_of_one_output(output):
    x, y = data(n_out=2)
    net = network((4, 5, 1), output)
    rows = np.array([1.0, 3.0])[y]
    assert_same(fitted(net, x, y, class_weight={1: 3.0}), fitted(net, x, y, sample_weight=rows))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("equal", ValueError, "balanced"),
        ([1, 2, 3], TypeError, "dict"),
        ({0: -1}, ValueError, "negative"),
        ({0.5: 1}, ValueError, "whole numbers"),
        ({0: 0, 1: 0, 2: 0}, ValueError, "zero"),
    ],
)
def test_wrong_class_weights(value, error, message):
    with pytest.raises(error, match=message):
        network().fit(*data(), class_weight=value)


def test_a_batch_whose_weights_are_all_zero_changes_nothing_but_the_penalty(backend):
    x, y = data(16)
    weight = np.r_[np.zeros(8), np.ones(8)]
    net = network()
    expected = copy.deepcopy(net)
    for w in expected.weights:
        w *= 1 - 0.1 * 0.5  # the step of the first batch: the penalty's alone
    expected = fitted(expected, x[8:], y[8:], epochs=1, l2=0.5, shuffle=False)
    history = net.fit(
        *(x, y),
        sample_weight=weight,
        batch_size=8,
        epochs=1,
        optimizer=SGD(0.1),
        l2=0.5,
        shuffle=False,
    )
    assert np.isfinite(history.loss).all()
    assert_same(net, expected)


def test_all_zero_weights_in_every_loss(backend):
    x, y = data(8)
    for loss, output in (("cross_entropy", "softmax"), ("hinge", "identity")):
        require(loss)
        net = network(output=output)
        before = net.parameters.copy()
        net.fit(x, y, loss=loss, sample_weight=np.r_[np.zeros(7), 1.0], batch_size=7, epochs=1)
        assert np.isfinite(net.parameters).all()
        assert not np.array_equal(net.parameters, before)


# Losses


@pytest.mark.parametrize(
    ("loss", "output"), [("cross_entropy", "softmax"), ("binary_cross_entropy", "sigmoid")]
)
def test_label_smoothing_spreads_the_targets(backend, loss, output):
    require("label_smoothing")
    x, labels = data()
    y, share = np.eye(3)[labels], 0.2
    spread = y * (1 - share) + share / (3 if output == "softmax" else 2)
    net = network(output=output)
    smooth = fitted(net, x, labels, label_smoothing=share)
    assert_same(smooth, fitted(net, x, spread))
    assert_same(smooth, fitted(net, x, y, loss=Loss(loss, {"label_smoothing": share})))


def test_label_smoothing_is_for_cross_entropies():
    with pytest.raises(ValueError, match="label_smoothing"):
        network(output="identity").fit(*data(), label_smoothing=0.1)
    with pytest.raises(ValueError, match="label_smoothing"):
        network().fit(*data(), label_smoothing=1.0)


def test_loss_and_gradient_of_several_outputs_agree(backend):
    # The loss sums over outputs, so that its gradient does not shrink with their number.
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 3))
    net = network(output="identity")
    value, gradients = net.loss_and_gradients(x, y)
    assert value == pytest.approx(0.5 * np.square(net.predict(x) - y).sum() / 9, rel=1e-12)
    step = 1e-6
    net.biases[1][2] += step
    above = net.loss(x, y)
    net.biases[1][2] -= 2 * step
    assert gradients[1][1][2] == pytest.approx((above - net.loss(x, y)) / (2 * step), abs=1e-8)


def test_hinge_takes_labels_zeros_and_signs(backend):
    require("hinge", "squared_hinge")
    x, labels = data()
    for loss in ("hinge", "squared_hinge"):
        net = network(output="identity")
        signs = 2 * np.eye(3)[labels] - 1
        expected = net.loss(x, signs, loss)
        assert net.loss(x, labels, loss) == pytest.approx(expected, rel=1e-12)
        assert net.loss(x, np.eye(3)[labels], loss) == pytest.approx(expected, rel=1e-12)
        one = network((4, 1), "identity")
        yes = (labels == 1).astype(int)
        assert one.loss(x, yes, loss) == one.loss(x, 2 * yes - 1, loss)
        with pytest.raises(ValueError, match="-1 and 1"):
            one.loss(x, labels, loss)


def test_poisson_needs_counts(backend):
    require("poisson", "exp")
    net = network((4, 1), "exp")
    assert net.loss(np.ones((2, 4)), [0, 3]) == net.loss(np.ones((2, 4)), [0, 3], "poisson")
    with pytest.raises(ValueError, match="negative"):
        net.loss(np.ones((2, 4)), [-1, 3])


# Regularisation


def test_l1_and_l2_are_in_loss_and_step(backend):
    require("l1")
    x, y = data()
    net = network()
    value, gradients = net.loss_and_gradients(x, y)
    expected = copy.deepcopy(net)
    for level, (dw, db) in enumerate(gradients):
        w = net.weights[level]
        expected.weights[level] -= 0.1 * (dw + 0.02 * np.sign(w) + 0.3 * w)
        expected.biases[level] -= 0.1 * db
        value += 0.02 * abs(w).sum() + 0.15 * np.square(w).sum()
    history = net.fit(x, y, optimizer=SGD(0.1), batch_size="full", epochs=1, l1=0.02, l2=0.3)
    assert history.loss == [pytest.approx(value, rel=1e-12)]
    assert_same(net, expected)


def test_dropout_follows_the_networks_generator(backend):
    require("dropout")
    x, y = data()
    one, same = fitted(network(), x, y, dropout=0.5), fitted(network(), x, y, dropout=0.5)
    assert np.array_equal(one.parameters, same.parameters)
    other = fitted(network(random_state=1), x, y, dropout=0.5)
    assert not np.array_equal(one.parameters, other.parameters)
    # A second fit drops other units.
    start = network()
    runs = []
    for _ in range(2):
        start.parameters[:] = 0.1
        start.fit(x, y, epochs=1, batch_size="full", shuffle=False, dropout=0.5)
        runs.append(start.parameters.copy())
    assert not np.array_equal(*runs)


def test_dropout_of_the_hidden_layers_or_of_each(backend):
    require("dropout")
    x, y = data()
    net = network((4, 8, 6, 3))
    hidden = fitted(net, x, y, dropout=0.3)
    assert np.array_equal(hidden.parameters, fitted(net, x, y, dropout=(0.0, 0.3, 0.3)).parameters)
    assert not np.array_equal(
        hidden.parameters, fitted(net, x, y, dropout=[0.2, 0.3, 0.3]).parameters
    )
    none = fitted(net, x, y, dropout=0.0)
    assert np.array_equal(none.parameters, fitted(net, x, y).parameters)


def test_clipping_by_value_and_by_norm(backend):
    require("clip_value", "clip_norm")
    x, y = data()
    net = network()
    _, gradients = net.loss_and_gradients(x, y)
    arrays = [a for pair in gradients for a in pair]
    options = {"batch_size": "full", "epochs": 1, "shuffle": False}
    clipped = fitted(net, x, y, clip_value=0.01, **options)
    for level, pair in enumerate(gradients):
        change = clipped.weights[level] - net.weights[level]
        np.testing.assert_allclose(change, -0.1 * np.clip(pair[0], -0.01, 0.01), atol=1e-14)
    norm = np.sqrt(sum(np.square(a).sum() for a in arrays))
    clipped = copy.deepcopy(net)
    history = clipped.fit(x, y, optimizer=SGD(0.1), clip_norm=norm / 3, **options)
    assert history.gradient_norm == [pytest.approx(norm, rel=1e-12)]
    length = np.linalg.norm(clipped.parameters - net.parameters)
    assert length == pytest.approx(0.1 * norm / 3, rel=1e-5)


def test_max_norm_bounds_each_neurons_weights(backend):
    require("max_norm")
    net = fitted(network(), *data(), max_norm=0.5, epochs=3)
    for w in net.weights:
        assert np.linalg.norm(w, axis=0).max() <= 0.5 * (1 + 1e-12)


def test_frozen_layers_keep_every_bit(backend):
    require("trainable")
    x, y = data()
    net = network((4, 6, 5, 3))
    before = copy.deepcopy(net)
    net.fit(x, y, trainable=[True, False, True], l2=0.1, epochs=2)
    assert np.array_equal(net.weights[1], before.weights[1])
    assert np.array_equal(net.biases[1], before.biases[1])
    for level in (0, 2):
        assert not np.array_equal(net.weights[level], before.weights[level])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"l1": -1}, ValueError, "l1"),
        ({"dropout": 1.0}, ValueError, "dropout"),
        ({"dropout": [0.5]}, ValueError, "2 for the input"),
        ({"dropout": [0.5, -0.1]}, ValueError, "dropout"),
        ({"clip_value": 0}, ValueError, "clip_value"),
        ({"clip_norm": -1}, ValueError, "clip_norm"),
        ({"max_norm": np.inf}, ValueError, "max_norm"),
        ({"trainable": [True]}, ValueError, "2 bools"),
        ({"trainable": False}, ValueError, "2 bools"),
        ({"batch_size": "all"}, ValueError, "full"),
        ({"learning_rate": "linear"}, ValueError, "linear"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate"),
        ({"learning_rate": True}, TypeError, "True"),
        ({"stop": "never"}, ValueError, "never"),
        ({"metrics": ["correctness"]}, ValueError, "correctness"),
        ({"metrics": "r2"}, ValueError, "real values"),
        ({"learning_rate": schedules.Cosine}, TypeError, "Cosine"),
    ],
)
def test_wrong_options_change_nothing(options, error, message):
    net = network()
    before, state = net.parameters.copy(), net._generator.bit_generator.state
    with pytest.raises(error, match=message):
        net.fit(*data(), **options)
    assert np.array_equal(net.parameters, before)
    assert net._generator.bit_generator.state == state


# Initial weights


def test_init_by_name_by_object_and_by_array():
    zeros = MLP([3, 4, 2], init="zeros")
    assert not zeros.parameters.any()
    rng = np.random.default_rng(0)
    w1, w2, b2 = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=2)
    net = MLP([3, 4, 2], dtype=np.float64, init=[w1, (w2, b2)])
    assert np.array_equal(net.weights[0], w1)
    assert np.array_equal(net.weights[1], w2)
    assert not net.biases[0].any()
    assert np.array_equal(net.biases[1], b2)
    w1[:] = 0
    assert net.weights[0].any()
    mixed = MLP([3, 4, 2], dtype=np.float64, init=["orthogonal", w2], random_state=0)
    np.testing.assert_allclose(mixed.weights[0] @ mixed.weights[0].T, np.eye(3), atol=1e-14)


@pytest.mark.parametrize(
    ("init", "error", "message"),
    [
        ("he", ValueError, "he_normal"),
        (["zeros"], ValueError, "list of 2"),
        (["zeros", np.ones((3, 2))], ValueError, r"\(4, 2\), got \(3, 2\)"),
        (["zeros", (np.ones((4, 2)), np.ones(3))], ValueError, r"bias .*\(2,\)"),
        (["zeros", object()], TypeError, "real numbers|init"),
        (3, ValueError, r"\(3, 4\)"),
    ],
)
def test_wrong_init(init, error, message):
    with pytest.raises(error, match=message):
        MLP([3, 4, 2], init=init)


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
    require(*set(options) & {"dropout"})
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


# Tasks: from outputs to decisions


def test_multinomial_decisions_from_probabilities_and_from_scores(backend):
    x, _ = data()
    net = network()
    scores, probabilities = net.scores(x), net.predict(x)
    e = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(e / e.sum(1, keepdims=True), probabilities, rtol=1e-10)
    assert np.array_equal(net.predict_classes(x), scores.argmax(1))
    assert np.array_equal(net.predict_classes(x), probabilities.argmax(1))
    np.testing.assert_allclose(np.exp(net.log_probabilities(x)), probabilities, rtol=1e-10)


def test_binary_decisions_from_probabilities_and_from_scores(backend):
    x, _ = data()
    net = network((4, 5, 1), "sigmoid")
    p = net.predict(x)[:, 0]
    assert np.array_equal(net.predict_classes(x), net.scores(x)[:, 0] >= 0)
    assert np.array_equal(net.predict_classes(x, threshold=0.8), p >= 0.8)
    linear = network((4, 1), "identity")
    assert np.array_equal(linear.predict_classes(x), linear.predict(x)[:, 0] >= 0)


def test_multilabel_decisions(backend):
    x, _ = data()
    net = network((4, 5, 3), "sigmoid")
    assert np.array_equal(net.predict_labels(x), net.scores(x) >= 0)
    assert np.array_equal(net.predict_labels(x, threshold=0.7), net.predict(x) >= 0.7)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_logarithms_of_probabilities_are_finite(backend, dtype, output):
    net = MLP([1, 2], output=output, dtype=dtype, init=[np.array([[1.0, -1.0]])])
    x = np.array([[1e4], [-1e4], [0.0]])
    with np.errstate(divide="ignore"):
        assert np.isneginf(np.log(net.predict(x))).any()
    logs = net.log_probabilities(x)
    assert np.isfinite(logs).all()
    assert logs.dtype == dtype
    assert logs.min() == (-2e4 if output == "softmax" else -1e4)


def test_logarithms_need_probabilities():
    with pytest.raises(ValueError, match="identity"):
        network(output="identity").log_probabilities(np.ones((1, 4)))


def test_scores_follow_the_parameters_and_the_backend():
    from fastmlp import kernels

    x, _ = data()
    net = network(output="identity")
    for name in kernels.available():
        with kernels.use_backend(name):
            net.weights[1][:] *= 2
            np.testing.assert_allclose(net.scores(x), net.predict(x), rtol=1e-12)


# Tasks: training


def test_every_task_is_learnt(backend):
    rng = np.random.default_rng(8)
    x = rng.normal(size=(120, 2))
    inside = (np.square(x).sum(1) < 1.2).astype(int)
    quadrant = (x[:, 0] > 0).astype(int) + 2 * (x[:, 1] > 0)
    options = {"optimizer": Adam(0.02), "epochs": 150}

    def net(n_out, output):
        return MLP([2, 16, n_out], "tanh", output, random_state=1)

    binary = net(1, "sigmoid")
    binary.fit(x, inside, **options)
    assert np.mean(binary.predict_classes(x) == inside) > 0.95
    multinomial = net(4, "softmax")
    multinomial.fit(x, quadrant, **options)
    assert np.mean(multinomial.predict_classes(x) == quadrant) > 0.95
    several = np.stack([inside, x[:, 0] > 0, x[:, 1] > 0], 1)
    multilabel = net(3, "sigmoid")
    multilabel.fit(x, several, **options)
    assert np.mean(multilabel.predict_labels(x) == several) > 0.95
    values = np.stack([np.sin(x[:, 0]), x[:, 0] * x[:, 1] / 2], 1)
    regression = net(2, "identity")
    regression.fit(x, values, **options)
    assert np.mean(np.square(regression.predict(x) - values)) < 0.02


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "multiclass_hinge"])
def test_margins_are_learnt(backend, loss):
    require(loss)
    rng = np.random.default_rng(8)
    x = rng.normal(size=(90, 2))
    y = np.digitize(x[:, 0], [-0.5, 0.5])
    net = MLP([2, 16, 3], "tanh", random_state=1)
    net.fit(x, y, loss=loss, optimizer=Adam(0.02), epochs=150)
    assert np.mean(net.predict_classes(x) == y) > 0.95


@pytest.mark.parametrize("name", [*optimizers.Optimizer.registry, "gradient_descent", "lbfgs"])
def test_every_optimizer_by_its_name(backend, name):
    optimizer = optimizers.get(name)
    if name != "lbfgs":
        require(optimizer.update_rule())
    x, y = data(60)
    net, same = network(), network()
    rate = {"sgd": 0.3, "gradient_descent": 1.0, "adadelta": 1.0, "ftrl": 0.1}.get(name, 0.01)
    options = {"learning_rate": rate, "epochs": 30, "batch_size": 20}
    history = net.fit(x, y, optimizer=name, **options)
    assert history.loss[-1] < 0.9 * history.loss[0]
    same.fit(x, y, optimizer=optimizer, **options)
    assert np.array_equal(net.parameters, same.parameters)


def test_losses_and_activations_by_objects(backend):
    require("huber", "silu")
    x, y = data(n_out=2)
    net = MLP([4, 6, 1], activations.get("silu"), dtype=np.float64, random_state=0)
    assert net.architecture.activations == ("silu",)
    expected = net.loss(x, y, Loss("huber", {"delta": 0.5}))
    assert net.loss(x, y, losses.Huber(0.5)) == expected
    assert net.loss(x, y, "huber") == net.loss(x, y, losses.Huber()) != expected
    assert net.fit(x, y, loss=losses.Huber(0.5), epochs=1).epochs == 1
    with pytest.raises(TypeError, match="Huber"):
        net.fit(x, y, loss=losses.Huber)
    with pytest.raises(TypeError, match="activation"):
        MLP([4, 6, 1], 3)


def test_weight_decay_is_the_optimizers(backend):
    decay = Adam(0.01, weight_decay=0.1)
    require(decay.update_rule())
    x, y = data()
    plain = fitted(network(), x, y, optimizer=Adam(0.01), epochs=1, batch_size="full")
    decayed = fitted(network(), x, y, optimizer=decay, epochs=1, batch_size="full")
    # Decoupled: the parameters shrink by η λ, and then the same step is made.
    np.testing.assert_allclose(
        decayed.parameters, plain.parameters - 0.01 * 0.1 * network().parameters, rtol=1e-9
    )
