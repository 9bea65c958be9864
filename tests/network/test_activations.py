"""``fastmlp.activations``: names, functions on arrays of any shape, derivatives, formulas."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import activations, kernels

NAMES = tuple(dict.fromkeys((*activations.hidden, *activations.output)))


def test_names():
    assert activations.hidden == kernels.ACTIVATIONS
    assert activations.output == kernels.OUTPUTS
    for name in NAMES:
        activation = activations.get(name)
        assert activation.name == name
        assert activations.get(activation) is activation
        assert activation.formula
        assert activation.derivative_formula
    custom = activations.custom(lambda z: z**3, name="cube")
    assert activations.get(custom) is custom
    with pytest.raises(ValueError, match=r"activation must be one of .*'gelu'"):
        activations.get("GELU")
    with pytest.raises(TypeError, match="activation must be a name"):
        activations.get(None)


@pytest.mark.covers("backend", "name")
@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_types(backend, name, rng):
    f = activations.get(name)
    for shape in ((4,), (2, 3), (2, 1, 5), (0,), (3, 0)):
        z = rng.standard_normal(shape)
        a = f(z)
        assert (a.shape, a.dtype) == (shape, np.float64)
        assert f(z.astype("f4")).dtype == np.float32
        np.testing.assert_array_equal(a, f(z.tolist()).reshape(shape))
        if name != "softmax":
            assert f.derivative(z).shape == shape
            alone = [f(number) for number in z.ravel()]
            np.testing.assert_allclose(a.ravel(), alone, rtol=1e-14, atol=1e-16)
    assert f(2).shape == ()


@pytest.mark.covers("backend", "name")
@pytest.mark.parametrize("name", NAMES)
def test_derivatives(backend, name, rng):
    f, z = activations.get(name), rng.uniform(-4, 4, 200)
    if name == "softmax":
        with pytest.raises(TypeError, match="matrix"):
            f.derivative(z)
        return
    expected = (f(z + 1e-6) - f(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(f.derivative(z), expected, rtol=1e-6, atol=1e-8)
