"""The network: parameters as the truth, and prediction."""

from __future__ import annotations

import itertools
import subprocess
import sys
import types

import fastmlp
import numpy as np
import pytest
from fastmlp import MLP
from fastmlp.kernels import _chooser, reference
from problems import data


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
        ({"sizes": [3.0, 2, 1]}, TypeError, r"must be an integer, got the float 3\.0"),
        ({"sizes": [3, True, 1]}, TypeError, "must be an integer, got the bool True"),
        ({"activation": "swish"}, ValueError, "swish"),
        ({"activation": ["relu", "relu"]}, ValueError, "1 hidden layers"),
        ({"output": "tanh"}, ValueError, "output must be"),
        ({"dtype": np.float16}, ValueError, "float16"),
        ({"sizes": 5}, TypeError, "sizes must be a sequence of integers, got 5"),
        ({"sizes": ["4", "2"]}, TypeError, "size must be an integer, got the str '4'"),
        ({"dtype": "foo"}, TypeError, "dtype must be float32 or float64, got 'foo'"),
        ({"random_state": "7"}, TypeError, "random_state"),
        ({"random_state": -1}, ValueError, "random_state must not be negative"),
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
        spy = _chooser._Choice(types.SimpleNamespace(Network=Spy), "spy")
        patch.setattr(_chooser, "_places", [_chooser._Place(spy)])
        patch.setattr(_chooser.live, "module", spy.module)
        np.testing.assert_allclose(net.predict(x), before, rtol=1e-5)
        assert len(asked) == 1
    net.predict(x)
    assert len(asked) == 1


# The package


def test_importing_fastmlp_imports_nothing_heavy():
    heavy = ["sklearn", "scipy", "numba", "matplotlib", "torch", "safetensors", "pandas", "rich"]
    # Of its own what makes dozens of classes: a run's plan, and all that may be a part of it.
    own = ("_training.plan", "optimizers", "schedules", "stopping", "initializers", "serialization")
    heavy += [f"fastmlp.{name}" for name in own]
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
