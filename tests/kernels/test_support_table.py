"""What a backend lacks is refused by name, before anything is changed; nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, Loss, UpdateRule, _support, reference

BACKENDS = tuple(_support.MISSING)
OPTIONS = {
    "l1": 0.1,
    "dropout": (0.1, 0.2),
    "clip_value": 1.0,
    "clip_norm": 1.0,
    "max_norm": 1.0,
    "trainable": (True, False),
    "track_gradient_norm": True,
}
X, Y = np.ones((4, 3)), np.zeros((4, 2))


def net(activation="tanh", output="identity"):
    return Architecture((3, 5, 2), (activation,), output)


def test_every_name_is_a_feature():
    names = {*kernels.ACTIVATIONS, *kernels.OUTPUTS, *kernels.LOSSES, *kernels.UPDATE_RULES}
    assert names <= _support.FEATURES
    assert set(_support.OPTIONS) == set(OPTIONS)
    for backend in BACKENDS:
        assert set(_support.MISSING[backend]) <= _support.FEATURES
    assert not _support.MISSING["reference"]


def test_supports(backend):
    for feature in _support.FEATURES:
        assert kernels.supports(feature) == (feature not in _support.MISSING[backend])
        assert kernels.supports(feature) == kernels.supports(feature, backend)
    with pytest.raises(ValueError, match="feature must be one of"):
        kernels.supports("no_such")
    with pytest.raises(ValueError, match="backend must be one of"):
        kernels.supports("relu", "no_such")


@pytest.fixture
def lacking(monkeypatch):
    """The reference backend, as it would be without some features."""
    monkeypatch.setitem(
        _support.MISSING,
        "reference",
        ("gelu", "exp", "huber", "label_smoothing", "lion", "weight_decay", *OPTIONS),
    )
    return _support.Guard("reference")


@pytest.mark.parametrize(
    ("kernel", "args", "feature"),
    [
        ("activate", (X, "gelu"), "gelu"),
        ("activate", (X, "exp"), "exp"),
        ("loss_value", (Y, Y, "huber", "identity"), "huber"),
        ("loss_value", (Y, Y, Loss("huber", {"delta": 3}), "identity"), "huber"),
        ("output_delta", (Y, Y, Loss("cross_entropy", {"label_smoothing": 0.1}), "softmax"),
         "label_smoothing"),
        ("update", (UpdateRule("lion"), Y[0], X[0, :2], np.zeros((1, 2)), 1, 0.1), "lion"),
        ("update", (UpdateRule("sgd", {"weight_decay": 1}), Y[0], X[0, :2], np.zeros((0, 2)), 1, 1),
         "weight_decay"),
    ],
)  # fmt: skip
def test_kernels(lacking, kernel, args, feature):
    guarded = lacking.function(getattr(reference, kernel))
    before = [np.copy(value) for value in args if isinstance(value, np.ndarray)]
    with pytest.raises(NotImplementedError, match=f"reference backend has no '{feature}'"):
        guarded(*args)
    after = [value for value in args if isinstance(value, np.ndarray)]
    for array, copy in zip(after, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert guarded.__name__ == kernel


def test_what_is_there_goes_through(lacking):
    """Losses with default constants come as names, which every backend knows."""
    given = []
    lacking.function(lambda *args, **kwargs: given.append((args, kwargs)))(
        Loss("cross_entropy"), Loss("quantile", {"quantile": 0.2}), loss=Loss("hinge")
    )
    assert given == [
        (("cross_entropy", Loss("quantile", {"quantile": 0.2})), {"loss": "hinge"}),
    ]


def test_networks(lacking):
    guarded = lacking.network(reference.Network, reference.Network)
    for wrong, feature in ((net("gelu"), "gelu"), (net(output="exp"), "exp")):
        with pytest.raises(NotImplementedError, match=f"'{feature}'"):
            guarded(wrong, "float64")
    network = guarded(net(), "float64")
    flat = np.ones(net().n_parameters)
    with pytest.raises(NotImplementedError, match="'huber'"):
        network.loss(flat, X, Y, "huber")
    for loss, options, feature in (("huber", {}, "huber"), ("squared_error", {"l1": 0.1}, "l1")):
        with pytest.raises(NotImplementedError, match=f"'{feature}'"):
            network.loss_and_gradient(flat, X, Y, loss, **options)
    plain = reference.Network(net(), "float64")
    assert network.loss(flat, X, Y, "squared_error") == plain.loss(flat, X, Y, "squared_error")
    given = {"parameters": flat, "x": X, "target": Y, "loss": "squared_error"}
    assert network.loss(**given) == plain.loss(**given)
    value, _ = network.loss_and_gradient(**given, l1=0.0, l2=0.5)
    assert value == plain.loss_and_gradient(flat, X, Y, "squared_error", l2=0.5)[0]


def test_trainers(lacking):
    guarded = lacking.trainer(reference.Trainer, reference.Trainer)
    good = {"dtype": "float64", "loss": "squared_error", "update_rule": UpdateRule("sgd")}
    for name, value in OPTIONS.items():
        with pytest.raises(NotImplementedError, match=f"'{name}'"):
            guarded(net(), **good, batch_size=2, **{name: value})
    for wrong, feature in (
        ({"loss": "huber"}, "huber"),
        ({"update_rule": UpdateRule("lion")}, "lion"),
        ({"update_rule": UpdateRule("sgd", {"weight_decay": 0.1})}, "weight_decay"),
    ):
        with pytest.raises(NotImplementedError, match=f"'{feature}'"):
            guarded(net(), **{**good, **wrong}, batch_size=2)
    with pytest.raises(TypeError, match="no_such"):
        guarded(net(), **good, batch_size=2, no_such=1)
    defaults = {"dropout": [], "trainable": (), "clip_norm": None, "l1": 0, "seed": 7}
    trainer = guarded(net(), **good, batch_size=2, **defaults)
    trainer.load(np.ones(net().n_parameters))
    assert trainer.run_epoch(X, Y, None, 0.1) > 0


def test_nothing_is_put_before_what_lacks_nothing():
    guard = _support.Guard("reference")
    assert guard.function(reference.activate) is reference.activate
    assert guard.network(reference.Network, reference.Network) is reference.Network
    assert guard.trainer(reference.Trainer, reference.Trainer) is reference.Trainer
