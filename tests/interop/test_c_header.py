"""Networks as C headers: compiled without a warning, run, and compared."""

from __future__ import annotations

import subprocess

import compilers
import numpy as np
import pytest
from fastmlp import MLP, activations, kernels

COMPILERS = compilers.available()
needs_compiler = pytest.mark.skipif("gcc" not in COMPILERS, reason="needs gcc")
#: Largest difference in units of the last place of the largest value, where one of the two rounds
#: products and the other does not; of exponentials twice that.
ULPS = 8
FUSED = compilers.FUSED


def network(activation, output, dtype, rng, sizes=(9, 37, 7, 3)):
    net = MLP(sizes, activation, output, dtype=dtype, random_state=1)
    net.biases = [rng.normal(size=b.shape) for b in net.biases]
    return net


def ulps(found, expected):
    unit = np.finfo(expected.dtype).eps * np.abs(expected).max()
    return float(np.abs(found - expected).max() / unit)


@needs_compiler
@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        (("-march=native", "-std=gnu99"), np.float32),
        pytest.param(("-march=native",), np.float64, marks=pytest.mark.sweep),
        (("-DFASTMLP_PLAIN_C",), np.float32),
    ],
)
def test_every_activation(flags, dtype, rng, tmp_path):
    """The bits of ``predict``, also where a compiler may fuse what is not to be."""
    x = 3 * rng.normal(size=(50, 9)).astype(dtype)
    nets = [
        network(activation, kernels.OUTPUTS[(i + (dtype == np.float64)) % 3], dtype, rng)
        for i, activation in enumerate(kernels.ACTIVATIONS)
    ]
    nets.append(network("tanh", "exp", dtype, rng))
    headers = [net.to_c(name=f"net_{i}") for i, net in enumerate(nets)]
    found = compilers.predict(tmp_path, headers, x, 3, more=flags)
    for net, y in zip(nets, found, strict=True):
        if FUSED and "-march=native" in flags:
            assert np.array_equal(y, net.predict(x)), net
        else:
            assert ulps(y, net.predict(x)) <= ULPS * (1 + (net.architecture.output == "exp")), net


@needs_compiler
@pytest.mark.parametrize(
    ("flag", "dtype"), [("-march=native", np.float32), ("-DFASTMLP_PLAIN_C", np.float64)]
)
def test_infinities_and_what_is_no_number(flag, dtype, tmp_path):
    extreme = np.array([np.nan, np.inf, -np.inf, -0.0, 1e30, -1e30, 1e-30], dtype)[:, None]
    nets = [MLP([1, 1, 1], a, dtype=dtype, random_state=0) for a in kernels.ACTIVATIONS]
    for net in nets:
        net.weights = [np.ones((1, 1)), np.ones((1, 1))]
    headers = [net.to_c(name=f"net_{i}") for i, net in enumerate(nets)]
    found = compilers.predict(tmp_path, headers, extreme, 1, more=[flag], level="-O0")
    for net, y in zip(nets, found, strict=True):
        np.testing.assert_allclose(y, net.predict(extreme), rtol=1e-6, err_msg=str(net))


@pytest.mark.covers("compiler", "kind")
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("kind", ["float32", "float64", "int8"])
def test_every_compiler(compiler, kind, rng, tmp_path):
    # Layers of every panel width, and none of a hidden layer.
    x = rng.normal(size=(20, 5)).astype("float64" if kind == "float64" else "float32")
    nets = [network("silu", "exp", x.dtype, rng, sizes) for sizes in ((5, 63, 31, 2), (5, 2))]
    given = {"type": kind, "calibration": x if kind == "int8" else None, "self_test": x[:2]}
    headers = [net.to_c(name=f"small_{i}", **given) for i, net in enumerate(nets)]
    found = compilers.predict(tmp_path, headers, x, 2, compiler)
    for net, y in zip(nets, found, strict=True):
        if FUSED and kind != "int8":
            assert np.array_equal(y, net.predict(x))
        elif kind != "int8":
            assert ulps(y, net.predict(x)) <= 2 * ULPS


@pytest.mark.skipif("westmere" not in COMPILERS, reason="needs gcc and qemu-x86_64")
def test_plain_products_where_nothing_fuses_them(rng, tmp_path):
    """Other bits than those of the fused sums, by the rounding errors of products."""
    net = network("relu", "identity", np.float32, rng)
    x = rng.normal(size=(50, 9)).astype(np.float32)
    plain = ["-DFASTMLP_UNFUSED"]
    (y,) = compilers.predict(tmp_path, [net.to_c()], x, 3, "westmere", more=plain)
    assert ulps(y, net.predict(x)) <= ULPS
    # The same program on this processor, which fuses if the engine does.
    run = subprocess.run([tmp_path / "main-westmere"], input=x.tobytes(), capture_output=True)
    fused = np.frombuffer(run.stdout, np.float32).reshape(y.shape)
    assert not FUSED or (np.array_equal(fused, net.predict(x)) and not np.array_equal(y, fused))


@needs_compiler
def test_relu_in_the_same_order_of_summation_is_equal_to_the_bit(dtype, rng, tmp_path):
    net = network("relu", "identity", dtype, rng, (20, 45, 6, 3))
    x = rng.normal(size=(30, 20)).astype(dtype)
    a = x
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        z = np.broadcast_to(b, (len(a), len(b))).copy()
        for column, row in zip(a.T, w, strict=True):
            z += column[:, None] * row
        a = z if i == 2 else np.maximum(z, 0)
    plain = {"more": ["-DFASTMLP_PLAIN_C"]}
    assert np.array_equal(compilers.predict(tmp_path, [net.to_c()], x, 3, **plain)[0], a)


@needs_compiler
def test_custom_activations(dtype, rng, tmp_path):
    functions = [
        lambda z: np.where(z > 0, np.sqrt(np.abs(z)), np.expm1(z)),
        lambda z: np.clip(np.sin(z) * np.square(z), -2, 3) + np.maximum(z, 0.1) ** 2,
        lambda z: np.rint(z) + np.trunc(z) - np.floor(z) + np.logaddexp(z, 1.0),
        lambda z: np.exp2(z) / (1 + np.abs(z)) + np.where((z > 0) & (z < 1), 2.0, -z),
    ]
    x = rng.normal(size=(20, 9)).astype(dtype)
    nets = []
    for function in functions:
        custom = activations.custom(function, lambda z: 0 * z + 1, name="custom")
        nets.append(network(custom, "identity", dtype, rng))
    headers = [net.to_c(name=f"net_{i}", training=True) for i, net in enumerate(nets)]
    found = compilers.predict(tmp_path, headers, x, 3)
    for net, y in zip(nets, found, strict=True):
        with kernels.use_backend("reference"):
            assert ulps(y, net.predict(x)) <= 40


def test_weights_are_exact(dtype, rng):
    net = network("relu", "identity", dtype, rng, (3, 2))
    net.weights[0][0] = [np.finfo(dtype).tiny / 8, -np.finfo(dtype).max]
    text = net.to_c().text.split("net_w0[6] = {")[1].split("}")[0]
    found = [float.fromhex(number.strip().rstrip("f")) for number in text.split(",")[:6]]
    assert np.array_equal(np.array(found, dtype), net.weights[0].ravel())


# Integers


@needs_compiler
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_int8_computes_what_its_report_is_measured_on(activation, rng, tmp_path):
    x = rng.normal(size=(200, 9)).astype(np.float32)
    net = network(activation, "softmax", np.float32, rng)
    y = net.predict_classes(x)
    header = net.to_c(type="int8", calibration=(x, y))
    assert header.loss.accuracy == 1
    assert header.loss.accuracy_int8 == header.loss.same_class > 0.9
    assert str(header.loss) in header.text
    extreme = np.array([[np.nan] * 9, [np.inf] * 9, [-1e30] * 9], np.float32)
    (found,) = compilers.predict(tmp_path, [header], np.concatenate([x, extreme]), 3)
    found, of_extreme = found[:200], found[200:]
    assert np.abs(found - net.predict(x)).max() == pytest.approx(header.loss.largest, rel=1e-3)
    assert np.isfinite(of_extreme).all()


# Training


_TRAIN = """\
#include <stdio.h>
INCLUDES
#define TRAIN(NET) do { \\
    static NET##_training_state s; \\
    NET##_training_init(&s); \\
    for (i = 0; i < 5; i++) \\
        NET##_training_train(&s, x, y, 7, 0.01); \\
    fwrite(s.parameters, sizeof(double), sizeof(s.parameters) / sizeof(double), stdout); \\
} while (0)
int main(void)
{
    static double x[28], y[14];
    int i;
    if (fread(x, sizeof(double), 28, stdin) != 28 || fread(y, sizeof(double), 14, stdin) != 14)
        return 1;
CALLS
    return 0;
}
"""


@needs_compiler
def test_steps_are_those_of_fit(rng, tmp_path):
    """Every rule with every output, and the slope of every activation."""
    x, y = rng.normal(size=(7, 4)), rng.random((7, 2))
    y /= y.sum(axis=1, keepdims=True)
    kinds = [(r, ["tanh", "gelu"], o) for r in ("sgd", "adam") for o in kernels.OUTPUTS]
    kinds += [("sgd", activation, "identity") for activation in kernels.ACTIVATIONS]
    nets = [network(hidden, o, np.float64, rng, (4, 6, 5, 2)) for _, hidden, o in kinds]
    headers = [
        net.to_c(training=rule, name=f"net_{i}")
        for i, (net, (rule, *_)) in enumerate(zip(nets, kinds, strict=True))
    ]
    main = _TRAIN.replace("INCLUDES", "\n".join(f'#include "{h.name}.h"' for h in headers))
    main = main.replace("CALLS", "\n".join(f"    TRAIN({h.name});" for h in headers))
    command = compilers.build(tmp_path, headers, main, level="-O0")
    run = subprocess.run(command, input=x.tobytes() + y.tobytes(), capture_output=True, check=True)
    found = np.frombuffer(run.stdout).reshape(len(nets), -1)
    for net, (rule, *_), parameters in zip(nets, kinds, found, strict=True):
        net.fit(x, y, optimizer=rule, learning_rate=0.01, epochs=5, batch_size=7, shuffle=False)
        assert np.allclose(parameters, net.parameters, rtol=1e-9, atol=1e-12), (net, rule)


# Files and wrong options


def test_names_come_from_the_file(tmp_path):
    net = MLP([2, 2], random_state=0)
    header = net.to_c(tmp_path / "my-net 2.h")
    assert header.name == "my_net_2"
    assert (tmp_path / "my-net 2.h").read_text() == header.text == str(header)
    assert net.to_c(tmp_path / "2.h").name == "net_2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "float16"}, "type must be one of"),
        ({"type": "int8"}, "needs calibration"),
        ({"calibration": [[1.0, 2.0]]}, "for type 'int8'"),
        ({"type": "int8", "calibration": [[1.0]]}, r"calibration must have shape \(n, 2\)"),
        ({"type": "int8", "calibration": [[1.0, np.nan]]}, "finite"),
        ({"type": "int8", "calibration": np.ones((0, 2))}, "at least one row"),
        ({"type": "int8", "calibration": ([[1.0, 1.0]], [0, 1])}, "one class for each row"),
        ({"type": "int8", "calibration": [[1.0, 1.0]], "training": True}, "training needs type"),
        ({"training": "lion"}, "training must be one of"),
        ({"name": "2nets"}, "name must begin names of C"),
        ({"name": "a;b"}, "name must begin names of C"),
        ({"self_test": np.ones((0, 2))}, "at least one row"),
        ({"self_test": np.ones((1, 3))}, r"self_test must have shape \(n, 2\)"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MLP([2, 2], random_state=0).to_c(**options)
