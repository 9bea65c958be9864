"""The table of docs/interoperability.md: largest differences over random networks.

``FASTMLP_SWEEP=1`` takes 100 networks for each library in the place of 3, and prints the table.
"""

from __future__ import annotations

import os
from itertools import islice

import compilers
import numpy as np
import pytest
from fastmlp import MLP, from_onnx, from_torch, kernels

N = 100 if os.environ.get("FASTMLP_SWEEP") else 3
#: Largest difference as a share of the largest value, in units of the dtype's ε.
BOUNDS = {"onnx": 16, "torch": 16, "torch gradients": 256, "jax": 16, "keras": 16}
BOUNDS |= {"c": 0 if compilers.FUSED else 16, "c, plain": 16, "c, unfused": 16}


def networks(dtype):
    """Random networks; all activations and outputs occur, one after the other."""
    rng = np.random.default_rng(7)
    for i in range(N):
        hidden = [int(n) for n in rng.integers(1, 40, size=rng.integers(0, 4))]
        sizes = [int(rng.integers(1, 30)), *hidden, int(rng.integers(1, 8))]
        names = [
            kernels.ACTIVATIONS[(i + j) % len(kernels.ACTIVATIONS)] for j in range(len(hidden))
        ]
        output = kernels.OUTPUTS[i % len(kernels.OUTPUTS)]
        if output == "softmax" and sizes[-1] == 1:
            sizes[-1] = 2
        net = MLP(sizes, names, output, dtype=dtype, random_state=i)
        net.biases = [0.5 * rng.normal(size=b.shape) for b in net.biases]
        yield net, rng.normal(size=(25, sizes[0])).astype(dtype)


def apart(found, expected):
    found = np.asarray(found)
    assert found.dtype == expected.dtype
    share = np.abs(found - expected).max() / np.abs(expected).max()
    return float(share / np.finfo(expected.dtype).eps)


def check(kind, dtype, worst):
    if N > 3:
        print(f"\n{kind}, {dtype}: {worst:.1f} eps = {worst * np.finfo(dtype).eps:.1e}")
    assert worst <= BOUNDS[kind]


def same(found, net):
    assert found.architecture == net.architecture
    assert np.array_equal(found.parameters, net.parameters)


def test_onnx(dtype):
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    worst = 0.0
    for net, x in networks(dtype):
        content = net.to_onnx().SerializeToString()
        (found,) = ort.InferenceSession(content).run(None, {"X": x})
        worst = max(worst, apart(found, net.predict(x)))
        same(from_onnx(content), net)
    check("onnx", dtype, worst)


def test_torch(dtype):
    torch = pytest.importorskip("torch")
    worst = gradients = 0.0
    for net, x in networks(dtype):
        module, rows = net.to_torch(), torch.from_numpy(x).requires_grad_()
        y = module(rows)
        worst = max(worst, apart(y.detach().numpy(), net.predict(x)))
        d_y = np.linspace(-1, 1, y.numel()).reshape(y.shape).astype(dtype)
        (d_x,) = torch.autograd.grad(y, rows, torch.from_numpy(d_y))
        if np.abs(d_x.numpy()).max() > 0:
            gradients = max(gradients, apart(net.vjp(x, d_y), d_x.numpy()))
        same(from_torch(module), net)
    check("torch", dtype, worst)
    check("torch gradients", dtype, gradients)


def test_jax(dtype):
    jax = pytest.importorskip("jax")
    from fastmlp.interop.jax import from_params

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        worst = 0.0
        for net, x in networks(dtype):
            f, parameters = net.to_jax()
            worst = max(worst, apart(f(parameters, x), net.predict(x)))
            names = net.architecture.activations
            same(from_params(parameters, names, net.architecture.output), net)
    finally:
        jax.config.update("jax_enable_x64", before)
    check("jax", dtype, worst)


@pytest.mark.filterwarnings("ignore")
def test_keras(dtype):
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    from fastmlp import from_keras

    worst = 0.0
    for net, x in networks(dtype):
        model = net.to_keras()
        rows = keras.ops.convert_to_tensor(x, dtype=dtype.name)
        found = keras.ops.convert_to_numpy(model(rows))
        # Keras casts the rows to float32, whatever the layers compute in.
        expected = net.predict(x).astype(np.float32)
        worst = max(worst, apart(found.astype(np.float32), expected))
        same(from_keras(model), net)
    check("keras", np.dtype(np.float32), worst)


@pytest.mark.skipif("gcc" not in compilers.available(), reason="needs gcc")
def test_c(dtype, tmp_path):
    """Equal bits; in the long run also what is lost by those who do not want them."""
    kinds = {"c": ("gcc", ())}
    if N > 3:
        kinds["c, plain"] = "gcc", ("-DFASTMLP_PLAIN_C",)
        if "westmere" in compilers.available():
            kinds["c, unfused"] = "westmere", ("-DFASTMLP_UNFUSED",)
    # Compiling takes time, and test_c_header has every activation.
    nets = list(islice(networks(dtype), N if N > 3 else 1))
    cases = [
        (net.to_c(name=f"net_{i}"), x, net.architecture.sizes[-1])
        for i, (net, x) in enumerate(nets)
    ]
    for kind, (compiler, flags) in kinds.items():
        worst, more = 0.0, {"level": "-O0", "more": flags}
        for first in range(0, len(nets), 25):
            part = slice(first, first + 25)
            outputs = compilers.predict_each(tmp_path, cases[part], compiler, **more)
            for found, (net, x) in zip(outputs, nets[part], strict=True):
                worst = max(worst, apart(found, net.predict(x)))
        check(kind, dtype, worst)
