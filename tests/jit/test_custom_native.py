"""Custom activations and losses in native code: the same numbers, and what happens without it."""

from __future__ import annotations

import ctypes
import pickle
import warnings

import numpy as np
import pytest
from custom_functions import (
    EXPRESSIONS,
    LOSSES,
    assert_near,
    mean_of_squares,
    mixed,
    my_cross_entropy,
    my_huber,
    my_mish,
    rootish,
)
from fastmlp import kernels
from fastmlp._graphs import custom as _custom
from fastmlp.kernels import CustomActivation, _callbacks, _chooser
from fastmlp.kernels._callbacks import raise_pending
from fastmlp.kernels._program import ELEMENTWISE_STEPS, REDUCTION_STEPS
from hypothesis import given, settings
from hypothesis import strategies as st

POINTER = ctypes.c_void_p
needs_numba = pytest.mark.skipif("numba" not in kernels.available(), reason="numba is missing")


def native(custom, z, y=None):
    """Run the C function of a custom object."""
    if y is None:
        address, outputs, counts = custom.address(z.dtype), [z, z], [z.size]
    else:
        address, outputs = custom.address(z.dtype, z.shape[1]), [z[:, 0], z]
        counts = z.shape
    return call(address, [z] if y is None else [z, y], outputs, counts)


def call(address, inputs, like, counts):
    assert address is not None
    outputs = [np.full(array.shape, 99, array.dtype) for array in like]
    kinds = [POINTER] * (len(inputs) + len(outputs)) + [ctypes.c_int64] * len(counts)
    function = ctypes.CFUNCTYPE(None, *kinds)(address)
    function(*(array.ctypes.data for array in (*inputs, *outputs)), *counts)
    return outputs


@pytest.mark.covers("name", "dtype")
@needs_numba
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_native_activation(name, dtype):
    custom = _custom.activation(EXPRESSIONS[name], name=f"test {name}")
    special = [0, -0.0, 1, np.inf, -np.inf, np.nan, 1e-42, 1e-310, 1e30, -1e30]
    z = np.concatenate([np.linspace(-6, 6, 333), special]).astype(dtype)
    with np.errstate(all="ignore"):
        expected = custom.evaluate(z)
    for actual, want in zip(native(custom, z), expected, strict=True):
        assert_near(actual, want, dtype)


@pytest.mark.covers("name", "dtype", "n_out")
@needs_numba
@pytest.mark.parametrize("n_out", [1, 3, 33])
@pytest.mark.parametrize("name", LOSSES)
def test_native_loss(name, n_out, dtype, rng):
    custom = _custom.loss(LOSSES[name], name=f"test {name}")
    for rows in (0, 1, 21):
        z, y = rng.normal(size=(2, rows, n_out)).astype(dtype)
        expected = custom.evaluate(z.astype(np.float64), y.astype(np.float64))
        for actual, want in zip(native(custom, z, y), expected, strict=True):
            assert_near(actual, want, dtype, 64 * n_out)


UNARY = (
    np.exp,
    np.sin,
    np.abs,
    np.log1p,
    lambda x: np.log(1 + np.exp(x)),
    lambda x: np.clip(x, -0.5, 0.7),
    lambda x: np.max(x, axis=1, keepdims=True),
    lambda x: np.sum(x, axis=1)[:, None],
    lambda x: np.logaddexp.reduce(x, axis=1)[:, None],
)
BINARY = (
    np.subtract,
    np.multiply,
    np.minimum,
    np.logaddexp,
    lambda a, b: np.where(a > b, a, np.sin(b)),
    lambda a, b: a / (1 + b * b),
)
NUMBER = st.integers(0, 99)


@needs_numba
@settings(max_examples=12, deadline=None, derandomize=True)
@given(steps=st.lists(st.tuples(st.booleans(), NUMBER, NUMBER, NUMBER), min_size=2, max_size=7))
def test_native_code_of_random_losses(steps):
    def f(z, y):
        values = [z, y]
        for one, function, i, j in steps:
            a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
            if one:
                values.append(UNARY[function % len(UNARY)](np.tanh(a)))
            else:
                values.append(BINARY[function % len(BINARY)](a, b))
        return np.tanh(values[-1]) + 0.0 * z

    z, y = np.random.default_rng(0).normal(size=(2, 17, 5))
    custom = _custom.loss(f)
    for actual, want in zip(native(custom, z, y), custom.evaluate(z, y), strict=True):
        np.testing.assert_allclose(actual, want, rtol=1e-9, atol=1e-9)


def test_every_step_is_tested():
    programs = [_custom.activation(f, name="x").function.program() for f in EXPRESSIONS.values()]
    programs += [_custom.loss(f, name="x").function.program(4) for f in LOSSES.values()]
    used = {step.operation for program in programs for step in program.steps}
    assert used == {"constant", *ELEMENTWISE_STEPS, *REDUCTION_STEPS}


@needs_numba
def test_native_code_is_made_once():
    first, second = (_custom.activation(my_mish, name=name) for name in ("one", "other"))
    assert first.address(np.float32) == second.address(np.float32)
    assert first.address(np.float32) != first.address(np.float64)
    assert pickle.loads(pickle.dumps(first)).address(np.float32) == first.address(np.float32)


@needs_numba
def test_losses_that_depend_on_the_number_of_outputs_say_so():
    assert _custom.loss(my_huber).address(np.float64) is not None
    assert _custom.loss(my_cross_entropy).address(np.float64) is not None
    for f in (mean_of_squares, mixed):
        assert _custom.loss(f).address(np.float64) is None
        assert _custom.loss(f).address(np.float64, 4) is not None
    weights = np.arange(1.0, 4.0)
    weighted = _custom.loss(lambda z, y: (z - y) ** 2 * weights, n_outputs=3)
    z, y = np.ones((2, 3)), np.zeros((2, 3))
    assert weighted.address(np.float64) == weighted.address(np.float64, 3)
    np.testing.assert_array_equal(native(weighted, z, y)[1], [2 * weights] * 2)


def test_operations_without_a_step_have_no_native_code():
    assert _custom.activation(rootish).address(np.float64) is None
    matrix = np.eye(3) * 2
    product = _custom.loss(lambda z, y: (z @ matrix - y) ** 2, n_outputs=3)
    assert product.address(np.float64, 3) is None
    picked = _custom.loss(lambda z, y: np.abs(z[:, 0] - y[:, 1]), n_outputs=3)
    assert picked.address(np.float64, 3) is None
    np.testing.assert_array_equal(
        picked.evaluate(np.ones((1, 3)), np.zeros((1, 3)))[1], [[1, 0, 0]]
    )


def test_unused_reductions_do_no_harm():
    def f(z, y):
        np.max(z, axis=1)
        return (z - y) ** 2

    loss = _custom.loss(f)
    np.testing.assert_array_equal(loss.evaluate(np.ones((2, 3)), np.zeros((2, 3)))[0], [3, 3])
    assert loss.function.program(3) is not None


def test_callback(dtype, rng):
    """What the compiled engine calls where there is no native code."""
    activation = _custom.activation(rootish, name=f"callback {dtype}")
    loss = _custom.loss(mixed)
    z, y = rng.normal(size=(2, 5, 3)).astype(dtype)
    with pytest.warns(RuntimeWarning, match="'callback .*' runs as NumPy inside the engine"):
        address = activation.callback(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert activation.callback(dtype) == address
    outputs = call(address, [z], [z, z], [z.size])
    for actual, want in zip(outputs, activation.evaluate(z), strict=True):
        np.testing.assert_array_equal(actual, want)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        address = loss.callback(dtype)
    outputs = call(address, [z, y], [z[:, 0], z], z.shape)
    for actual, want in zip(outputs, loss.evaluate(z, y), strict=True):
        np.testing.assert_array_equal(actual, want)
    raise_pending(_callbacks.native_caller())


def test_without_numba(monkeypatch):
    class Util:
        find_spec = staticmethod(lambda name: None)

    for module in (_callbacks, _chooser):
        monkeypatch.setattr(module, "importlib", type("importlib", (), {"util": Util}))
    activation = _custom.activation(my_mish, name="without numba")
    assert activation.address(np.float32) is None
    with pytest.warns(RuntimeWarning, match=r"numba is not installed \(pip install 'fastmlp"):
        activation.callback(np.float32)


def test_error_in_a_callback_waits_for_its_caller():
    def broken(z):
        raise ArithmeticError("no value")

    activation = CustomActivation("broken", broken)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        address = activation.callback(np.float64)
    z = np.ones(3)
    assert np.isnan(call(address, [z], [z, z], [3])).all()
    with pytest.raises(ArithmeticError, match="no value"):
        raise_pending(_callbacks.native_caller())
    raise_pending(_callbacks.native_caller())
