"""Wrong inputs raise one type of error in every backend's kernels, before anything is changed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from fastmlp import kernels

# Correct arguments of each kernel, by name: 6 rows, 4 inputs, 3 outputs.
N, N_IN, N_OUT = 6, 4, 3


def arguments(function):
    x, delta = np.ones((N, N_IN), np.float32), np.ones((N, N_OUT), np.float32)
    weights, bias = np.ones((N_IN, N_OUT), np.float32), np.ones(N_OUT, np.float32)
    vector = np.ones(7, np.float32)
    loss = {"scores": delta, "target": delta.copy(), "loss": "cross_entropy", "output": "softmax"}
    return {
        "dense_forward": {"x": x, "weights": weights, "bias": bias, "activation": "tanh"},
        "activate": {"z": delta, "activation": "softmax"},
        "activation_backward": {
            "delta": delta,
            "activations": delta.copy(),
            "activation": "sigmoid",
        },
        "output_delta": loss,
        "loss_value": loss,
        "delta_backward": {
            "delta": delta,
            "weights": weights,
            "activations": x,
            "activation": "relu",
        },
        "weight_gradient": {"x": x, "delta": delta},
        "bias_gradient": {"delta": delta},
        "sgd_update": {"parameters": vector, "gradient": vector.copy(), "learning_rate": 0.1},
        "momentum_update": {
            "parameters": vector,
            "gradient": vector.copy(),
            "velocity": vector.copy(),
            "learning_rate": 0.1,
            "momentum": 0.9,
        },
        "adam_update": {
            "parameters": vector,
            "gradient": vector.copy(),
            "first_moment": vector.copy(),
            "second_moment": vector.copy(),
            "step": 1,
        },
    }[function]


FUNCTIONS = (
    "dense_forward",
    "activate",
    "activation_backward",
    "output_delta",
    "loss_value",
    "delta_backward",
    "weight_gradient",
    "bias_gradient",
    "sgd_update",
    "momentum_update",
    "adam_update",
)
ARRAYS = [
    (function, name)
    for function in FUNCTIONS
    for name, value in arguments(function).items()
    if isinstance(value, np.ndarray)
]
ALONE = ("activate", "bias_gradient")  # one array alone may have any length
SHAPES = {
    "dense_forward": (N, N_OUT),
    "activate": (N, N_OUT),
    "activation_backward": (N, N_OUT),
    "output_delta": (N, N_OUT),
    "delta_backward": (N, N_IN),
    "weight_gradient": (N_IN, N_OUT),
    "bias_gradient": (N_OUT,),
}


def refuses(error, function, mention, **changed):
    """Check the type of the error, that it names the argument, and that no array was written."""
    given = arguments(function) | changed
    before = {k: v.copy() for k, v in given.items() if isinstance(v, np.ndarray)}
    with pytest.raises(error, match=mention) as raised:
        getattr(kernels, function)(**given)
    assert type(raised.value) is error
    for name, copy in before.items():
        np.testing.assert_array_equal(given[name], copy, f"{name} was changed")


@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_arrays(backend, function, name):
    good = arguments(function)[name]
    for not_an_array in (good.tolist(), None, 1.0, "x", memoryview(good)):
        refuses(TypeError, function, rf"{name} must be a numpy.ndarray", **{name: not_an_array})
    swapped = np.dtype("f4").newbyteorder().str
    wrong = ["float16", "longdouble", "complex64", "bool", "S4", swapped]
    if name != "target":
        wrong += ["int32", "uint8"]
    for dtype in wrong:
        bad = good.astype(dtype)
        refuses(TypeError, function, rf"{name} must be float32 or float64", **{name: bad})
    refuses(TypeError, function, name, **{name: good.astype(object)})
    if function not in ALONE:
        # Which of two arrays is blamed for a mixture is open; that it names the dtypes is not.
        refuses(TypeError, function, "must be float(32|64) like", **{name: good.astype("float64")})
    for shape in ((*good.shape, 1), good.shape[1:] if good.ndim == 2 else (7, 1), ()):
        bad = np.ones(shape, good.dtype)
        refuses(ValueError, function, rf"{name} must have shape", **{name: bad})


@pytest.mark.parametrize(("function", "name"), [pair for pair in ARRAYS if pair[0] not in ALONE])
def test_lengths(backend, function, name):
    good = arguments(function)[name]
    for axis in range(good.ndim):
        if (function, name, axis) in {
            ("dense_forward", "x", 0),
            ("weight_gradient", "x", 1),
            ("weight_gradient", "delta", 1),
        }:
            continue  # free lengths
        longer = np.concatenate([good, good.take([0], axis)], axis)
        refuses(ValueError, function, "must have shape", **{name: longer})
        refuses(ValueError, function, "must have shape", **{name: good.take([], axis)})


@pytest.mark.parametrize("bad", ["no_such", "", "TANH", None, 3, ["tanh"]])
def test_names(backend, bad):
    for function, name in product(FUNCTIONS[:6], ("activation", "loss", "output")):
        if name in arguments(function):
            refuses(ValueError, function, f"{name} must be one of", **{name: bad})


@pytest.mark.parametrize("function", ["activation_backward", "delta_backward"])
def test_softmax_is_no_hidden_activation(backend, function):
    refuses(ValueError, function, "activation must be one of", activation="softmax")


@pytest.mark.parametrize("function", ["output_delta", "loss_value"])
class TestLosses:
    @pytest.mark.parametrize(
        ("loss", "output"),
        [
            ("cross_entropy", "sigmoid"),
            ("cross_entropy", "identity"),
            ("binary_cross_entropy", "softmax"),
            ("binary_cross_entropy", "identity"),
            ("poisson", "identity"),
            ("hinge", "sigmoid"),
            ("squared_hinge", "softmax"),
            ("multiclass_hinge", "softmax"),
        ],
    )
    def test_pairs(self, backend, function, loss, output):
        refuses(ValueError, function, f"{loss}.*needs output", loss=loss, output=output)

    def test_outputs_of_the_multiclass_hinge(self, backend, function):
        one = np.ones((N, 1), np.float32)
        given = {"loss": "multiclass_hinge", "output": "identity", "scores": one}
        refuses(ValueError, function, "needs at least 2 outputs", target=one.copy(), **given)

    @pytest.mark.parametrize("label", [-1, 3, 255])
    def test_labels_out_of_range(self, backend, function, label):
        labels = np.array([0, 1, 2, 0, 1, label])
        refuses(ValueError, function, f"class labels must lie in 0…2.*{label}", target=labels)

    def test_shape_of_labels(self, backend, function):
        for shape in ((5,), (7,), (6, 1), (6, 3), ()):
            refuses(ValueError, function, "target.*shape", target=np.zeros(shape, int))
        one = np.ones((N, 1), np.float32)
        pair = {"loss": "squared_error", "output": "identity"}
        refuses(ValueError, function, "2 outputs", scores=one, target=np.zeros(N, int), **pair)

    def test_sample_weight(self, backend, function):
        good = np.ones(N, np.float32)
        for value in (-1, np.nan, np.inf):
            bad = good.copy()
            bad[3] = value
            refuses(ValueError, function, "sample_weight must be finite", sample_weight=bad)
        for bad in (good[:-1], good[:, None], np.ones((), np.float32)):
            refuses(ValueError, function, "sample_weight must have shape", sample_weight=bad)
        for bad in ([1.0] * N, good.astype("float64"), good.astype(int), 1.0):
            refuses(TypeError, function, "sample_weight", sample_weight=bad)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_threads(backend, function):
    for bad in (0, -1):
        refuses(ValueError, function, "n_threads must be at least 1", n_threads=bad)
    for bad in (1.5, "2", True, [1]):
        refuses(TypeError, function, "n_threads must be an integer", n_threads=bad)


@pytest.mark.parametrize("function", SHAPES)
def test_out(backend, function):
    shape = SHAPES[function]
    for bad in ((*shape, 1), (shape[0] + 1, *shape[1:]), shape[1:]):
        refuses(ValueError, function, "out must have shape", out=np.zeros(bad, np.float32))
    for dtype in ("float64", "float16", "int32"):
        refuses(TypeError, function, "out must be float", out=np.zeros(shape, dtype))
    refuses(TypeError, function, "out must be a numpy.ndarray", out=[0.0])
    read_only = np.zeros(shape, np.float32)
    read_only.flags.writeable = False
    refuses(ValueError, function, "out is read-only", out=read_only)
    room = np.zeros(4 * int(np.prod(shape)) + 1, np.uint8)
    unaligned = room[1:].view(np.float32).reshape(shape)
    refuses(ValueError, function, "out must be aligned", out=unaligned)
    step = np.zeros([2 * length for length in shape], np.float32)
    step = step[tuple(slice(None, None, 2) for _ in shape)]
    refuses(ValueError, function, "out must be C-contiguous", out=step)
    if len(shape) == 2:
        fortran = np.zeros(shape, np.float32, order="F")
        refuses(ValueError, function, "out must be C-contiguous", out=fortran)


@pytest.mark.parametrize("function", SHAPES)
def test_out_overlaps(backend, function):
    """``out`` may share no memory with an input, not even in part."""
    size = int(np.prod(SHAPES[function]))
    for name, value in arguments(function).items():
        if not isinstance(value, np.ndarray):
            continue
        for start in (0, value.size - 1):
            room = np.ones(value.size + size, np.float32)
            changed = {name: room[: value.size].reshape(value.shape)}
            changed["out"] = room[start : start + size].reshape(SHAPES[function])
            refuses(ValueError, function, "out must not share memory", **changed)


@pytest.mark.parametrize("function", FUNCTIONS[8:])
def test_updates_write_in_place(backend, function):
    """Parameters and state must be writable and contiguous, and lie apart from the gradient."""
    for name in arguments(function):
        vector = arguments(function)[name]
        if not isinstance(vector, np.ndarray) or name == "gradient":
            continue
        read_only = vector.copy()
        read_only.flags.writeable = False
        refuses(ValueError, function, f"{name} is read-only", **{name: read_only})
        step = np.ones(14, np.float32)[::2]
        refuses(ValueError, function, f"{name} must be C-contiguous", **{name: step})
        shared = {name: vector, "gradient": vector}
        refuses(ValueError, function, f"{name} must not share", **shared)
        if name != "parameters":
            shared = {name: vector, "parameters": vector}
            refuses(ValueError, function, f"{name} must not share", **shared)
