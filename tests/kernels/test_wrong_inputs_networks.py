"""Wrong inputs raise one type of error in every backend's networks, trainers and updates."""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, Loss, UpdateRule

N, N_IN, N_OUT = 6, 4, 3  # rows, inputs, outputs
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
        *[("batch_size", bad, TypeError, "batch_size must be an integer") for bad in (True, 2.0)],
        *[("batch_size", bad, ValueError, "batch_size must be at") for bad in (0, 2**31, 2**70)],
        *[(name, "1", TypeError, f"{name} must be a number") for name in ("l1", "l2", "clip_norm")],
    ],
)
def test_trainer_options(backend, name, value, error, message):
    rule = UpdateRule("sgd")
    with pytest.raises(error, match=message):
        kernels.trainer(NET, "f4", "cross_entropy", rule, **{"batch_size": 2, name: value})


def test_trainer_seed(backend):
    make = lambda seed: kernels.trainer(  # noqa: E731
        NET, "f4", "cross_entropy", UpdateRule("sgd"), batch_size=2, dropout=(0.1, 0.1), seed=seed
    )
    make(np.int64(3))
    for error, bad in ((ValueError, -1), (ValueError, 2**64), (TypeError, 1.0), (TypeError, True)):
        with pytest.raises(error, match="seed must"):
            make(bad)


def test_options_as_a_record(backend):
    """They are taken as a record or by keywords, and are those of layers that there are."""
    rule, options = UpdateRule("sgd"), kernels.TrainingOptions(batch_size=2, trainable=[1, 0])
    assert options.trainable == (True, False)
    trained = []
    for given, keywords in ((options, {}), (None, {"batch_size": 2, "trainable": (True, False)})):
        trainer = kernels.trainer(NET, "f4", "cross_entropy", rule, given, **keywords)
        trainer.load(FLAT)
        trainer.run_epoch(X, LABELS, None, 0.1)
        trained.append(np.empty_like(FLAT))
        trainer.store(trained[-1])
    np.testing.assert_array_equal(*trained)
    with pytest.raises(TypeError, match="as a record and by keywords: l2"):
        kernels.trainer(NET, "f4", "cross_entropy", rule, options, l2=0.1)
    with pytest.raises(TypeError, match="must be TrainingOptions, got dict"):
        kernels.trainer(NET, "f4", "cross_entropy", rule, {"batch_size": 2})
    with pytest.raises(TypeError, match="no_such"):
        kernels.trainer(NET, "f4", "cross_entropy", rule, batch_size=2, no_such=1)
