"""What ``fit`` takes: weights of rows and classes, losses, regularisation, optimizers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from fastmlp import MLP, activations, losses, optimizers, schedules
from fastmlp.kernels import Loss
from fastmlp.optimizers import SGD, Adam
from problems import assert_same, data, network


def fitted(net, *arguments, **options):
    """A copy of the network after a fit of two epochs."""
    net = copy.deepcopy(net)
    net.fit(*arguments, **{"epochs": 2, "batch_size": 8, "optimizer": SGD(0.1), **options})
    return net


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
        ({0: "1"}, TypeError, "class 0 must be a number"),
        ({0.5: 1}, ValueError, "whole numbers"),
        ({7: 2}, ValueError, "0…2, got 7"),
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
    net = network((4, 1), "exp")
    assert net.loss(np.ones((2, 4)), [0, 3]) == net.loss(np.ones((2, 4)), [0, 3], "poisson")
    with pytest.raises(ValueError, match="negative"):
        net.loss(np.ones((2, 4)), [-1, 3])


# Regularisation


def test_l1_and_l2_are_in_loss_and_step(backend):
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
    net = fitted(network(), *data(), max_norm=0.5, epochs=3)
    for w in net.weights:
        assert np.linalg.norm(w, axis=0).max() <= 0.5 * (1 + 1e-12)


def test_frozen_layers_keep_every_bit(backend):
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
        ({"dropout": None}, TypeError, "dropout must be a number"),
        ({"l2": "0.1"}, TypeError, "l2 must be a number"),
        ({"validation_data": 5}, ValueError, "validation_data"),
        ({"batch_size": None}, TypeError, "batch_size must be an integer"),
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


# Parts by their names, and as objects


@pytest.mark.covers("backend", "name")
@pytest.mark.parametrize("name", [*optimizers.Optimizer.registry, *optimizers._FULL_BATCH])
def test_every_optimizer_by_its_name(backend, name):
    optimizer = optimizers.get(name)
    x, y = data(60)
    net, same = network(), network()
    rate = {"sgd": 0.3, "gradient_descent": 1.0, "adadelta": 1.0, "ftrl": 0.1}.get(name, 0.01)
    options = {"learning_rate": rate, "epochs": 30, "batch_size": 20}
    if name in ("levenberg_marquardt", "bayesian_regularization"):
        del options["learning_rate"]
    if name == "bayesian_regularization":  # its evidence is that of normal noise
        options["loss"] = "squared_error"
    history = net.fit(x, y, optimizer=name, **options)
    assert history.loss[-1] < 0.9 * history.loss[0]
    same.fit(x, y, optimizer=optimizer, **options)
    assert np.array_equal(net.parameters, same.parameters)


def test_losses_and_activations_by_objects(backend):
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
    x, y = data()
    plain = fitted(network(), x, y, optimizer=Adam(0.01), epochs=1, batch_size="full")
    decayed = fitted(network(), x, y, optimizer=decay, epochs=1, batch_size="full")
    # Decoupled: the parameters shrink by η λ, and then the same step is made.
    np.testing.assert_allclose(
        decayed.parameters, plain.parameters - 0.01 * 0.1 * network().parameters, rtol=1e-9
    )
