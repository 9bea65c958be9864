"""Wrong inputs raise the same type of error on every backend, before anything is changed."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, Loss, UpdateRule
from support import require

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


@pytest.mark.parametrize("function", FUNCTIONS[:6])
@pytest.mark.parametrize("bad", ["no_such", "", "TANH", None, 3, ["tanh"]])
def test_names(backend, function, bad):
    for name in ("activation", "loss", "output"):
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
        require(loss)
        refuses(ValueError, function, f"{loss}.*needs output", loss=loss, output=output)

    def test_outputs_of_the_multiclass_hinge(self, backend, function):
        require("multiclass_hinge")
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


NET = Architecture((N_IN, 5, N_OUT), ("tanh",), "softmax")
FLAT = np.ones(NET.n_parameters, np.float32)
X = np.ones((N, N_IN), np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def network_calls(network):
    return [
        lambda flat=FLAT, x=X, **k: network.predict(flat, x, **k),
        lambda flat=FLAT, x=X, y=LABELS, loss="cross_entropy", **k: network.loss(
            flat, x, y, loss, **k
        ),
        lambda flat=FLAT, x=X, y=LABELS, loss="cross_entropy", **k: network.loss_and_gradient(
            flat, x, y, loss, **k
        ),
    ]


@pytest.mark.parametrize(
    ("make", "name", "constants", "message"),
    [
        (Loss, "no_such", {}, "loss must be one of"),
        (Loss, None, {}, "loss must be one of"),
        (Loss, "huber", {"delta": 0}, "delta must be above 0"),
        (Loss, "huber", {"delta": np.inf}, "delta.*must be finite"),
        (Loss, "quantile", {"quantile": 1}, "quantile must lie between 0 and 1"),
        (Loss, "quantile", {"quantile": 0}, "quantile must lie between 0 and 1"),
        (Loss, "cross_entropy", {"label_smoothing": 1}, "label_smoothing must be at least 0"),
        (Loss, "cross_entropy", {"label_smoothing": -0.1}, "label_smoothing must be at least 0"),
        (Loss, "hinge", {"delta": 1}, r"'hinge' has the constants \(\), got 'delta'"),
        (UpdateRule, "no_such", {}, "update rule must be one of"),
        (UpdateRule, "adam", {"alpha": 0.1}, "'adam' has the constants.*got 'alpha'"),
        (UpdateRule, "adam", {"beta_1": np.nan}, "beta_1.*must be finite"),
    ],
)
def test_constants(make, name, constants, message):
    with pytest.raises(ValueError, match=message):
        make(name, constants)


def test_constants_are_complete():
    """Defaults stand where nothing is given, so that equal rules and losses compare equal."""
    assert UpdateRule("adam") == UpdateRule("adam", {"beta_1": 0.9, "weight_decay": 0})
    assert Loss("huber") == Loss("huber", {"delta": 1}) == Loss.of("huber")
    assert Loss("huber") != Loss("huber", {"delta": 2})
    assert len({Loss("huber"), Loss("huber", {"delta": 1.0}), UpdateRule("adam")}) == 2
    assert Loss.of(given := Loss("quantile")) is given


class TestUpdate:
    def refuses(self, error, message, **changed):
        vector = np.ones(7, np.float32)
        state = np.ones((2, 7), np.float32)
        given = {"rule": UpdateRule("adam"), "parameters": vector, "gradient": vector.copy()}
        given |= {"state": state, "step": 1, "learning_rate": 0.1} | changed
        before = {k: v.copy() for k, v in given.items() if isinstance(v, np.ndarray)}
        with pytest.raises(error, match=message):
            kernels.update(**given)
        for name, copy in before.items():
            np.testing.assert_array_equal(given[name], copy, f"{name} was changed")

    def test_arguments(self, backend):
        require("update")
        state = np.ones((2, 7), np.float32)
        self.refuses(TypeError, "rule must be an UpdateRule", rule="adam")
        for name in ("parameters", "gradient", "state"):
            self.refuses(TypeError, f"{name} must be a numpy.ndarray", **{name: [1.0] * 7})
            self.refuses(TypeError, f"{name} must be float", **{name: state[0].astype("i4")})
        self.refuses(ValueError, "gradient must have shape", gradient=np.ones(6, np.float32))
        self.refuses(TypeError, "gradient must be float32", gradient=np.ones(7))
        for bad in (state[:1], state[0], state[:, 1:], np.ones((3, 7), np.float32)):
            self.refuses(ValueError, r"state must have shape \(2, 7\)", state=bad)
        self.refuses(TypeError, "state must be float32", state=state.astype("f8"))
        for error, bad in ((ValueError, 0), (ValueError, -1), (TypeError, 1.0), (TypeError, True)):
            self.refuses(error, "step must be", step=bad)
        for error, bad in ((ValueError, 0), (TypeError, "2")):
            self.refuses(error, "n_threads", n_threads=bad)

    def test_memory(self, backend):
        require("update")
        room = np.ones(35, np.float32)
        read_only = np.ones((2, 7), np.float32)
        read_only.flags.writeable = False
        self.refuses(ValueError, "state is read-only", state=read_only)
        self.refuses(ValueError, "state must be C-contiguous", state=np.ones((7, 2), "f4").T)
        p, state, g = room[:7], room[7:21].reshape(2, 7), room[21:28]
        kernels.update(UpdateRule("adam"), p, g, state, 1, 0.1)
        shared = "must not share memory"
        self.refuses(ValueError, shared, parameters=p, state=state, gradient=room[20:27])
        self.refuses(ValueError, shared, parameters=room[1:8], state=state, gradient=g)
        self.refuses(ValueError, shared, parameters=p, gradient=room[3:10])


@pytest.mark.parametrize("which", [0, 1, 2])
def test_network(backend, which):
    call = network_calls(kernels.network(NET, "float32"))[which]
    call()
    for name, good in (("parameters", FLAT), ("x", X)):
        key = {"parameters": "flat"}.get(name, name)
        for bad in (good.tolist(), good.astype("f8"), good.astype(int), good.astype("f2")):
            with pytest.raises(TypeError, match=f"{name} must be"):
                call(**{key: bad})
        for bad in (good[..., :-1], good[None], good[..., None]):
            with pytest.raises(ValueError, match=f"{name} must have shape"):
                call(**{key: bad})
    with pytest.raises(ValueError, match="parameters must be contiguous"):
        call(flat=np.ones(2 * len(FLAT), np.float32)[::2])
    if which:
        with pytest.raises(ValueError, match="loss must be one of"):
            call(loss="no_such")
        with pytest.raises(ValueError, match="needs output"):
            call(loss="binary_cross_entropy")
        with pytest.raises(ValueError, match="class labels must lie"):
            call(y=LABELS + 1)
        with pytest.raises(ValueError, match=r"target.*shape"):
            call(y=LABELS[1:])
        with pytest.raises(TypeError, match=r"target must be a numpy\.ndarray"):
            call(y=LABELS.tolist())
        with pytest.raises(ValueError, match="sample_weight must be finite"):
            call(sample_weight=-np.ones(N, np.float32))
    if which != 1:
        shape = (N, N_OUT) if which == 0 else FLAT.shape
        with pytest.raises(ValueError, match="out must have shape"):
            call(out=np.zeros((*shape, 1), np.float32))
        with pytest.raises(TypeError, match="out must be float32"):
            call(out=np.zeros(shape))
        room = np.ones(len(FLAT) + N * N_OUT, np.float32)
        size = int(np.prod(shape))
        with pytest.raises(ValueError, match="out must not share"):
            call(flat=room[: len(FLAT)], out=room[len(FLAT) - size :][:size].reshape(shape))


def test_network_options(backend):
    for bad, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)):
        with pytest.raises(error, match="n_threads"):
            kernels.network(NET, "float32", n_threads=bad)
        rule = UpdateRule("sgd")
        with pytest.raises(error, match="n_threads"):
            kernels.trainer(NET, "f4", "cross_entropy", rule, batch_size=1, n_threads=bad)
    for bad in ("float16", "int32", "longdouble"):
        with pytest.raises(TypeError, match="float32 or float64"):
            kernels.network(NET, bad)
        with pytest.raises(TypeError, match="float32 or float64"):
            kernels.trainer(NET, bad, "cross_entropy", UpdateRule("sgd"), batch_size=1)


def test_trainer(backend):
    rule = UpdateRule("momentum", {"momentum": 0.9})
    for bad in (0, -3):
        with pytest.raises(ValueError, match="batch_size must be at least 1"):
            kernels.trainer(NET, "float32", "cross_entropy", rule, batch_size=bad)
    with pytest.raises(ValueError, match="needs output"):
        kernels.trainer(NET, "float32", "binary_cross_entropy", rule, batch_size=2)
    with pytest.raises(ValueError, match="loss must be one of"):
        kernels.trainer(NET, "float32", "no_such", rule, batch_size=2)
    trainer = kernels.trainer(NET, "float32", "cross_entropy", rule, batch_size=2)
    trainer.load(FLAT)
    state = np.zeros((1, len(FLAT)), np.float32)
    for method in (trainer.load, trainer.store):
        with pytest.raises(TypeError, match="parameters must be"):
            method(FLAT.astype("f8"))
        with pytest.raises(ValueError, match="parameters must have shape"):
            method(FLAT[1:].copy())
        with pytest.raises(ValueError, match="state must have shape"):
            method(FLAT.copy(), state[0])
        with pytest.raises(TypeError, match="state must be"):
            method(FLAT.copy(), state.astype("f8"))
    for order, error in (
        (np.array([0, N]), ValueError),
        (np.array([-1, 0]), ValueError),
        ([0, 1], TypeError),
        (np.array([0.0]), TypeError),
        (np.array([[0]]), TypeError),
        (np.array([0], np.int16), TypeError),
    ):
        with pytest.raises(error, match="order must"):
            trainer.run_epoch(X, LABELS, order, 0.1)
    for changed, error in (
        ({"x": X.astype("f8")}, TypeError),
        ({"x": X[:, 1:]}, ValueError),
        ({"target": LABELS + 1}, ValueError),
        ({"target": LABELS[1:]}, ValueError),
        ({"target": LABELS.tolist()}, TypeError),
        ({"sample_weight": np.ones(N - 1, np.float32)}, ValueError),
        ({"sample_weight": -np.ones(N, np.float32)}, ValueError),
    ):
        batch = {"x": X, "target": LABELS, "order": None, "learning_rate": 0.1} | changed
        with pytest.raises(error, match=next(iter(changed)).replace("target", "target|labels")):
            trainer.run_epoch(**batch)
    after, moments = np.empty_like(FLAT), np.empty_like(state)
    trainer.store(after, moments)
    assert trainer.step == 0
    np.testing.assert_array_equal(after, FLAT)
    np.testing.assert_array_equal(moments, 0)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        *[("l2", bad, ValueError, "l2 must be a finite number") for bad in (-1, np.nan, np.inf)],
        *[("l1", bad, ValueError, "l1 must be a finite number") for bad in (-1, np.nan, np.inf)],
        *[("dropout", bad, ValueError, "dropout must") for bad in ((0.1,), (0.1,) * 3, (0, 1))],
        *[("dropout", bad, ValueError, "dropout must") for bad in ((-0.1, 0), (np.nan, 0))],
        *[("clip_value", bad, ValueError, "clip_value must be") for bad in (0, -1, np.nan)],
        *[("clip_norm", bad, ValueError, "clip_norm must be") for bad in (0, -1, np.inf)],
        *[("max_norm", bad, ValueError, "max_norm must be") for bad in (0, -1, np.nan)],
        *[("trainable", bad, ValueError, "one bool per layer") for bad in ((True,), (1, 1, 1))],
    ],
)
def test_trainer_options(backend, name, value, error, message):
    require("l1" if name == "l2" else name)
    rule = UpdateRule("sgd")
    with pytest.raises(error, match=message):
        kernels.trainer(NET, "f4", "cross_entropy", rule, batch_size=2, **{name: value})


def test_trainer_seed(backend):
    require("dropout")
    make = lambda seed: kernels.trainer(  # noqa: E731
        NET, "f4", "cross_entropy", UpdateRule("sgd"), batch_size=2, dropout=(0.1, 0.1), seed=seed
    )
    make(np.int64(3))
    for error, bad in ((ValueError, -1), (ValueError, 2**64), (TypeError, 1.0), (TypeError, True)):
        with pytest.raises(error, match="seed must"):
            make(bad)
