"""The network: parameters as the truth, training, prediction, storage."""

from __future__ import annotations

import copy
import itertools
import pickle
import subprocess
import sys
import types

import fastmlp
import numpy as np
import pytest
from fastmlp import MLP, kernels
from fastmlp.callbacks import Callback
from fastmlp.kernels import _chooser, reference
from fastmlp.optimizers import SGD, Adam
from support import require

LOSSES_AND_OUTPUTS = [
    (loss, output) for loss, outputs in kernels.LOSS_OUTPUTS.items() for output in outputs
]


def data(n=30, n_in=4, n_out=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_in)), rng.integers(n_out, size=n)


def some_targets(loss, rng, n, n_out):
    """Targets that the loss is defined for: distributions, or -1 and 1."""
    if "hinge" in loss:
        return 2.0 * np.eye(n_out)[rng.integers(n_out, size=n)] - 1
    return rng.dirichlet(np.ones(n_out), size=n)


def by_hand(net, x):
    """The equations, for networks with tanh layers and identity output."""
    a = np.asarray(x, np.float64)
    for level, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        z = a @ w + b
        a = np.tanh(z) if level < len(net.weights) - 1 else z
    return a


# The object


def test_repr_shows_the_architecture():
    net = MLP([784, 100, 10], output="softmax")
    assert repr(net) == "MLP(784-100-10, relu, softmax, float32, 79510 parameters)"
    net = MLP([2, 3, 4, 1], activation=["tanh", "relu"], dtype="float64")
    assert repr(net) == "MLP(2-3-4-1, tanh/relu, identity, float64, 30 parameters)"
    assert repr(MLP([2, 1])) == "MLP(2-1, identity, float32, 3 parameters)"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sizes": [3]}, ValueError, "at least two"),
        ({"sizes": [3, 0, 1]}, ValueError, "positive"),
        ({"sizes": [3, 2.5, 1]}, TypeError, "float"),
        ({"activation": "swish"}, ValueError, "swish"),
        ({"activation": ["relu", "relu"]}, ValueError, "1 hidden layers"),
        ({"output": "tanh"}, ValueError, "output must be"),
        ({"dtype": np.float16}, ValueError, "float16"),
        ({"random_state": "7"}, TypeError, "random_state"),
        ({"n_threads": 0}, ValueError, "n_threads"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        MLP(**{"sizes": [3, 4, 2], **arguments})


def test_seeds():
    one, same, other = (MLP([5, 7, 2], random_state=s) for s in (1, 1, 2))
    assert np.array_equal(one.parameters, same.parameters)
    assert not np.array_equal(one.parameters, other.parameters)
    double = MLP([5, 7, 2], random_state=1, dtype=np.float64)
    np.testing.assert_allclose(one.parameters, double.parameters, rtol=1e-6)
    generator = np.random.default_rng(1)
    assert np.array_equal(MLP([5, 7, 2], random_state=generator).parameters, one.parameters)


def test_initial_weights_have_the_documented_bounds():
    net = MLP([100, 50, 20], activation=["relu"], random_state=0)
    for weights, bound in zip(net.weights, [np.sqrt(6 / 100), np.sqrt(6 / 70)], strict=True):
        assert 0.95 * bound < abs(weights).max() <= bound
    assert not net.biases[0].any()
    assert not net.biases[1].any()


# Weights and biases are the truth


def test_views_of_one_vector():
    net = MLP([3, 4, 2])
    assert [w.shape for w in net.weights] == [(3, 4), (4, 2)]
    assert [b.shape for b in net.biases] == [(4,), (2,)]
    assert net.parameters.shape == (3 * 4 + 4 * 2 + 4 + 2,)
    for view in [*net.weights, *net.biases]:
        assert np.shares_memory(view, net.parameters)


def test_edits_and_replacements_take_effect(backend):
    net = MLP([3, 4, 2], activation="tanh", dtype=np.float64, random_state=0)
    x = data(n_in=3)[0]
    rng = np.random.default_rng(1)

    def check():
        np.testing.assert_allclose(net.predict(x), by_hand(net, x), rtol=1e-12, atol=1e-12)
        return net.predict(x)

    seen = [check()]
    net.weights[0][1, 2] += 1
    seen.append(check())
    net.biases[1][:] = [3, 4]
    seen.append(check())
    net.weights[1] *= 2
    seen.append(check())
    net.weights[-1] = rng.normal(size=(4, 2)).astype(np.float32)
    seen.append(check())
    net.weights = [np.asfortranarray(rng.normal(size=w.shape)) for w in net.weights]
    seen.append(check())
    net.biases = [[1, 2, 3, 4], (5, 6)]
    seen.append(check())
    net.parameters[:] = rng.normal(size=net.parameters.shape)
    seen.append(check())
    for before, after in itertools.pairwise(seen):
        assert abs(before - after).max() > 1e-3


def test_replacements_are_copied():
    net = MLP([2, 2])
    mine = np.ones((2, 2), np.float32)
    net.weights[0] = mine
    mine[:] = 5
    assert (net.weights[0] == 1).all()
    assert np.shares_memory(net.weights[0], net.parameters)


def test_replacement_by_views_in_another_order():
    net = MLP([3, 3, 3], random_state=0)
    first, second = (w.copy() for w in net.weights)
    net.weights = [net.weights[1], net.weights[0]]
    assert np.array_equal(net.weights[0], second)
    assert np.array_equal(net.weights[1], first)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda net: net.weights.__setitem__(0, np.ones((4, 3))), ValueError, r"\(3, 4\).*\(4, 3"),
        (lambda net: net.biases.__setitem__(1, 1.0), ValueError, r"\(2,\), got \(\)"),
        (lambda net: setattr(net, "weights", [np.ones((3, 4)), np.ones(4)]), ValueError, r"\(4,\)"),
        (lambda net: setattr(net, "weights", [np.ones((3, 4))]), ValueError, "expected 2"),
        (lambda net: setattr(net, "biases", 3), TypeError, "list of arrays"),
        (lambda net: net.biases.__setitem__(0, list("abcd")), TypeError, "real numbers"),
        (lambda net: net.weights.__setitem__(2, np.ones((4, 2))), IndexError, "range"),
    ],
)
def test_wrong_replacements_change_nothing(change, error, message):
    net = MLP([3, 4, 2], random_state=0)
    before = net.parameters.copy()
    with pytest.raises(error, match=message):
        change(net)
    assert np.array_equal(net.parameters, before)


# Prediction


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(),
        lambda x: x.astype(np.float32),
        lambda x: x.astype(np.int8),
        lambda x: x > 0,
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: x.astype(">f8"),
    ],
)
def test_predict_converts(convert):
    net = MLP([4, 5, 2], activation="tanh", dtype=np.float64, random_state=0)
    x = np.random.default_rng(0).integers(-3, 3, size=(6, 4)).astype(np.float64)
    given = convert(x)
    expected = by_hand(net, np.asarray(given, np.float64))
    result = net.predict(given)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros(4, np.float32), ValueError, r"reshape\(1, -1\)"),
        (np.zeros((2, 3), np.float32), ValueError, r"\(2, 3\)"),
        (np.zeros((2, 3)), ValueError, r"\(2, 3\)"),
        (np.zeros((1, 2, 4)), ValueError, r"\(1, 2, 4\)"),
        ([["a"] * 4], TypeError, "real numbers"),
        (np.zeros((2, 4), complex), TypeError, "complex"),
    ],
)
def test_predict_names_what_is_wrong(backend, x, error, message):
    with pytest.raises(error, match=message):
        MLP([4, 5, 2]).predict(x)


def test_predict_lets_nan_through_in_its_row_only(backend):
    net = MLP([4, 5, 2], random_state=0)
    x = data()[0].astype(np.float32)
    clean = net.predict(x)
    x[3, 1] = np.nan
    result = net.predict(x)
    assert np.isnan(result[3]).all()
    assert np.array_equal(np.delete(result, 3, axis=0), np.delete(clean, 3, axis=0))


def test_predict_no_rows(backend):
    assert MLP([4, 5, 2]).predict(np.zeros((0, 4))).shape == (0, 2)


def test_predict_follows_the_live_backend(monkeypatch):
    asked = []

    class Spy(reference.Network):
        def predict(self, *arguments, **options):
            asked.append(True)
            return super().predict(*arguments, **options)

    net = MLP([4, 5, 2], random_state=0)
    x = np.ones((1, 4), np.float32)
    before = net.predict(x)
    with monkeypatch.context() as patch:
        patch.setattr(_chooser, "_active", types.SimpleNamespace(Network=Spy))
        np.testing.assert_allclose(net.predict(x), before, rtol=1e-5)
        assert len(asked) == 1
    net.predict(x)
    assert len(asked) == 1


# Losses and gradients


@pytest.mark.parametrize(("loss", "output"), LOSSES_AND_OUTPUTS)
def test_gradients_are_those_of_the_loss(backend, loss, output):
    require(loss, output)
    net = MLP([3, 4, 2], "tanh", output, dtype=np.float64, random_state=0)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 3)), some_targets(loss, rng, 7, 2)
    weight = rng.uniform(0.1, 2, size=7)
    value, gradients = net.loss_and_gradients(x, y, loss, sample_weight=weight)
    assert value == pytest.approx(net.loss(x, y, loss, weight), rel=1e-12)
    flat = np.concatenate([dw.ravel() for dw, _ in gradients] + [db for _, db in gradients])
    step = 1e-6
    for i in range(len(flat)):
        net.parameters[i] += step
        above = net.loss(x, y, loss, weight)
        net.parameters[i] -= 2 * step
        below = net.loss(x, y, loss, weight)
        net.parameters[i] += step
        assert flat[i] == pytest.approx((above - below) / (2 * step), abs=1e-8)


@pytest.mark.parametrize(("loss", "output"), LOSSES_AND_OUTPUTS)
def test_gradients_agree_with_torch(loss, output):
    require(loss, output)
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    net = MLP([5, 8, 6, 3], ["relu", "sigmoid"], output, dtype=np.float64, random_state=0)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(9, 5)), some_targets(loss, rng, 9, 3)
    parameters = [
        torch.tensor(np.array(p), requires_grad=True) for p in [*net.weights, *net.biases]
    ]
    w, b = parameters[:3], parameters[3:]
    hidden = torch.relu(torch.tensor(x) @ w[0] + b[0])
    z = torch.sigmoid(hidden @ w[1] + b[1]) @ w[2] + b[2]
    target = torch.tensor(y)
    a = {
        "identity": lambda: z,
        "sigmoid": z.sigmoid,
        "softmax": lambda: z.softmax(1),
        "exp": z.exp,
    }[output]()
    none = {"reduction": "none"}
    rows = {
        "squared_error": lambda: 0.5 * functional.mse_loss(a, target, **none).sum(1),
        "absolute_error": lambda: functional.l1_loss(a, target, **none).sum(1),
        "huber": lambda: functional.huber_loss(a, target, **none).sum(1),
        "quantile": lambda: 0.5 * functional.l1_loss(a, target, **none).sum(1),
        # scikit-learn's half deviance: zero where prediction and target agree.
        "poisson": lambda: (
            functional.poisson_nll_loss(z, target, **none) + torch.xlogy(target, target) - target
        ).sum(1),
        "binary_cross_entropy": lambda: functional.binary_cross_entropy_with_logits(
            z, target, **none
        ).sum(1),
        "cross_entropy": lambda: functional.cross_entropy(z, target, **none),
        "hinge": lambda: (1 - target * z).clamp(min=0).sum(1),
        "squared_hinge": lambda: (1 - target * z).clamp(min=0).square().sum(1),
        # Crammer and Singer: the highest wrong score against the right one.
        "multiclass_hinge": lambda: (
            1 + z[target < 1].reshape(-1, 2).amax(1) - z[target == 1]
        ).clamp(min=0),
    }
    expected = rows[loss]().mean()
    expected.backward()
    value, gradients = net.loss_and_gradients(x, y, loss)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    for (dw, db), wanted_w, wanted_b in zip(gradients, w, b, strict=True):
        np.testing.assert_allclose(dw, wanted_w.grad.numpy(), rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(db, wanted_b.grad.numpy(), rtol=1e-9, atol=1e-13)


def test_natural_losses():
    x, labels = data(n_out=2)
    one_hot = np.eye(2)[labels]
    for output, loss in [
        ("softmax", "cross_entropy"),
        ("sigmoid", "binary_cross_entropy"),
        ("identity", "squared_error"),
    ]:
        net = MLP([4, 2], output=output, random_state=0)
        assert net.loss(x, one_hot) == net.loss(x, one_hot, loss)
        # Labels mean one-hot rows.
        assert net.loss(x, labels) == pytest.approx(net.loss(x, one_hot), rel=1e-6)


def test_one_output_takes_a_flat_target():
    x, labels = data(n_out=2)
    net = MLP([4, 1], output="sigmoid", random_state=0)
    assert net.loss(x, labels) == net.loss(x, labels[:, None].astype(float))
    assert net.loss(x, labels == 1) == net.loss(x, labels)


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


# Storage


@pytest.mark.parametrize("duplicate", [lambda net: pickle.loads(pickle.dumps(net)), copy.deepcopy])
def test_copies_are_networks_of_their_own(duplicate):
    x, y = data()
    net = MLP([4, 5, 3], "tanh", "softmax", random_state=0, n_threads=1)
    net.fit(x, y, epochs=1)
    other = duplicate(net)
    assert repr(other) == repr(net)
    assert other.n_threads == 1
    assert np.array_equal(other.predict(x), net.predict(x))
    # The generator is copied as well: both go on with the same shuffles.
    assert other.fit(x, y, epochs=2).loss == net.fit(x, y, epochs=2).loss
    assert np.array_equal(other.parameters, net.parameters)
    other.weights[0][:] = 0
    assert not other.parameters[: other.weights[0].size].any()
    assert net.weights[0].any()


def test_save_and_load(tmp_path, dtype):
    pytest.importorskip("safetensors")
    net = MLP([4, 5, 6, 3], ["tanh", "relu"], "softmax", dtype=dtype, random_state=0)
    net.biases[0] = np.arange(5)
    path = tmp_path / "net.safetensors"
    net.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
    other = MLP.load(str(path), n_threads=1)
    assert other.architecture == net.architecture
    assert other.dtype == dtype
    assert np.array_equal(other.parameters, net.parameters)
    assert np.array_equal(other.predict(data()[0]), net.predict(data()[0]))


def test_load_names_what_is_wrong_with_a_file(tmp_path):
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    path = tmp_path / "net.safetensors"
    with pytest.raises(FileNotFoundError, match=r"net\.safetensors"):
        MLP.load(path)
    path.write_bytes(b"not a network")
    with pytest.raises(ValueError, match="not a safetensors file"):
        MLP.load(path)
    MLP([4, 5, 3]).save(path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="not a safetensors file"):
        MLP.load(path)
    tensors = {"weights.0": np.ones((2, 1), np.float32), "biases.0": np.ones(1, np.float32)}
    architecture = '{"sizes": [2, 1], "activations": [], "output": "identity", "dtype": "float32"}'
    good = {"format": "fastmlp.MLP", "format_version": "1", "architecture": architecture}
    save_file(tensors, path, metadata=good)
    assert (MLP.load(path).parameters == 1).all()
    for entry, message in [
        ({"format": "other"}, "format"),
        ({"format_version": "99"}, "version 1, got '99'"),
        ({"architecture": "{"}, "architecture"),
        ({"architecture": architecture.replace("identity", "magic")}, "magic"),
        ({"architecture": architecture.replace("[2, 1]", "[2, 2]")}, r"\(2, 2\).*\(2, 1\)"),
        ({"architecture": architecture.replace("[2, 1]", "[2]")}, "sizes"),
        ({"architecture": architecture.replace("float32", "float64")}, "must be float64"),
    ]:
        save_file(tensors, path, metadata={**good, **entry})
        with pytest.raises(ValueError, match=message):
            MLP.load(path)
    save_file({"weights.0": tensors["weights.0"]}, path, metadata=good)
    with pytest.raises(ValueError, match=r"biases\.0"):
        MLP.load(path)


def test_saving_without_safetensors_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for use in (MLP([2, 1]).save, MLP.load):
        with pytest.raises(ImportError, match=r"pip install 'fastmlp\[io\]'"):
            use(tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


# The package


def test_importing_fastmlp_imports_nothing_heavy():
    heavy = ["sklearn", "scipy", "numba", "matplotlib", "torch", "safetensors", "pandas", "rich"]
    code = f"import sys, fastmlp; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_public_names():
    for name in fastmlp.__all__:
        assert getattr(fastmlp, name) is not None
    assert set(fastmlp.__all__) <= set(dir(fastmlp))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fastmlp.nothing
