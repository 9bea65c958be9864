"""JAX: functions out, parameters in, and our kernels inside of it."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import MLP, activations, kernels

jax = pytest.importorskip("jax")
jnp = jax.numpy
from fastmlp.interop import jax as bridge  # noqa: E402

BOUND = {"float32": 2e-6, "float64": 1e-12}


@pytest.fixture(autouse=True)
def wide():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def network(activation, output, dtype, rng, sizes=(5, 9, 7, 3)):
    net = MLP(sizes, activation, output, dtype=dtype, random_state=1)
    net.biases = [rng.normal(size=b.shape) for b in net.biases]
    return net


def difference(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
def test_functions_of_every_activation(activation, dtype, rng):
    place = kernels.ACTIVATIONS.index(activation) + (dtype == np.float64)
    net = network(activation, kernels.OUTPUTS[place % 4], dtype, rng)
    x = rng.normal(size=(20, 5)).astype(dtype)
    f, parameters = net.to_jax()
    assert difference(f(parameters, x), net.predict(x)) <= BOUND[dtype.name]
    back = bridge.from_params(parameters, activation, net.architecture.output)
    assert back.architecture == net.architecture
    assert np.array_equal(back.parameters, net.parameters)


def test_custom_activations(rng):
    custom = activations.custom(lambda z: np.where(z > 0, np.sin(z), np.clip(z, -2, 3)), name="odd")
    net = network(custom, "softmax", np.float64, rng)
    x = rng.normal(size=(20, 5))
    f, parameters = net.to_jax()
    with kernels.use_backend("reference"):
        assert difference(f(parameters, x), net.predict(x)) <= 1e-13


def test_our_kernels_under_jit_grad_and_vmap(dtype, rng):
    net = network("tanh", "softmax", dtype, rng)
    x, d_y = rng.normal(size=(8, 5)).astype(dtype), rng.normal(size=(8, 3)).astype(dtype)
    flat = jnp.asarray(net.parameters)
    ours, (theirs, layers) = bridge.function(net), net.to_jax()
    assert np.array_equal(ours(flat, x), net.predict(x))
    assert np.array_equal(jax.jit(ours)(flat, x), net.predict(x))
    by_flat, by_x = jax.jit(jax.grad(lambda p, r: (ours(p, r) * d_y).sum(), (0, 1)))(flat, x)
    by_layers, expected = jax.grad(lambda p, r: (theirs(p, r) * d_y).sum(), (0, 1))(layers, x)
    assert difference(by_x, expected) <= 5 * BOUND[dtype.name]
    weights, biases = net.architecture.views(np.asarray(by_flat))
    for w, b, layer in zip(weights, biases, by_layers, strict=True):
        assert difference(w, layer["kernel"]) <= 5 * BOUND[dtype.name]
        assert difference(b, layer["bias"]) <= 5 * BOUND[dtype.name]
    # One row, rows under vmap, several parameter vectors, gradients of each row.
    assert ours(flat, x[0]).shape == (3,)
    assert np.allclose(jax.vmap(ours, (None, 0))(flat, x), net.predict(x), rtol=1e-5)
    several = jax.vmap(ours, (0, None))(jnp.stack([flat, 2 * flat]), x)
    assert several.shape == (2, 8, 3)
    assert np.allclose(several[0], net.predict(x), rtol=1e-5)
    each = jax.vmap(jax.grad(lambda p, r, d: (ours(p, r) * d).sum()), (None, 0, 0))(flat, x, d_y)
    assert each.shape == (8, flat.size)
    assert np.allclose(each.sum(0), by_flat, atol=1e-5)


def test_the_network_is_not_changed(rng):
    net = network("relu", "identity", np.float64, rng)
    before = net.parameters.copy()
    bridge.function(net)(0 * jnp.asarray(net.parameters), np.ones((1, 5)))
    assert np.array_equal(net.parameters, before)


def test_parameters_of_flax_equinox_and_lists(rng):
    kernels_of = [rng.normal(size=(4, 3)), rng.normal(size=(3, 11)), rng.normal(size=(11, 2))]
    biases = [rng.normal(size=w.shape[1]) for w in kernels_of]
    dense = [{"kernel": w, "bias": b} for w, b in zip(kernels_of, biases, strict=True)]
    flax = {"params": {f"Dense_{i + 8}": part for i, part in enumerate(dense)}}
    pairs = list(zip(kernels_of, biases, strict=True))
    haiku = {f"mlp/~/linear_{i}": {"w": w, "b": b} for i, (w, b) in enumerate(pairs)}
    for params in (flax, dense, pairs, haiku):
        net = bridge.from_params(params, ["tanh", "elu"], "softmax")
        assert net.architecture.activations == ("tanh", "elu")
        assert all(map(np.array_equal, net.weights, kernels_of))
        assert all(map(np.array_equal, net.biases, biases))
    equinox = pytest.importorskip("equinox")
    module = equinox.nn.MLP(4, 2, 8, 2, key=jax.random.PRNGKey(0))
    net, x = bridge.from_params(module, "relu"), rng.normal(size=(5, 4)).astype(net_dtype(module))
    assert np.allclose(net.predict(x), jax.vmap(module)(x), atol=1e-6)


def net_dtype(module):
    return np.asarray(module.layers[0].weight).dtype


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        ([{"scale": np.ones(3)}], {}, "must have a kernel"),
        ([(np.ones(3), np.ones(3))], {}, "must be a matrix"),
        ([(np.ones((3, 2)), np.ones(3))], {}, r"bias of layer 0 must have shape \(2,\)"),
        ([(np.ones((3, 2)), None), (np.ones((3, 2)), None)], {}, "takes 3 values, but 2"),
        ([(np.array([["a"]]), None)], {}, "real numbers"),
        ([(np.ones((3, 2)), None)], {"activation": ["relu"]}, "0 hidden layers"),
        ([(np.ones((3, 2)), None)], {"output": "tanh"}, "'tanh' after layer 0"),
        ("text", {}, "layers by name or in order"),
        ([], {}, "at least one dense layer"),
    ],
)
def test_wrong_parameters(params, options, message):
    with pytest.raises(ValueError, match=message):
        bridge.from_params(params, **options)


def test_float64_needs_to_be_enabled(rng):
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(ValueError, match="jax_enable_x64"):
        network("relu", "identity", np.float64, rng).to_jax()
